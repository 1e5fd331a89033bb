/**
 * The invariant that the whole intake stands on: of a partition, only the contiguous prefix of offsets
 * that are done may be committed, whatever order they get done in.
 */
import { NightjarError } from '../core/errors.ts'

export interface Tracker {
  /**
   * Take up an offset, ascending. Answers how many offsets the source left out before it (control
   * records, compaction); they are done when this one is. `span` offsets are taken up at once.
   */
  begin(offset: bigint, span?: bigint): bigint
  /** An offset, and the gap before it, is durable downstream. */
  done(offset: bigint): void
  /** The next offset to commit: all below it are done. Undefined before the first is. */
  next(): bigint | undefined
}

/** Track one partition from `start`, the committed position, where there is one. */
export function createTracker(start?: bigint): Tracker {
  let expected = start
  let committable = start
  /** Offsets begun, in order, each with where the gap before it began. */
  const begun: { offset: bigint; from: bigint }[] = []
  const finished = new Set<bigint>()

  return {
    begin(offset, span = 1n) {
      const from = expected ?? offset
      if (offset < from) {
        throw new NightjarError(
          'source_failed',
          `Cannot go back to offset ${offset}: ${from} should come next`,
        )
      }
      expected = offset + span
      begun.push({ offset, from })
      return offset - from
    },
    done(offset) {
      finished.add(offset)
      let count = 0
      while (finished.delete(begun[count]?.offset ?? -1n)) count++
      if (count === 0) return
      begun.splice(0, count)
      committable = begun[0]?.from ?? expected
    },
    next: () => committable,
  }
}
