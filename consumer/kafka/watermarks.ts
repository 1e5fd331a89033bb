/** What a broker says of a topic's partitions, and of how far a group has committed. */
import type { Admin } from 'kafkajs'

import { NightjarError } from '../../core/errors.ts'

export interface Watermarks {
  partition: number
  /** Records lie in [low, high). */
  low: bigint
  high: bigint
  /** What the group has committed; undefined where it has not. */
  committed?: bigint
}

/** Ask for a topic's partitions, in their order. Without a group nothing is said of commits. */
export async function readWatermarks(
  admin: Admin,
  topic: string,
  group?: string,
): Promise<Watermarks[]> {
  const offsets = await patiently(() => admin.fetchTopicOffsets(topic))
  const committed = new Map<number, bigint>()
  if (group !== undefined) {
    const [found] = await patiently(() => admin.fetchOffsets({ groupId: group, topics: [topic] }))
    for (const { partition, offset } of found?.partitions ?? []) {
      // -1 is no commit; -2 is what kafkajs writes when it has lost its place.
      if (BigInt(offset) >= 0n) committed.set(partition, BigInt(offset))
    }
  }
  return offsets
    .map(({ partition, low, high }) => {
      const next = committed.get(partition)
      return {
        partition,
        low: BigInt(low),
        high: BigInt(high),
        ...(next !== undefined && { committed: next }),
      }
    })
    .sort((a, b) => a.partition - b.partition)
}

/**
 * Where reading begins: at what the group has committed, else where our own record of the topic
 * stands (a group's offsets expire sooner than one wishes), else at the first record there is.
 */
export function startOf(at: Watermarks, ownNext: bigint | undefined): bigint {
  return at.committed ?? ownNext ?? at.low
}

/** Throw where a partition ends before what was read of it: it is not the log that it was. */
export function checkStart(topic: string, at: Watermarks, start: bigint): void {
  if (start <= at.high) return
  throw new NightjarError(
    'source_failed',
    `Cannot go on with "${topic}", partition ${at.partition}: it ends at offset ${at.high}, but ` +
      `offsets up to ${start} were taken in; it was deleted and made again, or has lost records. ` +
      "Take what is there now in under another instance, or reset the group's offsets",
  )
}

const mostAttempts = 30

/** A coordinator or a leader that has just begun, or just moved, says so and answers a little later. */
async function patiently<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (attempt >= mostAttempts || !isPassing(error)) throw error
      await new Promise((resolve) => setTimeout(resolve, 300))
    }
  }
}

/** kafkajs wraps what a broker said as often as it gives up: look through to it. */
function isPassing(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('type' in at && passing.has(String(at.type))) return true
  }
  return false
}

const passing: ReadonlySet<string> = new Set([
  'GROUP_LOAD_IN_PROGRESS',
  'GROUP_COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR_FOR_GROUP',
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_FOR_PARTITION',
])
