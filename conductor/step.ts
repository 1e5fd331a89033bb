/**
 * The night as a state machine: a pure function of what is remembered, what is seen, and the clock.
 * It decides; `tick.ts` remembers the decision and acts on it.
 *
 * Two rules carry it. What was not seen is unknown: never zero, never proof. And a night ends as
 * `complete` only on an audit that covers all that Kafka holds at that moment and misses nothing;
 * clocks only say when to look and when to stop waiting.
 */
import type { Action, Ends, NightRecord, NightState } from './night-record.ts'
import type { NightRules } from './rules.ts'

export interface AuditSummary {
  /** What the audit covers. */
  ends: readonly Ends[]
  missing: number
  /** A sentence that names the first of what is missing, by stage. */
  missingText: string
  digest: string
}

/** What one tick saw. An absent field could not be learned. */
export interface Observations {
  topic?: { state: 'absent' | 'empty' | 'has_data' | 'expired'; ends: readonly Ends[] }
  /** Committed offset by `topic/partition`. */
  committed?: Readonly<Record<string, string>>
  consumer?: 'running' | 'starting' | 'stopping' | 'stopped'
  audit?: AuditSummary
}

export interface Step {
  record: NightRecord
  actions: Action[]
  /** Why, for a person. */
  why: string
}

/** An audit costs a query; a tick makes one only where the night's end hangs on it. */
export function wantsAudit(record: NightRecord, now: number, rules: NightRules): boolean {
  if (record.state === 'auditing') return true
  return record.state === 'incomplete' && now - (record.auditedAt ?? 0) >= rules.reauditEvery
}

/** Nothing can become of this night any more: Kafka has forgotten it. */
export function isOver(record: NightRecord, now: number, rules: NightRules): boolean {
  return isEnd(record.state) && now > record.dawn + rules.retention
}

/** The next state, and what is to be done. */
export function step(
  record: NightRecord,
  seen: Observations,
  now: number,
  rules: NightRules,
): Step {
  const looked = look(record, seen, now)
  switch (record.state) {
    case 'idle':
      return fromIdle(looked, now, rules)
    case 'waiting':
      return fromWaiting(looked, seen, now, rules)
    case 'running':
    case 'reopened':
      return fromRunning(looked, seen, now, rules)
    case 'draining':
      return fromDraining(looked, record, seen, now, rules)
    case 'auditing':
      return fromAuditing(looked, record, seen, now, rules)
    case 'complete':
    case 'incomplete':
    case 'no_alerts':
    case 'failed':
      return fromEnd(looked, seen, now, rules)
  }
}

/**
 * The next state of a night that a person ends: neither dawn nor stillness is waited for. The proof is
 * asked for all the same.
 */
export function hasten(
  record: NightRecord,
  seen: Observations,
  now: number,
  rules: NightRules,
): Step {
  const { state } = record
  const { topic } = seen
  const why = 'asked to end'
  if ((state === 'idle' || state === 'waiting') && topic && topic.state !== 'has_data') {
    return endEmpty(record, now, why)
  }
  if ((state === 'running' || state === 'reopened') && topic !== undefined) {
    return go(look(record, seen, now), 'draining', now, why, now + rules.drainLimit, [])
  }
  return step(record, seen, now, rules)
}

function fromIdle(record: NightRecord, now: number, rules: NightRules): Step {
  const from = record.dusk - rules.lead
  if (now < from) return stay({ ...record, deadline: from }, 'dusk is far')
  return go(record, 'waiting', now, 'dusk is near', record.dawn + rules.noAlertsAfter, [
    { do: 'reset_counters' },
  ])
}

function fromWaiting(
  record: NightRecord,
  { topic }: Observations,
  now: number,
  rules: NightRules,
): Step {
  if (topic?.state === 'has_data') return open(record, 'running', now, 'the topic has data', rules)
  if (topic?.state === 'expired') {
    const until = now + rules.auditLimit
    return go(record, 'auditing', now, 'Kafka has forgotten the topic', until, [])
  }
  if (!isPast(record, now)) {
    return stay(
      record,
      topic === undefined ? 'Kafka cannot be asked' : `the topic is ${topic.state}`,
    )
  }
  if (topic === undefined) return fail(record, now, 'Kafka could not be asked until the deadline')
  return endEmpty(record, now, `the topic is ${topic.state} long after dawn`)
}

function endEmpty(record: NightRecord, now: number, why: string): Step {
  return go(record, 'no_alerts', now, why, null, [{ do: 'report' }, { do: 'power_off' }])
}

