/**
 * The intake of a Kafka topic into topics in memory, which a test may slow down, stop and break; and
 * the audit that judges afterwards what became of every offset the broker has.
 */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

import { auditNight, type Audit } from '../../../conductor/audit.ts'
import { createBitmap, type Bitmap } from '../../../conductor/bitmap.ts'
import { createIntake, type Intake, type IntakeOptions } from '../../../consumer/intake.ts'
import { kafkaClient } from '../../../consumer/kafka/client.ts'
import {
  openKafkaSource,
  type KafkaSource,
  type KafkaSourceOptions,
} from '../../../consumer/kafka/source.ts'
import { withAdmin } from '../../../consumer/kafka/topics.ts'
import { readWatermarks, type Watermarks } from '../../../consumer/kafka/watermarks.ts'
import { createRelay } from '../../../consumer/relay.ts'
import { formatOccurrence, occurrenceOf } from '../../../core/alert.ts'
import { ledgerRow, outcomes, type Outcome } from '../../../core/ledger.ts'
import type { Events } from '../../../core/log.ts'
import { nightOfTopic } from '../../../core/night.ts'
import type { Message, Store, Topic } from '../../../core/ports.ts'
import { bundledSchemas } from '../../../schemas/registry.ts'
import { dataDir } from '../../data.ts'
import { memoryStore } from '../../memory-store.ts'

/** Quick to notice what is gone: a test does not wait for half a minute. */
export const quickTuning = {
  sessionTimeoutMs: 2000,
  rebalanceTimeoutMs: 4000,
  heartbeatMs: 300,
  maxWaitMs: 100,
}

/** Where everything goes, of all engines of a test. */
export interface Destination {
  alerts: Topic
  ledger: Topic
  deadLetters: Topic
  store: Store
  /** Digest of the data by occurrence, and how often each was published. */
  published: Map<string, { digest: string; times: number }>
  ledgered: Message[]
  /** Called before each publish of an alert; what it throws, the publish throws. */
  before: () => Promise<void> | void
}

/** Make a destination in memory. */
export function makeDestination(): Destination {
  const published: Destination['published'] = new Map()
  const ledgered: Message[] = []
  let id = 0
  const topicOf = (publish: (message: Message) => Promise<void> | void): Topic => ({
    async publish(message) {
      await publish(message)
      return String(++id)
    },
    async close() {},
  })
  const destination: Destination = {
    published,
    ledgered,
    store: memoryStore(),
    before: () => {},
    alerts: topicOf(async (message) => {
      await destination.before()
      const key = formatOccurrence(occurrenceOf(message.attributes))
      const times = (published.get(key)?.times ?? 0) + 1
      published.set(key, { digest: digestOf(message.data), times })
    }),
    ledger: topicOf((message) => void ledgered.push(message)),
    deadLetters: topicOf(() => {}),
  }
  return destination
}

export const digestOf = (data: Uint8Array): string =>
  createHash('sha256').update(data).digest('hex')

export interface Engine {
  source: KafkaSource
  intake: Intake
  said: { name: keyof Events; facts: unknown }[]
  /** Resolves when it has ended and is closed; rejects with why it failed. */
  ended: Promise<void>
  /** End it in an orderly way. */
  stop(): Promise<void>
}

/** Start taking a topic in. */
export async function startEngine(
  options: Pick<KafkaSourceOptions, 'topic' | 'group'> & {
    brokers: string
    destination: Destination
    source?: Partial<KafkaSourceOptions>
    intake?: Partial<IntakeOptions>
  },
): Promise<Engine> {
  const { brokers, destination, topic, group } = options
  const said: Engine['said'] = []
  const log: KafkaSourceOptions['log'] = (name, facts) => void said.push({ name, facts })
  const source = await openKafkaSource({
    connect: () => kafkaClient({ brokers: brokers.split(',') }, log),
    topic,
    group,
    store: destination.store,
    log,
    tuning: quickTuning,
    queueBytes: 1 << 20,
    ...options.source,
  })
  const { alerts, ledger, deadLetters, store: claims } = destination
  const relay = createRelay({ alerts, ledger, deadLetters, claims, schemas: bundledSchemas(), log })
  const intake = createIntake({
    source,
    relay,
    log,
    commitMs: 50,
    maxBytesInFlight: 1 << 20,
    ...options.intake,
  })
  const stop = new AbortController()
  const ended = intake.run(stop.signal).finally(() => source.close())
  ended.catch(() => {})
  return {
    source,
    intake,
    said,
    ended,
    async stop() {
      stop.abort()
      await ended
    },
  }
}

/** What the broker says of a topic now. */
export async function watermarksOf(
  brokers: string,
  topic: string,
  group?: string,
): Promise<Watermarks[]> {
  const kafka = await kafkaClient({ brokers: brokers.split(',') }, () => {})
  return withAdmin(kafka, (admin) => readWatermarks(admin, topic, group))
}

/**
 * Audit the intake of a topic against the watermarks, as the audit of a night does; `from` is where
 * the topic began, if retention has moved it since.
 */
export function judge(
  topic: string,
  watermarks: readonly Watermarks[],
  { ledgered }: Destination,
  from = 0n,
): { intake: Audit['stages'][number]; complete: boolean } {
  const sets = new Map<string, Map<Outcome, Bitmap>>()
  for (const { data } of ledgered) {
    const { values } = ledgerRow(data)
    const key = `${String(values['stage'])} ${String(values['kafka_partition'])}`
    const byOutcome = sets.get(key) ?? new Map<Outcome, Bitmap>()
    sets.set(key, byOutcome)
    const outcome = outcomes.find((one) => one === values['outcome'])
    if (outcome === undefined) throw new Error(`no outcome: ${String(values['outcome'])}`)
    const bitmap = byOutcome.get(outcome) ?? createBitmap()
    byOutcome.set(outcome, bitmap)
    bitmap.addRange(BigInt(String(values['kafka_offset'])), Number(values['span']))
  }
  const audit = auditNight({
    survey: 'ztf',
    night: nightOfTopic(topic) ?? '',
    ranges: watermarks.map(({ partition, high }) => ({ topic, partition, low: from, high })),
    ledger: {
      strays: 0,
      setsOf: (stage, _, partition) => sets.get(`${stage} ${partition}`) ?? new Map(),
    },
  })
  const [intake] = audit.stages
  if (intake === undefined) throw new Error('the audit has no intake')
  const complete = intake.total.missingCount === 0 && intake.total.outcomes.lost === 0
  return { intake, complete }
}

/** Real alerts where there are some, else packets of the simulator's that the caller made. */
export function payloads(otherwise: readonly string[], most = 40): string[] {
  if (!existsSync(dataDir)) return otherwise.slice(0, most)
  const files = readdirSync(join(dataDir, 'ztf'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.avro'))
    .map((name) => join(dataDir, 'ztf', name))
    .sort()
    .filter((file) => Math.abs(statSync(file).size - 70_000) < 25_000)
  return files.slice(0, most)
}
