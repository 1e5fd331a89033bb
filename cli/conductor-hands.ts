/**
 * What a conductor sees with and acts by: Kafka's admin, the ledger, and the machine of the consumer,
 * wherever the night is. What cannot be learned is left out.
 */
import { auditNight, type Audit, type Range } from '../conductor/audit.ts'
import { closeRecord, storeCloseRecord, type CloseRecord } from '../conductor/close.ts'
import { readLedgerSets, type LedgerSets } from '../conductor/ledger-sets.ts'
import type { Action, Ends, NightRecord, NightState } from '../conductor/night-record.ts'
import { knownNights, type KnownNight } from '../conductor/nights.ts'
import type { Notices } from '../conductor/notices.ts'
import type { NightReport } from '../conductor/report/gather.ts'
import { summaryNotice } from '../conductor/report/summary.ts'
import type { NightRules } from '../conductor/rules.ts'
import { isEnd, isOver, type AuditSummary, type Observations } from '../conductor/step.ts'
import { nightRecords, readNightRecord, type Hands } from '../conductor/tick.ts'
import type { TopicReport } from '../consumer/kafka/topics.ts'
import { NightjarError, sentenceOf } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import type { Night } from '../core/night.ts'
import type { Store } from '../core/ports.ts'
import { oldestDue } from './due-nights.ts'
import { filtersOf } from './night-filters.ts'
import { beganAt, type NightPlace } from './night-place.ts'
import { makeReport } from './night-report.ts'
import { alarmNotice } from './notify.ts'
import { sendMissing } from './send-missing.ts'

export interface HandsOptions {
  place: NightPlace
  /** The Kafka topics of a night, by their exact names. */
  topicsOf(night: Night): readonly string[]
  /** What Kafka says of a topic, and of what a group has committed of it. */
  probe(topic: string, group: string): Promise<TopicReport>
  rules: NightRules
  log: Log
  signal: AbortSignal
  now(): Date
  notices: Notices
  /** Tell in the morning how the night went. */
  summary: boolean
  /** Whether the consumer is ours to start and to stop; else somebody else takes the night in. */
  boots: boolean
}

const notOurs = 'KAFKA_TOPIC is NONE: somebody else consumes'

/** How long Kafka may take to answer before it is taken for silent, milliseconds. */
const kafkaMs = 20_000

