/**
 * Where records land: ZTF sends without a key, so its partitions are filled in turn. Some offsets hold
 * nothing a consumer gets: a transaction's control record, or a run that compaction took.
 */
import type { Random } from './random.ts'

export interface Landing {
  partition: number
  offset: number
  /** Offsets just before it that Kafka does not have. */
  gaps: readonly number[]
}

/** Hand out partitions in turn and offsets in order; `gaps` is the share of offsets left empty. */
export function createPartitions(count: number, gaps: number, random: Random) {
  const next = new Array<number>(count).fill(0)
  let turn = 0
  /** One hole in four is a run of four on average, so a hole takes 1.75 offsets. */
  const holes = gaps / (1.75 * (1 - gaps))

  return function land(): Landing {
    const partition = turn++ % count
    const missing: number[] = []
    let offset = next[partition] as number
    if (random.chance(holes)) {
      const run = random.chance(0.25) ? 2 + Math.floor(random.exponential(2.5)) : 1
      for (let i = 0; i < run; i++) missing.push(offset++)
    }
    next[partition] = offset + 1
    return { partition, offset, gaps: missing }
  }
}
