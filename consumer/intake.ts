/**
 * The intake: read a source, relay its records side by side within bounds, and commit, partition by
 * partition, the contiguous prefix of what is durable. A crash anywhere repeats what was not committed.
 */
import type { Log } from '../core/log.ts'
import type { Outcome } from '../core/ledger.ts'
import { createPace } from './pace.ts'
import type { Relay } from './relay.ts'
import type { Source, SourceRecord } from './source.ts'
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
}

export interface IntakeCounts {
  records: number
  bytes: number
  inFlight: number
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
  const trackers = new Map<string, Tracker>()
  /** What was committed last, as text: an idle source is not written to again and again. */
  let committed = ''
  const counts: IntakeCounts = { records: 0, bytes: 0, inFlight: 0, outcomes: {} }
  let bytesInFlight = 0
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
    }, commitMs)
    try {
      for await (const record of source.records(ended)) {
        while (counts.inFlight > 0 && !hasRoom(record) && failure === undefined) await change()
        if (failure !== undefined) break
        await pace(ended)
        take(record)
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

  const hasRoom = (record: SourceRecord): boolean =>
    counts.inFlight < maxInFlight && bytesInFlight + (record.value?.length ?? 0) <= maxBytesInFlight
  const change = (): Promise<void> => new Promise((resolve) => (wakeUp = resolve))

  /** Start on a record. Its place in the order is taken now; the rest happens beside its neighbours. */
  function take(record: SourceRecord): void {
    const tracker = trackerOf(record)
    const gap = tracker.begin(record.offset)
    const bytes = record.value?.length ?? 0
    counts.records++
    counts.bytes += bytes
    counts.inFlight++
    bytesInFlight += bytes
    relay(record, gap)
      .then((outcome) => {
        counts.outcomes[outcome] = (counts.outcomes[outcome] ?? 0) + 1
        tracker.done(record.offset)
      })
      .catch(fail)
      .finally(() => {
        counts.inFlight--
        bytesInFlight -= bytes
        wakeUp()
      })
  }

  function trackerOf(record: SourceRecord): Tracker {
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

const keyOf = ({ topic, partition }: { topic: string; partition: number }): string =>
  `${topic}\0${partition}`
