/**
 * What a conductor sees with and acts by on one machine: Kafka's admin, the ledger through the home's
 * door, and the broker of the home as a process of its own. What cannot be learned is left out.
 */
import { auditNight, type Audit, type Range } from '../conductor/audit.ts'
import { closeRecord, storeCloseRecord, type CloseRecord } from '../conductor/close.ts'
import { readLedgerSets, type LedgerSets } from '../conductor/ledger-sets.ts'
import type { Action, Ends, NightRecord } from '../conductor/night-record.ts'
import { knownNights, type KnownNight } from '../conductor/nights.ts'
import { isEnd, type AuditSummary, type Observations } from '../conductor/step.ts'
import { readNightRecord, type Hands } from '../conductor/tick.ts'
import { topicsOfStream } from '../consumer/config.ts'
import type { TopicReport } from '../consumer/kafka/topics.ts'
import { NightjarError, sentenceOf } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import type { Store } from '../core/ports.ts'
import type { Ground } from '../local/broker.ts'
import { runningBroker } from '../local/home.ts'
import type { LocalMachine } from '../local/machine.ts'
import { filtersOf } from './audit.ts'
import { openHomeQueries } from './door.ts'
import { groupFor, probeTopic, type ChosenStream } from './kafka.ts'
import { makeReport } from './night-report.ts'
import { sendMissing } from './replay.ts'

export interface HandsOptions {
  ground: Ground
  chosen: ChosenStream
  machine: LocalMachine
  log: Log
  signal: AbortSignal
  now(): Date
  /** Tell somebody who may be asleep; absent where nobody wants to be told. */
  notify?(text: string, facts: { survey: string; night: string; key: string }): Promise<void>
}

/** How long Kafka may take to answer before it is taken for silent, milliseconds. */
const kafkaMs = 20_000