export async function createHands(options: HandsOptions): Promise<Hands> {
  const { place, log } = options
  const { consumer, ground, store } = place
  const nights = await ground.topic('night')

  return {
    async observe(record, { audit: wantsAudit }) {
      const [topic, state] = await Promise.all([askKafka(record), askMachine(record)])
      const seen: Observations = { ...(state !== undefined && { consumer: state }) }
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
    const idle = (why: string | undefined): void => {
      if (why !== undefined) log('action_idle', { night, action: action.do, why })
    }
    switch (action.do) {
      case 'announce': {
        const { move } = action
        await announce({ event: 'night_moved', survey, night, ...move, at: iso(move.at) })
        return
      }
      case 'reset_counters':
        // Nobody says when somebody else begins: the stages receive from now on.
        if (!options.boots) idle(await place.attachStages())
        return idle(await place.resetCounters(beganAt(record)))
      case 'attach_stages':
        return idle(await place.attachStages())
      case 'detach_stages':
        return idle(await detachStages(record))
      case 'start_consumer':
        if (!options.boots) return idle(notOurs)
        await makeRoom(record)
        await consumer.start({ NIGHT: night, KAFKA_TOPIC: options.topicsOf(night).join(',') })
        log('machine_started', { machine: 'consumer', night })
        return
      case 'stop_consumer':
        return idle(options.boots ? await stopConsumer(record) : notOurs)
      case 'replay_missing':
        await replayMissing(record)
        return
      case 'close':
        await close(record, action.digest)
        return
      case 'report': {
        const proof = await proofOf(record)
        const report = await makeReport({ place, record, proof, now: options.now() })
        await announce({ event: 'night_reported', survey, night, ...report })
        if (options.summary) await summarise(report)
        return
      }
      case 'alarm': {
        const { key, text } = action
        await options.notices.add(alarmNotice(record, action), () =>
          log('alarm_raised', { night, key, text }),
        )
        return
      }
      case 'power_off': {
        const [other] = await othersUnderWay(record)
        if (other !== undefined) return idle(`the night of ${other} is still under way`)
        return idle(await place.powerOff())
      }
    }
  }

  async function summarise({ page, json }: { page: string; json: string }): Promise<void> {
    const found = await store.read(json)
    if (found === null) return
    const report = JSON.parse(Buffer.from(found.data).toString()) as NightReport
    await options.notices.add(summaryNotice(report, page))
  }

  async function announce(facts: Record<string, string>): Promise<void> {
    const { event = '', survey = '', night = '' } = facts
    await nights.publish({
      data: Buffer.from(JSON.stringify(facts)),
      attributes: { event, survey, night },
    })
  }

  async function askMachine({ night }: NightRecord): Promise<Observations['consumer']> {
    if (!options.boots) return undefined
    try {
      return await consumer.state()
    } catch (error) {
      log('night_unseen', { night, what: 'the consumer', reason: sentenceOf(error) })
      return undefined
    }
  }

  /** What Kafka says of the night's topics; undefined where it does not answer. */
  async function askKafka(record: NightRecord): Promise<TopicReport[] | undefined> {
    try {
      const asked = options
        .topicsOf(record.night)
        .map((topic) => options.probe(topic, place.groupOf(topic)))
      return await within(Promise.all(asked), kafkaMs)
    } catch (error) {
      log('night_unseen', { night: record.night, what: 'Kafka', reason: sentenceOf(error) })
      return undefined
    }
  }

  /** There is one consumer: one that stands there for a night that has ended makes room. */
  async function makeRoom({ survey, night }: NightRecord): Promise<void> {
    const other = (await consumer.metadata())?.['NIGHT']
    if (other === undefined || other === '' || other === night) return
    const { record } = await readNightRecord(store, survey, other, options.now().getTime())
    if (isEnd(record.state)) return consumer.stop()
    throw new NightjarError(
      'home_busy',
      `Cannot consume the night of ${night} in ${place.name}: that of ${other} is ` +
        `${record.state} there; end it, or wait for its end`,
    )
  }

  async function stopConsumer({ night, state }: NightRecord): Promise<string | undefined> {
    if (state === 'incomplete' && place.stagesInConsumer) {
      return 'its process has the stages, and what they have to do may complete the night'
    }
    if ((await consumer.state()) === 'stopped') return undefined
    if ((await consumer.metadata())?.['NIGHT'] !== night) return 'it was not started for this night'
    await consumer.stop()
    return undefined
  }

  /**
   * The stages are all nights'. A night that begins writes so before it attaches them: whoever detaches
   * looks once more afterwards, and so one of the two attaches them in any order of the two.
   */
  async function detachStages(record: NightRecord): Promise<string | undefined> {
    const [before] = await othersUnderWay(record)
    if (before !== undefined) return `the night of ${before} needs them`
    const idle = await place.detachStages()
    const [after] = await othersUnderWay(record)
    if (after === undefined) return idle
    await place.attachStages()
    return `the night of ${after} needs them`
  }

  /** Other nights of the survey whose alerts are being taken in, or may yet be completed. */
  async function othersUnderWay({ survey, night }: NightRecord): Promise<string[]> {
    const nights: string[] = []
    const now = options.now().getTime()
    for await (const record of nightRecords(store, survey, oldestDue(options.now()))) {
      if (record.night === night || isOver(record, now, options.rules)) continue
      if (underWay.includes(record.state)) nights.push(record.night)
    }
    return nights
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
    const queries = await place.openLedger()
    try {
      const { lateStages } = known
      const ledger = await readLedgerSets(queries.query, night, ranges, lateStages)
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
    const queries = await place.openLedger()
    try {
      const { signal } = options
      const { query } = queries
      const { notFound } = await sendMissing({ ground, query }, known, { log, signal })
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

const underWay: readonly NightState[] = [
  'running',
  'draining',
  'auditing',
  'incomplete',
  'reopened',
]

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