function fromRunning(
  record: NightRecord,
  { topic, consumer }: Observations,
  now: number,
  rules: NightRules,
): Step {
  if (topic === undefined) {
    if (isPast(record, now)) return fail(record, now, 'Kafka could not be asked until the deadline')
    return stay(record, 'Kafka cannot be asked')
  }
  const until = now + rules.drainLimit
  if (topic.state === 'absent' || topic.state === 'expired') {
    return go(record, 'draining', now, `the topic is ${topic.state}`, until, [])
  }
  if (record.late || now >= record.dawn + rules.gate) {
    const still = record.stableSince === null ? 0 : now - record.stableSince
    if (still >= rules.stable) {
      return go(record, 'draining', now, 'nothing new has come for long enough', until, [])
    }
    if (isPast(record, now)) {
      const told = alarm(
        record,
        now,
        'still_growing',
        'The topic still grows at the deadline; audited all the same',
      )
      return go(told.record, 'draining', now, 'the deadline passed', until, told.actions)
    }
  }
  return revive(record, { topic, ...(consumer && { consumer }) }, now, 'alerts come in')
}

/** Stay, and start the consumer again where it died with something left to read. */
function revive(
  record: NightRecord,
  { topic, consumer }: Observations,
  now: number,
  why: string,
): Step {
  if (consumer !== 'stopped' || topic?.state === 'expired' || topic?.state === 'absent') {
    return stay(record, why)
  }
  // Whoever decided to start it died before that was done: it did not stop, it never ran.
  if (record.pending.some((left) => left.do === 'start_consumer')) return stay(record, why)
  const told = alarm(
    record,
    now,
    'consumer_stopped',
    'The consumer was found stopped and is started again',
  )
  return {
    record: told.record,
    actions: [...told.actions, { do: 'start_consumer' }],
    why: 'the consumer is not running',
  }
}

function fromDraining(
  record: NightRecord,
  before: NightRecord,
  seen: Observations,
  now: number,
  rules: NightRules,
): Step {
  const { topic, committed } = seen
  if (isInterrupted(before, record)) return again(record, now, rules)
  const until = now + rules.auditLimit
  const behind =
    topic === undefined || committed === undefined ? null : lagOf(topic.ends, committed)
  if (behind === 0n) return go(record, 'auditing', now, 'all is committed', until, [])
  const state = behind === null ? 'the lag is unknown' : `${behind} records are not committed`
  if (!isPast(record, now)) return revive(record, seen, now, state)
  const told = alarm(record, now, 'not_drained', `The consumer did not catch up in time: ${state}`)
  return go(told.record, 'auditing', now, `the deadline passed: ${state}`, until, told.actions)
}

function fromAuditing(
  record: NightRecord,
  before: NightRecord,
  seen: Observations,
  now: number,
  rules: NightRules,
): Step {
  const { topic, audit } = seen
  if (isInterrupted(before, record)) return again(record, now, rules)
  const audited =
    audit === undefined ? record : { ...record, auditedAt: now, owed: owedBy(audit, record, now) }
  // Without Kafka's word of this moment an audit does not cover what came since the last one.
  const proven = topic !== undefined && audit !== undefined && proves(audit, record, topic.ends)
  if (proven) return close(audited, 'complete', now, audit)

  const why = audit === undefined ? 'the audit cannot be made' : whyNot(audit, topic !== undefined)
  if (isPast(record, now)) {
    const told = alarm(
      audited,
      now,
      'incomplete',
      `The night of ${record.night} is not accounted for: ${why}`,
    )
    return close(told.record, 'incomplete', now, audit, told.actions)
  }
  // While it gets less, the stages are only behind: to send that again would make them more so.
  const settled = now - Math.max(record.since, audited.owed?.since ?? now) >= rules.settle
  if (audit !== undefined && audit.missing > 0 && settled && record.replayedAt === null) {
    const replayed = { ...audited, replayedAt: now }
    return { record: replayed, actions: [{ do: 'replay_missing' }], why }
  }
  return revive(audited, seen, now, why)
}

function owedBy(
  { missing }: AuditSummary,
  { owed }: NightRecord,
  now: number,
): NightRecord['owed'] {
  return owed?.missing === missing ? owed : { missing, since: now }
}

function fromEnd(record: NightRecord, seen: Observations, now: number, rules: NightRules): Step {
  const { topic, audit } = seen
  const known = record.closed?.ends ?? []
  if (topic?.state === 'has_data' && !covers(known, topic.ends)) {
    if (now <= record.dawn + rules.retention) {
      return open({ ...record, late: true }, 'reopened', now, 'alerts came after the end', rules)
    }
  }
  if (record.state === 'failed' && record.ends.length === 0 && topic !== undefined) {
    const kept = now <= record.dawn + rules.retention
    const none = topic.state === 'absent' || topic.state === 'empty'
    if (kept && none) return endEmpty(record, now, `Kafka is back, and the topic is ${topic.state}`)
  }
  if (record.state === 'incomplete' && audit !== undefined) {
    const audited = { ...record, auditedAt: now }
    if (topic !== undefined && proves(audit, record, topic.ends)) {
      return close(audited, 'complete', now, audit)
    }
    return stay(audited, whyNot(audit, topic !== undefined))
  }
  return stay(record, 'the night has ended')
}