export async function createHands(options: HandsOptions): Promise<Hands> {
  const { ground, chosen, machine, log } = options
  const store = await ground.bucket('broker_files')
  const nights = await ground.topic('night')

  return {
    async observe(record, { audit: wantsAudit }) {
      const [topic, state] = await Promise.all([askKafka(record), machine.state()])
      const seen: Observations = { consumer: state }
      if (topic !== undefined) {
        seen.topic = { state: stateOf(topic), ends: endsOf(topic) }
        seen.committed = committedOf(topic)
      }
      if (!wantsAudit) return seen
      try {
        seen.audit = await seeAudit(record, seen.topic?.ends)
      } catch (error) {
        log('night_unseen', { night: record.night, what: 'ledger', reason: sentenceOf(error) })
      }
      return seen
    },
    act,
  }

  async function act(action: Action, record: NightRecord): Promise<void> {
    const { survey, night } = record
    const idle = (why: string): void => log('action_idle', { night, action: action.do, why })
    switch (action.do) {
      case 'announce': {
        const { move } = action
        await announce({ event: 'night_moved', survey, night, ...move, at: iso(move.at) })
        return
      }
      case 'reset_counters':
        return idle('a home counts by its ledger')
      case 'attach_stages':
      case 'detach_stages':
        return idle("a home's stages are in the process of its consumer")
      case 'start_consumer':
        await makeRoom(record)
        await machine.start({ NIGHT: night, KAFKA_TOPIC: topicsOf(record).join(',') })
        log('machine_started', { machine: 'consumer', pid: runningBroker(ground.home) ?? 0 })
        return
      case 'stop_consumer':
        if (record.state === 'incomplete') {
          return idle('its process has the stages, and what they have to do may complete the night')
        }
        if (machine.metadata()?.['NIGHT'] === night) await machine.stop()
        else if ((await machine.state()) !== 'stopped') idle('the broker was not started for it')
        return
      case 'replay_missing':
        await replayMissing(record)
        return
      case 'close':
        await close(record, action.digest)
        return
      case 'report': {
        const proof = await proofOf(record)
        const report = await makeReport({ ground, record, proof, now: options.now() })
        await announce({ event: 'night_reported', survey, night, ...report })
        return
      }
      case 'alarm': {
        const { key, text } = action
        log('alarm_raised', { night, key, text })
        await options.notify?.(text, { survey, night, key })
        return
      }
      case 'power_off':
        return idle('this machine is not ours to switch off')
    }
  }

  async function announce(facts: Record<string, string>): Promise<void> {
    const { event = '', survey = '', night = '' } = facts
    await nights.publish({
      data: Buffer.from(JSON.stringify(facts)),
      attributes: { event, survey, night },
    })
  }

  function topicsOf({ night }: NightRecord): string[] {
    return topicsOfStream(chosen.stream, night)
  }

  /** What Kafka says of the night's topics; undefined where it does not answer. */
  async function askKafka(record: NightRecord): Promise<TopicReport[] | undefined> {
    const home = ground.home.path
    try {
      const asked = topicsOf(record).map((topic) =>
        probeTopic(chosen, topic, groupFor(chosen, home, topic), log),
      )
      return await within(Promise.all(asked), kafkaMs)
    } catch (error) {
      log('night_unseen', { night: record.night, what: 'Kafka', reason: sentenceOf(error) })
      return undefined
    }
  }

  /** A home has one broker: one that stands there for a night that has ended makes room. */
  async function makeRoom({ survey, night }: NightRecord): Promise<void> {
    const other = machine.metadata()?.['NIGHT']
    if (other === undefined || other === night) return
    const { record } = await readNightRecord(store, survey, other, options.now().getTime())
    if (isEnd(record.state)) return machine.stop()
    throw new NightjarError(
      'home_busy',
      `Cannot consume the night of ${night} in "${ground.home.path}": that of ${other} is ` +
        `${record.state} there; end it, or give this one a home of its own`,
    )
  }

  async function seeAudit(
    record: NightRecord,
    ends: readonly Ends[] | undefined,
  ): Promise<AuditSummary> {
    const { audit, close: proof } = await auditNow(record, ends)
    // The record of what was seen is kept before anything is decided on it: to close the night is to
    // store this one, even if another conductor does it tomorrow.
    const data = Buffer.from(`${JSON.stringify(proof, null, 1)}\n`)
    await store.create(seenName(record, proof.digest), data)
    const lost = proof.stages.reduce((sum, stage) => sum + (stage.outcomes['lost'] ?? 0), 0)
    return {
      ends: audit.ranges.map(formatRange),
      missing: audit.missingCount + lost + proof.unfinished.length,
      missingText: missingText(proof, audit.missingCount + lost),
      digest: proof.digest,
    }
  }

  async function auditNow(
    record: NightRecord,
    ends: readonly Ends[] | undefined,
  ): Promise<{ audit: Audit; close: CloseRecord }> {
    const { survey, night } = record
    const known = await knownNight(store, night)
    const ranges = rangesOf(known, record.ends, ends ?? [])
    const queries = await openHomeQueries(ground)
    try {
      const ledger = await readLedgerSets(queries.query, night, ranges)
      const { lateStages } = known
      const audit = auditNight({ survey, night, ranges, ledger, lateStages })
      // Of a topic the offsets say whether it was read to its end.
      const unfinished = known.unfinished.filter((source) => !source.startsWith('kafka:'))
      const filters = await filtersOf(audit, queries.query, store)
      return { audit, close: { ...closeRecord(audit, unfinished, options.now()), ...filters } }
    } finally {
      await queries.close()
    }
  }

  async function replayMissing(record: NightRecord): Promise<void> {
    const known = await knownNight(store, record.night)
    const queries = await openHomeQueries(ground)
    try {
      const { signal } = options
      const place = { ground, query: queries.query }
      const { notFound } = await sendMissing(place, known, { log, signal })
      const what = `${notFound.length} occurrences to send again`
      const reason = `neither the archive nor a source has ${notFound.slice(0, 3).join('; ')}`
      if (notFound.length > 0) log('night_unseen', { night: record.night, what, reason })
    } finally {
      await queries.close()
    }
  }

  async function close(record: NightRecord, digest: string): Promise<void> {
    const proof = await proofWith(record, digest)
    if (proof === undefined) {
      log('action_idle', { night: record.night, action: 'close', why: 'no audit could be made' })
      return
    }
    const newest = await newestClose(record)
    if (newest?.digest === proof.digest && newest.state === proof.state) return
    await storeCloseRecord(store, proof)
  }

  async function proofWith(record: NightRecord, digest: string): Promise<CloseRecord | undefined> {
    if (digest === '') return undefined
    const found = await store.read(seenName(record, digest))
    if (found !== null) return JSON.parse(Buffer.from(found.data).toString()) as CloseRecord
    throw new NightjarError(
      'store_failed',
      `Cannot close the night of ${record.night}: its audit ${digest} is not in the bucket`,
    )
  }

  /** What the night was closed with; where nothing could be learned, nothing is accounted for. */
  async function proofOf(record: NightRecord): Promise<CloseRecord> {
    const proof = await proofWith(record, record.closed?.digest ?? '')
    if (proof !== undefined) return proof
    const { survey, night } = record
    const ranges = rangesOf({ ranges: [] }, record.ends, [])
    const audit = auditNight({ survey, night, ranges, ledger: unknownLedger })
    return closeRecord(audit, [], options.now())
  }

  async function newestClose({ survey, night }: NightRecord): Promise<CloseRecord | undefined> {
    let last: string | undefined
    for await (const { name } of store.list(`audit/${survey}_${night}/`)) last = name
    const found = last === undefined ? null : await store.read(last)
    return found === null
      ? undefined
      : (JSON.parse(Buffer.from(found.data).toString()) as CloseRecord)
  }
}

