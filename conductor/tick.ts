/**
 * One tick of a night: look, decide, remember, act. A tick may die anywhere. The decision is written,
 * with the actions it asks for, before the first of them is done, and each is struck off after it is
 * done; the next tick begins with what is left. Actions are such that doing one twice does no harm.
 *
 * Two conductors cannot both act: whoever acts holds the record's lease, each write is a compare-and-set
 * on what was read, and who loses one stops at once.
 */
import { sentenceOf } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import type { Survey } from '../core/names.ts'
import type { Night } from '../core/night.ts'
import type { Store } from '../core/ports.ts'
import { darkness } from './darkness.ts'
import { newNightRecord, type Action, type NightRecord } from './night-record.ts'
import type { NightRules } from './rules.ts'
import { hasten, step, wantsAudit, type Observations } from './step.ts'

/** What a conductor sees with and acts by. */
export interface Hands {
  /** Never rejects for what cannot be learned: that is left out. */
  observe(record: NightRecord, wants: { audit: boolean }): Promise<Observations>
  /** Resolves when the action is done. Doing it again must do no harm. */
  act(action: Action, record: NightRecord): Promise<void>
}

export interface TickOptions {
  survey: Survey
  night: Night
  store: Store
  hands: Hands
  rules: NightRules
  log: Log
  /** Tells this conductor from every other, and one run of it from the next. */
  owner: string
  /** The process of this conductor, and whether another has surely ended; absent where nobody can tell. */
  process?: { name: string; hasEnded(name: string): boolean }
  /** A person ends the night: wait neither for dawn nor for stillness. */
  hasten?: boolean
  now(): number
}

export interface Tick {
  /** `lost`: another conductor holds the night, and nothing was done. */
  outcome: 'done' | 'lost'
  record: NightRecord
  why: string
  done: Action[]
  /** Actions that failed and are tried again at the next tick. */
  left: Action[]
}

/** How long a conductor that says nothing keeps the night from others, in milliseconds. */
export const leaseMs = 10 * 60_000

/** The object that holds a night's record. */
export const nightRecordName = (survey: Survey, night: Night): string =>
  `conductor/${survey}_${night}.json`

/** Read a night's record; a night of which nothing is written yet begins as `idle`. */
export async function readNightRecord(
  store: Store,
  survey: Survey,
  night: Night,
  now: number,
): Promise<{ record: NightRecord; generation: string | null }> {
  const found = await store.read(nightRecordName(survey, night))
  if (found !== null) {
    const record = JSON.parse(Buffer.from(found.data).toString()) as NightRecord
    return { record, generation: found.object.generation }
  }
  return {
    record: newNightRecord(survey, night, darkness(survey, night), now),
    generation: null,
  }
}

/** The nights from a date on that were ever conducted, oldest first. */
export async function* nightRecords(
  store: Store,
  survey: Survey,
  from: Night,
): AsyncGenerator<NightRecord> {
  for await (const { name } of store.list(`conductor/${survey}_`)) {
    const found = name < nightRecordName(survey, from) ? null : await store.read(name)
    if (found !== null) yield JSON.parse(Buffer.from(found.data).toString()) as NightRecord
  }
}

/** What a tick would decide now, with nothing written and nothing done. */
export async function dryRun(
  options: Omit<TickOptions, 'log' | 'owner'>,
): Promise<{ before: NightRecord; after: NightRecord; actions: Action[]; why: string }> {
  const { survey, night, store, hands, rules, now } = options
  const { record } = await readNightRecord(store, survey, night, now())
  const seen = await hands.observe(record, { audit: wantsAudit(record, now(), rules) })
  const decide = options.hasten === true ? hasten : step
  const decided = decide(record, seen, now(), rules)
  const actions = mergeActions(record.pending, decided.actions)
  return { before: record, after: decided.record, actions, why: decided.why }
}

/** Do the one next step of a night. */
export async function tick(options: TickOptions): Promise<Tick> {
  const { survey, night, store, hands, rules, log, owner, now } = options
  const name = nightRecordName(survey, night)
  const read = await readNightRecord(store, survey, night, now())
  let { record, generation } = read

  /** Write what is remembered, if nobody else has written since. */
  async function remember(next: NightRecord): Promise<boolean> {
    const data = Buffer.from(`${JSON.stringify(next, null, 1)}\n`)
    const written = await store.replace(name, data, generation)
    if (written === null) return false
    generation = written.generation
    record = next
    return true
  }
  const lease = (): NightRecord['lease'] => ({
    ...{ owner, until: now() + leaseMs },
    ...(options.process && { process: options.process.name }),
  })
  const done: Action[] = []
  const lost = (): Tick => ({
    outcome: 'lost',
    record,
    why: 'another conductor holds the night',
    done,
    left: record.pending,
  })

  if (isHeld(record, options) || !(await remember({ ...record, lease: lease() }))) return lost()

  const seen = await hands.observe(record, { audit: wantsAudit(record, now(), rules) })
  const before = record.state
  const decide = options.hasten === true ? hasten : step
  const decided = decide(record, seen, now(), rules)
  const pending = mergeActions(record.pending, decided.actions)
  if (!(await remember({ ...decided.record, pending, lease: lease() }))) return lost()
  if (record.state !== before) {
    log('night_moved', { night, from: before, to: record.state, why: decided.why })
  }

  const failed = new Set<Action>()
  for (const action of pending) {
    try {
      await hands.act(action, record)
      done.push(action)
      log('action_done', { night, action: action.do })
    } catch (error) {
      failed.add(action)
      log('action_failed', { night, action: action.do, reason: sentenceOf(error) })
      continue
    }
    const rest = record.pending.filter((other) => other !== action)
    if (!(await remember({ ...record, pending: rest, lease: lease() }))) return lost()
  }
  if (!(await remember({ ...record, lease: null }))) return lost()
  return { outcome: 'done', record, why: decided.why, done, left: record.pending }
}

/** Another conductor holds the night, and is not known to be dead. */
function isHeld({ lease }: NightRecord, options: TickOptions): boolean {
  if (lease === null || lease.owner === options.owner || lease.until <= options.now()) return false
  return lease.process === undefined || options.process?.hasEnded(lease.process) !== true
}

/** What an action makes pointless that an earlier tick decided and did not come to do. */
const undoes: Partial<Record<Action['do'], readonly Action['do'][]>> = {
  // Who lets alerts in again must not close the night as it was before they came.
  attach_stages: ['detach_stages', 'close', 'report', 'power_off'],
  detach_stages: ['attach_stages'],
  start_consumer: ['stop_consumer'],
  stop_consumer: ['start_consumer'],
}

/** What is to be done now: what is left, unless the newest word says the same or takes it back. */
export function mergeActions(left: readonly Action[], decided: readonly Action[]): Action[] {
  const isStale = (old: Action): boolean =>
    decided.some((fresh) => undoes[fresh.do]?.includes(old.do) === true || isSame(old, fresh))
  return [...left.filter((old) => !isStale(old)), ...decided]
}

/** Each announcement and each alarm is one of its own; of all others the newest word counts. */
const isSame = (a: Action, b: Action): boolean =>
  a.do === 'alarm' || a.do === 'announce' ? JSON.stringify(a) === JSON.stringify(b) : a.do === b.do
