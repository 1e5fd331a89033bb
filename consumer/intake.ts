/**
 * The intake: read a source, relay its records side by side within bounds, and commit, partition by
 * partition, the contiguous prefix of what is durable. A crash anywhere repeats what was not committed.
 */
import { formatOccurrence } from '../core/alert.ts'
import { NightjarError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import type { Outcome } from '../core/ledger.ts'
import { createPace } from './pace.ts'
import type { Relay } from './relay.ts'
import type { Source, SourceGap, SourceRecord } from './source.ts'
import { createTracker, type Tracker } from './tracker.ts'

export interface IntakeOptions {
  source: Source
  relay: Relay
  log: Log
  /** Records a second at most; unlimited if absent. */
  rate?: number
  maxBytesInFlight?: number
  maxInFlight?: number
  commitMs?: number
  /** A record that is under way for longer ends the intake: what hangs must not hang for ever. */
  deadlineMs?: number
}

export interface IntakeCounts {
  records: number
  bytes: number
  inFlight: number
  bytesInFlight: number
  outcomes: Partial<Record<Outcome, number>>
}

export interface Intake {
  /** Take in until the source ends or the signal fires; then wait for what is under way and commit. */
  run(signal: AbortSignal): Promise<void>
  counts(): IntakeCounts
}

/** Make the intake of one source. */
export function createIntake(options: IntakeOptions): Intake {
  const { source, relay, log } = options
  const { maxBytesInFlight = 16 << 20, maxInFlight = 512, commitMs = 500 } = options
  const { deadlineMs = 300_000 } = options
  const trackers = new Map<string, Tracker>()
  /** What was committed last, as text: an idle source is not written to again and again. */
  let committed = ''
  const counts: IntakeCounts = { records: 0, bytes: 0, inFlight: 0, bytesInFlight: 0, outcomes: {} }
  /** What is under way, oldest first, and since when. */
  const underway = new Map<SourceRecord | SourceGap, number>()
  let failure: unknown
  // A failure of ours stops the reading as the caller's signal does, but is thrown in the end.
  const stop = new AbortController()
  let wakeUp = (): void => {}

  async function run(signal: AbortSignal): Promise<void> {
    const ended = AbortSignal.any([signal, stop.signal])
    const pace = createPace(options.rate)
    for (const range of await source.ranges()) {
      trackers.set(keyOf(range), createTracker(range.next))
    }
    let committing: Promise<void> = Promise.resolve()
    const timer = setInterval(() => {
      committing = committing.then(commitChanges).catch(fail)
      checkDeadline()
    }, commitMs)
    try {
      for await (const item of source.records(ended)) {
        if (item.kind === 'start') {
          trackers.set(keyOf(item), createTracker(item.offset))
          continue
        }
        while (counts.inFlight > 0 && !hasRoom(item) && failure === undefined) await change()
        if (failure !== undefined) break
        if (item.kind === undefined) await pace(ended)
        take(item)
        if (ended.aborted) break
      }
    } finally {
      // Where the source failed, what it gave before is taken in nevertheless.
      while (counts.inFlight > 0 && failure === undefined) await change()
      clearInterval(timer)
      await committing
      await commit()
    }
    if (failure !== undefined) throw failure
    log('intake_ended', { records: counts.records, bytes: counts.bytes })
  }

  function fail(error: unknown): void {
    failure ??= error
    stop.abort()
    wakeUp()
  }

  function checkDeadline(): void {
    const [oldest] = underway
    if (oldest === undefined || performance.now() - oldest[1] < deadlineMs) return
    fail(
      new NightjarError(
        'publish_failed',
        `Cannot go on: ${formatOccurrence(oldest[0])} is under way for more than ` +
          `${deadlineMs / 1000} s; its offset is not committed and will be read again`,
      ),
    )
  }

  const hasRoom = (item: SourceRecord | SourceGap): boolean =>
    counts.inFlight < maxInFlight && counts.bytesInFlight + bytesOf(item) <= maxBytesInFlight
  const change = (): Promise<void> => new Promise((resolve) => (wakeUp = resolve))

  /** Start on a record. Its place in the order is taken now; the rest happens beside its neighbours. */
  function take(record: SourceRecord | SourceGap): void {
    const tracker = trackerOf(record)
    const isGap = record.kind === 'gap'
    const gap = tracker.begin(record.offset, isGap ? record.span : 1n)
    const bytes = bytesOf(record)
    if (!isGap) counts.records++
    counts.bytes += bytes
    underway.set(record, performance.now())
    counts.inFlight++
    counts.bytesInFlight += bytes
    relay(record, gap)
      .then((outcome) => {
        counts.outcomes[outcome] = (counts.outcomes[outcome] ?? 0) + 1
        tracker.done(record.offset)
      })
      .catch(fail)
      .finally(() => {
        underway.delete(record)
        counts.inFlight--
        counts.bytesInFlight -= bytes
        wakeUp()
      })
  }

  function trackerOf(record: SourceRecord | SourceGap): Tracker {
    const key = keyOf(record)
    let tracker = trackers.get(key)
    if (tracker === undefined) {
      tracker = createTracker()
      trackers.set(key, tracker)
    }
    return tracker
  }

  async function commitChanges(): Promise<void> {
    if (standing() !== committed) await commit()
  }

  const standing = (): string => [...trackers.values()].map((tracker) => tracker.next()).join()

  async function commit(): Promise<void> {
    const at = standing()
    const positions = [...trackers].flatMap(([key, tracker]) => {
      const [topic, partition] = key.split('\0') as [string, string]
      const next = tracker.next()
      return next === undefined ? [] : [{ topic, partition: Number(partition), next }]
    })
    if (positions.length > 0) await source.commit(positions)
    committed = at
  }

  return { run, counts: () => counts }
}

const bytesOf = (item: SourceRecord | SourceGap): number =>
  item.kind === 'gap' ? 0 : (item.value?.length ?? 0)

const keyOf = ({ topic, partition }: { topic: string; partition: number }): string =>
  `${topic}\0${partition}`