const seenName = ({ survey, night }: NightRecord, digest: string): string =>
  `conductor/audits/${survey}_${night}/${digest}.json`

async function knownNight(store: Store, night: string): Promise<KnownNight> {
  const known = (await knownNights(store)).find((one) => one.night === night)
  return known ?? { night, ranges: [], unfinished: [], topics: [], lateStages: [] }
}

/** A ledger that nobody could read. */
const unknownLedger: LedgerSets = { strays: 0, setsOf: () => new Map() }

/** Every offset that anybody ever said exists: the consumer, Kafka before, Kafka now. */
export function rangesOf(
  known: Pick<KnownNight, 'ranges'>,
  ...said: readonly (readonly Ends[])[]
): Range[] {
  const ranges = new Map<string, Range>()
  const add = (range: Range): void => {
    const key = `${range.topic}/${range.partition}`
    const old = ranges.get(key) ?? range
    ranges.set(key, {
      ...range,
      low: old.low < range.low ? old.low : range.low,
      high: old.high > range.high ? old.high : range.high,
    })
  }
  known.ranges.forEach(add)
  for (const { low, high, ...where } of said.flat()) {
    add({ ...where, low: BigInt(low), high: BigInt(high) })
  }
  return [...ranges.values()]
}

const formatRange = ({ topic, partition, low, high }: Range): Ends => ({
  topic,
  partition,
  low: String(low),
  high: String(high),
})

function stateOf(reports: readonly TopicReport[]): NonNullable<Observations['topic']>['state'] {
  const has = (state: TopicReport['state']): boolean => reports.some((one) => one.state === state)
  if (has('has data')) return 'has_data'
  if (has('empty')) return 'empty'
  return has('expired') ? 'expired' : 'absent'
}

const endsOf = (reports: readonly TopicReport[]): Ends[] =>
  reports.flatMap(({ topic, partitions }) =>
    partitions.map(({ partition, low, high }) => formatRange({ topic, partition, low, high })),
  )

const committedOf = (reports: readonly TopicReport[]): Record<string, string> =>
  Object.fromEntries(
    reports.flatMap(({ topic, partitions }) =>
      partitions.flatMap(({ partition, committed }) =>
        committed === undefined ? [] : [[`${topic}/${partition}`, String(committed)]],
      ),
    ),
  )

/** The first of what is missing, by stage; a person reads it in an alarm. */
function missingText({ stages, unfinished }: CloseRecord, count: number): string {
  const runs = stages.flatMap(({ stage, missing, lost }) => [
    ...missing.map((run) => `${stage} lacks ${run}`),
    ...lost.map((run) => `lost by Kafka's retention: ${run}`),
  ])
  const unread = unfinished.map((source) => `not read to its end: ${source}`)
  const all = [...runs, ...unread]
  const more = all.length > 5 ? `, and ${all.length - 5} runs more` : ''
  return `${count} missing: ${all.slice(0, 5).join(', ')}${more}`
}

async function within<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${ms / 1000} s`)), ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

const iso = (at: number): string => new Date(at).toISOString()
