/**
 * One membership of a consumer group: kafkajs with fences around it. kafkajs loses nothing if it is
 * never left alone with an offset: it commits only what we say, is told how far we have read, and
 * where it gives up without saying so, we say so.
 */
import type { Consumer, ConsumerCrashEvent, EachBatchPayload, Kafka } from 'kafkajs'

import { NightjarError, sentenceOf } from '../../core/errors.ts'
import type { Log } from '../../core/log.ts'
import type { Position, SourceItem } from '../source.ts'
import type { Positions } from './positions.ts'
import type { Queue } from './queue.ts'
import { toRecord } from './record.ts'
import { refusalOf } from './refusal.ts'

/** How kafkajs is tuned; the defaults are for alerts of 70 kB. */
export interface Tuning {
  /** Bytes of one fetch, and of one partition in it. A larger record still comes. */
  maxBytes: number
  maxBytesPerPartition: number
  /** How long a fetch waits where there is nothing: commits and heartbeats wait behind it. */
  maxWaitMs: number
  sessionTimeoutMs: number
  rebalanceTimeoutMs: number
  heartbeatMs: number
}

export const defaultTuning: Tuning = {
  maxBytes: 8 << 20,
  maxBytesPerPartition: 2 << 20,
  maxWaitMs: 500,
  sessionTimeoutMs: 20_000,
  rebalanceTimeoutMs: 30_000,
  heartbeatMs: 3000,
}

export interface MembershipOptions {
  kafka: Kafka
  topic: string
  group: string
  tuning: Tuning
  log: Log
  queue: Queue<SourceItem>
  positions: Positions
  /** Where newly assigned partitions begin. */
  startsOf(partitions: readonly number[]): Promise<ReadonlyMap<number, bigint>>
  /** Some positions moved, or a high watermark was heard. */
  onMoved(highs?: { partition: number; high: bigint }): void
  /** Offsets that the broker has taken. */
  onCommitted(positions: readonly Position[]): void
  /** It can go on no more, or has lost its connection and tries again by itself. */
  onFailed(error: NightjarError): void
  onCrashed(error: Error): void
}

export interface Membership {
  /** Ask the broker to take offsets of partitions that are ours; `onCommitted` tells what it took. */
  commit(positions: readonly Position[]): Promise<void>
  /** When kafkajs last showed a sign of life, by `performance.now()`. */
  lastSign(): number
  /** Hand out no more; what was handed out may still be committed. */
  quiet(): void
  /** Leave the group. */
  leave(): Promise<void>
}

/** How long leaving may take; the group lets go of a member that is gone by itself. */
const leaveMs = 10_000

