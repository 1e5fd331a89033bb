/**
 * What each partition has handed out, so that no offset is handed out twice within an assignment and
 * every offset that was skipped is spoken of: control records and what compaction took as a gap, what
 * retention took as lost.
 */
import type { SourceGap } from '../source.ts'

export interface Positions {
  /** Begin a partition, or begin it again. */
  start(partition: number, next: bigint): void
  stop(partition: number): void
  /** The next offset to hand out; undefined where the partition is not ours. */
  next(partition: number): bigint | undefined
  /**
   * A record at `offset` comes, of a fetch that asked for `fetched`. Answers what was skipped before
   * it, or null where it has been handed out before.
   */
  take(partition: number, offset: bigint, fetched: bigint): SourceGap[] | null
  /** The fetch had no more records before `end`: answers what was skipped. */
  pass(partition: number, end: bigint, fetched: bigint): SourceGap[]
  partitions(): number[]
}

/** The positions of a topic. */
export function createPositions(topic: string): Positions {
  const expected = new Map<number, bigint>()

  /** Offsets from the expected one to `end` have no record for us. */
  function skipped(partition: number, end: bigint, fetched: bigint): SourceGap[] {
    const from = expected.get(partition) ?? end
    const gaps: SourceGap[] = []
    // kafkajs asks for a later offset than was expected only where the broker has none before it.
    const low = fetched > from ? (fetched < end ? fetched : end) : from
    if (low > from) {
      gaps.push({ kind: 'gap', lost: true, topic, partition, offset: from, span: low - from })
    }
    if (end > low) gaps.push({ kind: 'gap', topic, partition, offset: low, span: end - low })
    return gaps
  }

  return {
    start: (partition, next) => void expected.set(partition, next),
    stop: (partition) => void expected.delete(partition),
    next: (partition) => expected.get(partition),
    take(partition, offset, fetched) {
      const from = expected.get(partition)
      if (from === undefined || offset < from) return null
      const gaps = skipped(partition, offset, fetched)
      expected.set(partition, offset + 1n)
      return gaps
    },
    pass(partition, end, fetched) {
      const from = expected.get(partition)
      if (from === undefined || end <= from) return []
      const gaps = skipped(partition, end, fetched)
      expected.set(partition, end)
      return gaps
    },
    partitions: () => [...expected.keys()],
  }
}
