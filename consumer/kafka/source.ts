/**
 * A topic of Kafka as a source. Fetching and relaying are decoupled by a queue that is bounded in
 * bytes; offsets are committed only as the intake says so, n + 1 of a contiguous prefix; whatever
 * kafkajs keeps to itself (a crash, a connection that says nothing, a commit that was not done) ends
 * in an error here or is done again.
 */
import type { Admin, Kafka } from 'kafkajs'

import { NightjarError, sentenceOf } from '../../core/errors.ts'
import type { Log } from '../../core/log.ts'
import type { Store } from '../../core/ports.ts'
import type { PartitionRange, Position, Source, SourceItem } from '../source.ts'
import { defaultTuning, joinGroup, type Membership, type Tuning } from './membership.ts'
import { createPositions } from './positions.ts'
import { openProgress } from './progress.ts'
import { createQueue } from './queue.ts'
import { describeTopic } from './topics.ts'
import { checkStart, readWatermarks, startOf } from './watermarks.ts'

export interface KafkaSourceOptions {
  /** Makes a client; called again where the connection is to be made anew. */
  connect: () => Promise<Kafka>
  topic: string
  /** See `groupId` in core/names.ts: it carries survey and instance, and belongs to this topic. */
  group: string
  /** Where progress is kept for the audit. */
  store: Store
  log: Log
  /** End at the high watermarks of now, instead of going on until the signal. */
  once?: boolean
  /** Bytes that wait between fetching and relaying; one fetch more may be in memory. */
  queueBytes?: number
  /** No sign of life from kafkajs for so long is a failure. */
  silenceMs?: number
  tuning?: Partial<Tuning>
}

export interface KafkaSource extends Source {
  /** Finish the membership and join again by a new connection, as when credentials expire. */
  renew(): Promise<void>
  /** Offsets behind the high watermarks, and what is handed out: for metrics and for the curious. */
  lag(): { partition: number; next: bigint; high: bigint; committed: bigint | undefined }[]
  /** kafkajs shows signs of life, and what it fetched is being taken: for a watchdog outside. */
  getsOn(): boolean
  /** How often a new connection or membership was begun. */
  connections(): number
}

const flushMs = 1000
const saveMs = 5000
/** After so long a silence it is asked whether the topic is still there. */
const probeMs = 5000
const closeMs = 10_000

