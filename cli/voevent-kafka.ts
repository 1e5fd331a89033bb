/**
 * VOEvents over Kafka, as GCN and SVOM publish them now: the records of a stream taken in like events of
 * another broker, and what is on the topic written to a stream.
 */
import { streamOf } from '../consumer/config.ts'
import { createIntake } from '../consumer/intake.ts'
import { openKafkaSource } from '../consumer/kafka/source.ts'
import { openProducer } from '../consumer/kafka/producer.ts'
import { isPermanent, NightjarError, sentenceOf } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import type { Subscription } from '../core/ports.ts'
import { parseDocument } from '../gateways/voevent/document.ts'
import type { Gateway } from '../gateways/voevent/gateway.ts'
import { startReaders, type Ground, type Running } from '../local/broker.ts'
import { loadConfig } from './config.ts'
import { connect, groupFor, type ChosenStream } from './kafka.ts'
import type { World } from './world.ts'

export interface KafkaBridgesOptions {
  world: World
  /** The file that configures the streams. */
  config?: string
  /** Streams by their names in the configuration. */
  streams: readonly string[]
  log: Log
}

export interface InOptions extends KafkaBridgesOptions {
  ground: Ground
  gateway: Gateway
}

export interface OutOptions extends KafkaBridgesOptions {
  /** A subscription of our own to the topic of events, by the name of its reader. */
  subscribe(reader: string): Promise<Subscription>
}

/** Take in what comes on streams. Rejects where one is not configured, or does not answer. */
export const startKafkaIn = (options: InOptions): Promise<Running> =>
  startEach(options, (chosen, topic) => startIn(chosen, topic, options))

/**
 * Write every event to streams. To be started before the first door opens: a subscription sees what is
 * published after it is made.
 */
export const startKafkaOut = (options: OutOptions): Promise<Running> =>
  startEach(options, (chosen, topic) => startOut(chosen, topic, options))

async function startEach(
  { world, config: file, streams }: KafkaBridgesOptions,
  start: (chosen: ChosenStream, topic: string) => Promise<Running>,
): Promise<Running> {
  const config = await loadConfig(world, file)
  const running: Running[] = []
  try {
    for (const name of streams) {
      const chosen = { config, stream: streamOf(config, name) }
      for (const topic of topicsOf(chosen)) running.push(await start(chosen, topic))
    }
  } catch (error) {
    for (const one of running) await one.close()
    throw error
  }
  const failed = Promise.race(running.map((one) => one.failed))
  failed.catch(() => {})
  return {
    failed,
    async close() {
      for (const one of running) await one.close()
    },
  }
}

function topicsOf({ stream }: ChosenStream): readonly string[] {
  const nightly = stream.topics.find((topic) => topic.includes('{night}'))
  if (nightly === undefined) return stream.topics
  throw new NightjarError(
    'config_invalid',
    `Cannot bridge VOEvents with "${nightly}" of stream "${stream.name}": it is another topic each night`,
  )
}

/** Where an event came from, so that it is not sent back there. */
const peerOf = (topic: string): string => `kafka:${topic}`

async function startIn(
  chosen: ChosenStream,
  topic: string,
  { ground, gateway, log }: InOptions,
): Promise<Running> {
  const peer = peerOf(topic)
  const source = await openKafkaSource({
    connect: () => connect(chosen, log),
    topic,
    group: groupFor(chosen, `${ground.home.path}\0voevent`, topic),
    store: await ground.bucket('broker_files'),
    log,
  })
  const intake = createIntake({
    source,
    log,
    async relay(record) {
      if (record.kind === 'gap') return record.lost === true ? 'lost' : 'gap'
      if (record.value === null) return 'rejected'
      try {
        using document = parseDocument(record.value)
        const verdict = await gateway.admission.relay(record.value, document, peer, 'kafka')
        if (verdict.ok) return 'published'
        if (verdict.retry) throw new NightjarError('publish_failed', verdict.reason)
        if (!verdict.seen) log('voevent_refused', { peer, reason: verdict.reason })
        return verdict.seen ? 'duplicate' : 'rejected'
      } catch (error) {
        if (!isPermanent(error)) throw error
        log('voevent_refused', { peer, reason: sentenceOf(error) })
        return 'rejected'
      }
    },
  })
  const stop = new AbortController()
  const done = intake.run(stop.signal)
  const failed = new Promise<never>((_, reject) => done.catch(reject))
  failed.catch(() => {})
  return {
    failed,
    async close() {
      stop.abort()
      await done.catch(() => {})
      await source.close()
    },
  }
}

async function startOut(
  chosen: ChosenStream,
  topic: string,
  { subscribe, log }: OutOptions,
): Promise<Running> {
  const producer = await openProducer(await connect(chosen, log), topic)
  const readers = startReaders(
    [
      {
        name: peerOf(topic),
        subscription: await subscribe(`${chosen.stream.name}-${topic}`),
        maxMessages: 100,
        async onDelivery({ data, attributes }) {
          if (attributes['peer'] === peerOf(topic)) return
          await producer.send({ key: attributes['ivorn'] ?? '', value: data, headers: attributes })
        },
      },
    ],
    log,
  )
  return {
    failed: readers.failed,
    async close() {
      await readers.close()
      await producer.close()
    },
  }
}