/** Join the group and put what comes into the queue. */
export async function joinGroup(options: MembershipOptions): Promise<Membership> {
  const { topic, tuning, log, queue, positions } = options
  const consumer = createConsumer(options)
  /** Counts assignments: what belongs to an earlier one is not handed out any more. */
  let epoch = 0
  let memberId = ''
  let quiet = false
  let sign = performance.now()
  /** Settles when the positions of the newest assignment are known. */
  let assigned: Promise<void> = Promise.resolve()

  const { GROUP_JOIN, FETCH, HEARTBEAT, END_BATCH_PROCESS, COMMIT_OFFSETS, CRASH } = consumer.events
  const alive = (): void => void (sign = performance.now())
  consumer.on(FETCH, alive)
  consumer.on(HEARTBEAT, alive)
  consumer.on(GROUP_JOIN, ({ payload }) => {
    alive()
    assign(payload.memberId, payload.memberAssignment[topic] ?? [])
  })
  consumer.on(END_BATCH_PROCESS, ({ payload }) => {
    alive()
    const { partition, batchSize, firstOffset, lastOffset } = payload
    // A batch of control records or of an aborted transaction: no handler is called for it.
    if (batchSize > 0 || lastOffset === null) return
    const mine = epoch
    const end = BigInt(lastOffset) + 1n
    assigned = assigned.then(() => {
      if (mine === epoch) pass(partition, end, BigInt(firstOffset ?? lastOffset))
    })
  })
  consumer.on(COMMIT_OFFSETS, ({ payload }) => {
    const found = payload.topics.find((one) => one.topic === topic)
    options.onCommitted(
      (found?.partitions ?? []).map(({ partition, offset }) => ({
        topic,
        partition,
        next: BigInt(String(offset)),
      })),
    )
  })
  consumer.on(CRASH, onCrash)

  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    partitionsConsumedConcurrently: 1,
    eachBatch: (payload) => handOut(payload),
  })

  return {
    lastSign: () => sign,
    quiet() {
      if (quiet) return
      quiet = true
      try {
        consumer.pause([{ topic }])
      } catch {
        // A consumer that has crashed cannot be paused, and need not.
      }
    },
    async commit(wanted) {
      await consumer.commitOffsets(
        wanted.map(({ partition, next }) => ({ topic, partition, offset: String(next) })),
      )
    },
    async leave() {
      quiet = true
      epoch++
      const left = consumer.disconnect().catch(() => {})
      await Promise.race([left, new Promise((resolve) => setTimeout(resolve, leaveMs).unref())])
    },
  }

  /** A new generation of the group has given us these partitions. */
  function assign(member: string, partitions: readonly number[]): void {
    epoch++
    // As long as the group knew us without a break, nobody else has had what we keep.
    const kept = partitions.filter(
      (one) => member === memberId && positions.next(one) !== undefined,
    )
    memberId = member
    for (const partition of positions.partitions()) {
      if (!kept.includes(partition)) positions.stop(partition)
    }
    queue.drop(({ partition }) => !kept.includes(partition))
    for (const partition of kept) seek(partition, positions.next(partition) ?? 0n)
    const fresh = partitions.filter((partition) => !kept.includes(partition))
    const mine = epoch
    assigned = options.startsOf(fresh).then(
      (starts) => {
        if (mine !== epoch) return
        for (const [partition, offset] of starts) {
          positions.start(partition, offset)
          queue.put({ kind: 'start', topic, partition, offset })
          seek(partition, offset)
        }
        log('partitions_assigned', { topic, partitions: [...partitions], group: options.group })
        options.onMoved()
      },
      (error: unknown) => {
        if (mine === epoch) options.onFailed(asFailure(error))
      },
    )
  }

  function seek(partition: number, offset: bigint): void {
    try {
      consumer.seek({ topic, partition, offset: String(offset) })
    } catch {
      // It has crashed meanwhile; its next membership is assigned anew.
    }
  }

  /** Put a batch into the queue as there is room, and tell kafkajs how far that went. */
  async function handOut(payload: EachBatchPayload): Promise<void> {
    const { batch, heartbeat, resolveOffset, isRunning, isStale } = payload
    const { partition, messages } = batch
    await assigned
    const mine = epoch
    const fetched = fetchedOffset(batch)
    for (const message of messages) {
      while (!queue.hasRoom() && !quiet && mine === epoch) {
        await queue.room(tuning.heartbeatMs)
        // It throws where the group rebalances, and so lets kafkajs join again.
        await heartbeat()
      }
      if (quiet || mine !== epoch || !isRunning() || isStale()) return
      const gaps = positions.take(partition, BigInt(message.offset), fetched)
      if (gaps !== null) {
        for (const gap of gaps) queue.put(gap)
        queue.put(toRecord(topic, partition, message), message.value?.length ?? 0)
      }
      resolveOffset(message.offset)
    }
    pass(partition, BigInt(batch.lastOffset()) + 1n, fetched)
    options.onMoved({ partition, high: BigInt(batch.highWatermark) })
  }

  function pass(partition: number, end: bigint, fetched: bigint): void {
    for (const gap of positions.pass(partition, end, fetched)) queue.put(gap)
    options.onMoved()
  }

  function onCrash({ payload: { error, restart } }: ConsumerCrashEvent): void {
    if (restart) options.onCrashed(error)
    else options.onFailed(asFailure(error))
  }

  function asFailure(error: unknown): NightjarError {
    if (error instanceof NightjarError) return error
    const refused = refusalOf(error)
    if (refused !== undefined) return refused
    return new NightjarError(
      'source_failed',
      `Cannot go on consuming "${topic}": ${sentenceOf(error)}`,
      { cause: error },
    )
  }
}

function createConsumer({ kafka, group, tuning }: MembershipOptions): Consumer {
  return kafka.consumer({
    groupId: group,
    allowAutoTopicCreation: false,
    sessionTimeout: tuning.sessionTimeoutMs,
    rebalanceTimeout: tuning.rebalanceTimeoutMs,
    heartbeatInterval: tuning.heartbeatMs,
    maxBytes: tuning.maxBytes,
    maxBytesPerPartition: tuning.maxBytesPerPartition,
    maxWaitTimeInMs: tuning.maxWaitMs,
    metadataMaxAge: 60_000,
    retry: {
      initialRetryTime: 200,
      maxRetryTime: 2000,
      retries: 8,
      // Who is refused would be refused for ever.
      restartOnFailure: async (error) => refusalOf(error) === undefined,
    },
  })
}

/** The offset that a batch was asked from. kafkajs has it and does not say so in its types. */
function fetchedOffset(batch: EachBatchPayload['batch']): bigint {
  const fetched = 'fetchedOffset' in batch ? batch.fetchedOffset : undefined
  if (typeof fetched === 'string' || typeof fetched === 'number') return BigInt(fetched)
  return BigInt(batch.firstOffset() ?? 0)
}