/** Open a topic that exists. Throws `source_failed` where it does not, or its log is not what it was. */
export async function openKafkaSource(options: KafkaSourceOptions): Promise<KafkaSource> {
  const { topic, group, log, once = false } = options
  const { queueBytes = 16 << 20, silenceMs = 300_000 } = options
  const tuning = { ...defaultTuning, ...options.tuning }
  const queue = createQueue<SourceItem>(queueBytes)
  const positions = createPositions(topic)
  const progress = await openProgress(options.store, topic, `kafka:${group}`)
  /** What is to be committed, and what the broker has taken. */
  const wanted = new Map<number, bigint>()
  const committed = new Map<number, bigint>()
  const highs = new Map<number, bigint>()
  let ends: ReadonlyMap<number, bigint> = new Map()
  let membership: Membership | undefined
  let connections = 0
  let flushing: Promise<void> | undefined
  let savedAt = performance.now()
  let takenBefore = 0
  let probing = false
  /** The topic was deleted: nobody takes its commits any more. */
  let gone = false

  let kafka = await options.connect()
  let admin = await connectAdmin(kafka)
  try {
    await describe()
  } catch (error) {
    await admin.disconnect().catch(() => {})
    throw error
  }

  /** Note what the broker says now; where the topic is not there, say so. */
  async function describe(): Promise<void> {
    const report = await describeTopic(admin, topic, group)
    if (report.state === 'absent') {
      throw new NightjarError(
        'source_failed',
        `Cannot consume "${topic}": the broker has no such topic; --wait waits for it`,
      )
    }
    for (const { partition, low, high } of report.partitions) {
      progress.note(partition, { low: progress.next(partition) ?? low, high })
      highs.set(partition, high)
    }
  }

  async function connectAdmin(client: Kafka): Promise<Admin> {
    const made = client.admin({ retry: { initialRetryTime: 200, maxRetryTime: 3000, retries: 5 } })
    await made.connect()
    return made
  }

  /** Where newly assigned partitions begin. */
  async function startsOf(partitions: readonly number[]): Promise<Map<number, bigint>> {
    const starts = new Map<number, bigint>()
    if (partitions.length === 0) return starts
    for (const at of await readWatermarks(admin, topic, group)) {
      if (!partitions.includes(at.partition)) continue
      const start = startOf(at, progress.next(at.partition))
      checkStart(topic, at, start)
      starts.set(at.partition, start)
      highs.set(at.partition, at.high)
      progress.note(at.partition, { low: start < at.low ? start : at.low, high: at.high })
      wanted.delete(at.partition)
      committed.set(at.partition, start)
    }
    return starts
  }

  async function join(): Promise<Membership> {
    connections++
    return joinGroup({
      kafka,
      topic,
      group,
      tuning,
      log,
      queue,
      positions,
      startsOf,
      onMoved(heard) {
        if (heard !== undefined) {
          highs.set(heard.partition, heard.high)
          progress.note(heard.partition, { high: heard.high })
        }
        if (once && isRead()) finish()
      },
      onCommitted(taken) {
        for (const { partition, next } of taken) {
          committed.set(partition, next)
          if (wanted.get(partition) === next) wanted.delete(partition)
          progress.note(partition, { next })
        }
      },
      onFailed: (error) => void explain(error).then(queue.fail),
      onCrashed(error) {
        connections++
        log('kafka_said', { level: 'warning', namespace: 'Crash', message: sentenceOf(error) })
        void explain(undefined).then((reason) => reason && queue.fail(reason))
      },
    })
  }

  /** A failure because the topic is gone says so; what else may be, may pass. */
  async function explain<T extends NightjarError | undefined>(
    error: T,
  ): Promise<T | NightjarError> {
    try {
      const { state } = await describeTopic(admin, topic)
      if (state !== 'absent') return error
    } catch {
      return error
    }
    gone = true
    return new NightjarError(
      'source_failed',
      `Cannot go on consuming "${topic}": the topic was deleted while it was read; what was ` +
        'handed out is accounted for, the rest is lost to us',
      { cause: error },
    )
  }

  /** Everything up to the ends of the beginning has been handed out, by us or by the group. */
  const isRead = (): boolean =>
    [...ends].every(([partition, end]) => {
      const next = positions.next(partition) ?? committed.get(partition) ?? -1n
      return next >= end || end === 0n
    })

  function finish(): void {
    membership?.quiet()
    progress.ended(true)
    queue.end()
  }

  /** Commit what is wanted and not yet taken; what fails is tried again by the timer. */
  function flush(): Promise<void> {
    flushing ??= commitWanted().finally(() => (flushing = undefined))
    return flushing
  }

  async function commitWanted(): Promise<void> {
    const left = outstanding()
    if (left.length === 0 || membership === undefined || gone) return
    try {
      await membership.commit(left)
    } catch (error) {
      log('commit_retried', { topic, reason: sentenceOf(error) })
    }
    if (performance.now() - savedAt > saveMs) await save()
  }

  async function save(): Promise<void> {
    savedAt = performance.now()
    await progress.save()
  }

  const outstanding = (): Position[] =>
    [...wanted].flatMap(([partition, next]) =>
      positions.next(partition) !== undefined && next > (committed.get(partition) ?? -1n)
        ? [{ topic, partition, next }]
        : [],
    )

  async function* records(signal: AbortSignal): AsyncGenerator<SourceItem> {
    ends = new Map(highs)
    progress.ended(false)
    await save()
    const stop = (): void => membership?.quiet()
    signal.addEventListener('abort', stop)
    const timer = setInterval(() => {
      void flush().catch(queue.fail)
      watch()
    }, flushMs)
    try {
      membership = await join()
      if (once && isRead()) finish()
      yield* queue.items(signal)
    } finally {
      clearInterval(timer)
      signal.removeEventListener('abort', stop)
      membership?.quiet()
    }
  }

  /** kafkajs has no watchdog of its own; and partitions of others end without our seeing it. */
  function watch(): void {
    if (membership === undefined) return
    const silent = performance.now() - membership.lastSign()
    if (silent > silenceMs) {
      queue.fail(
        new NightjarError(
          'source_failed',
          `Cannot go on consuming "${topic}": no sign of life for ${Math.round(silent / 1000)} s`,
        ),
      )
    }
    if (silent > probeMs && !probing) {
      probing = true
      void explain(undefined).then((reason) => {
        probing = false
        if (reason !== undefined) queue.fail(reason)
      })
    }
    if (once && !isRead() && positions.partitions().length < ends.size) void lookAtOthers()
  }

  async function lookAtOthers(): Promise<void> {
    const all = await readWatermarks(admin, topic, group).catch(() => [])
    for (const { partition, committed: next } of all) {
      if (positions.next(partition) === undefined && next !== undefined) {
        committed.set(partition, next)
      }
    }
    if (isRead()) finish()
  }

  return {
    records,
    async commit(given) {
      for (const { topic: of, partition, next } of given) {
        if (of === topic && next > (committed.get(partition) ?? -1n)) wanted.set(partition, next)
      }
      await flush()
    },
    async ranges(): Promise<PartitionRange[]> {
      await describe()
      return progress
        .partitions()
        .map(({ partition, low, high, next }) => ({ topic, partition, low, high, next }))
    },
    async renew() {
      const before = membership
      membership = undefined
      before?.quiet()
      if (before !== undefined) await settle(before)
      await before?.leave()
      await admin.disconnect().catch(() => {})
      kafka = await options.connect()
      admin = await connectAdmin(kafka)
      membership = await join()
    },
    lag: () =>
      [...highs].map(([partition, high]) => ({
        partition,
        high,
        next: positions.next(partition) ?? committed.get(partition) ?? 0n,
        committed: committed.get(partition),
      })),
    getsOn() {
      const taken = queue.taken()
      const moved = taken !== takenBefore || queue.isEmpty()
      takenBefore = taken
      const silent = performance.now() - (membership?.lastSign() ?? performance.now())
      return moved && silent < silenceMs / 2
    },
    connections: () => connections,
    async close() {
      if (membership !== undefined) await settle(membership)
      await membership?.leave()
      membership = undefined
      await save().finally(() => admin.disconnect().catch(() => {}))
    },
  }

  /** The last commits of a membership, as far as the broker takes them. */
  async function settle(of: Membership): Promise<void> {
    if (flushing !== undefined && !gone) await within(closeMs, flushing)
    for (const begun = performance.now(); performance.now() - begun < closeMs;) {
      const left = outstanding()
      if (left.length === 0) return
      await within(closeMs, of.commit(left)).catch(() => {})
      if (outstanding().length === 0) return
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
    log('commit_retried', { topic, reason: 'not taken before the end; records will come again' })
  }
}

/** Wait for work, but no longer than it may take. */
function within(ms: number, work: Promise<unknown>): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise((resolve) => (timer = setTimeout(resolve, ms)))
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}