/** Take in what Kafka says: growth, and since when there was none. */
function look(record: NightRecord, { topic }: Observations, now: number): NightRecord {
  if (topic === undefined || isEnd(record.state)) return record
  if (covers(record.ends, topic.ends)) {
    return { ...record, stableSince: record.stableSince ?? now }
  }
  return { ...record, ends: [...topic.ends], stableSince: now }
}

/** Let alerts in, for the first time or again. */
function open(
  record: NightRecord,
  to: 'running' | 'reopened',
  now: number,
  why: string,
  rules: NightRules,
): Step {
  const deadline = Math.max(now, record.dawn) + rules.runLimit
  const fresh = {
    ...record,
    replayedAt: null,
    auditedAt: null,
    owed: null,
    alarms: [],
    stableSince: now,
  }
  return go(fresh, to, now, why, deadline, [{ do: 'attach_stages' }, { do: 'start_consumer' }])
}

/** More came while the night was being closed. */
function again(record: NightRecord, now: number, rules: NightRules): Step {
  const to = record.late ? 'reopened' : 'running'
  return open(record, to, now, 'the topic grew again', rules)
}

function close(
  record: NightRecord,
  state: 'complete' | 'incomplete',
  now: number,
  audit: AuditSummary | undefined,
  before: Action[] = [],
): Step {
  const digest = audit?.digest ?? ''
  const ends = state === 'complete' && audit !== undefined ? [...audit.ends] : record.ends
  const closed = { at: now, state, digest, ends }
  // An incomplete night keeps its stages: what they still have to do may complete it.
  const stages: Action[] = state === 'complete' ? [{ do: 'detach_stages' }] : []
  const why = state === 'complete' ? 'every alert is accounted for' : 'the deadline passed'
  return go({ ...record, closed }, state, now, why, null, [
    ...before,
    { do: 'stop_consumer' },
    { do: 'close', digest, state },
    { do: 'report' },
    ...stages,
    { do: 'power_off' },
  ])
}

function fail(record: NightRecord, now: number, why: string): Step {
  const told = alarm(
    record,
    now,
    'failed',
    `Nothing can be said of the night of ${record.night}: ${why}`,
  )
  return go(told.record, 'failed', now, why, null, [
    ...told.actions,
    { do: 'stop_consumer' },
    { do: 'report' },
  ])
}

const remembered = 100

function go(
  record: NightRecord,
  to: NightState,
  now: number,
  why: string,
  deadline: number | null,
  actions: Action[],
): Step {
  const move = { from: record.state, to, at: now, why }
  const history = [...record.history, move].slice(-remembered)
  return {
    record: { ...record, state: to, since: now, deadline, history },
    actions: [{ do: 'announce', move }, ...actions],
    why,
  }
}

const stay = (record: NightRecord, why: string): Step => ({ record, actions: [], why })

/** Raise an alarm once. */
function alarm(
  record: NightRecord,
  now: number,
  key: string,
  text: string,
): { record: NightRecord; actions: Action[] } {
  if (record.alarms.includes(key)) return { record, actions: [] }
  return {
    record: { ...record, alarms: [...record.alarms, key] },
    actions: [{ do: 'alarm', key, text, at: now }],
  }
}

const isPast = ({ deadline }: NightRecord, now: number): boolean =>
  deadline !== null && now > deadline

/** Whether a night rests in this state. */
export const isEnd = (state: NightState): boolean =>
  state === 'complete' || state === 'incomplete' || state === 'no_alerts' || state === 'failed'

/** Growth sends a closing night back, unless it is closed in spite of its growth. */
const isInterrupted = (before: NightRecord, after: NightRecord): boolean =>
  before.ends !== after.ends && !after.alarms.includes('still_growing')

/** The audit misses nothing, and reaches to all that Kafka holds now or ever was seen to hold. */
const proves = (audit: AuditSummary, record: NightRecord, ends: readonly Ends[]): boolean =>
  audit.missing === 0 && covers(audit.ends, ends) && covers(audit.ends, record.ends)

const keyOf = ({ topic, partition }: Ends): string => `${topic}/${partition}`

/** Whether `known` reaches to every end of `ends`. What retention took away at the low end is no growth. */
function covers(known: readonly Ends[], ends: readonly Ends[]): boolean {
  const highs = new Map(known.map((end) => [keyOf(end), BigInt(end.high)]))
  return ends.every((end) => (highs.get(keyOf(end)) ?? -1n) >= BigInt(end.high))
}

function lagOf(ends: readonly Ends[], committed: Readonly<Record<string, string>>): bigint {
  let lag = 0n
  for (const end of ends) {
    const at = BigInt(committed[keyOf(end)] ?? end.low)
    if (at < BigInt(end.high)) lag += BigInt(end.high) - at
  }
  return lag
}

function whyNot({ missing, missingText }: AuditSummary, topicKnown: boolean): string {
  if (missing > 0) return missingText
  return topicKnown ? 'the audit does not reach the end of the topic' : 'Kafka cannot be asked'
}
