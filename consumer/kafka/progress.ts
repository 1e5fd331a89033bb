/**
 * How far a topic of Kafka has been taken in, kept where the progress of files is kept: the audit reads
 * watermarks there, and a group whose offsets have expired begins again where it stood.
 */
import { NightjarError } from '../../core/errors.ts'
import type { Store } from '../../core/ports.ts'
import {
  readProgress,
  writeProgress,
  type PartitionProgress,
  type TopicProgress,
} from '../../core/progress.ts'

export interface ProgressKeeper {
  /** The next offset as it was kept; undefined of a partition that was never taken in. */
  next(partition: number): bigint | undefined
  /** Note watermarks and positions; they only ever widen. */
  note(partition: number, at: { low?: bigint; high?: bigint; next?: bigint }): void
  /** Note whether all that exists has been read. */
  ended(is: boolean): void
  partitions(): readonly PartitionProgress[]
  /** Write what has changed. Another member of the group may write, too: the two are joined. */
  save(): Promise<void>
}

const mostAttempts = 10

/** Open the progress of a topic; `source` says in it where records come from. */
export async function openProgress(
  store: Store,
  topic: string,
  source: string,
): Promise<ProgressKeeper> {
  let { progress, generation } = await readProgress(store, topic)
  let saved = ''

  function partitionOf(partition: number, low: bigint): PartitionProgress {
    let found = progress.partitions.find((one) => one.partition === partition)
    if (found === undefined) {
      found = { partition, source, low, next: low, high: low }
      progress.partitions.push(found)
      progress.partitions.sort((a, b) => a.partition - b.partition)
    }
    return found
  }

  const keeper: ProgressKeeper = {
    next: (partition) => progress.partitions.find((one) => one.partition === partition)?.next,
    note(partition, { low, high, next }) {
      const found = partitionOf(partition, low ?? next ?? high ?? 0n)
      if (high !== undefined && high > found.high) found.high = high
      if (next !== undefined && next > found.next) found.next = next
      if (found.next > found.high) found.high = found.next
    },
    ended(is) {
      const found = progress.sources.find((one) => one.source === source)
      if (found === undefined) progress.sources.push({ source, files: 0, ended: is })
      else found.ended = is
    },
    partitions: () => progress.partitions,
    async save() {
      for (let attempt = 1; textOf(progress) !== saved; attempt++) {
        const text = textOf(progress)
        try {
          generation = await writeProgress(store, progress, generation)
          saved = text
        } catch (error) {
          const busy = error instanceof NightjarError && error.code === 'home_busy'
          if (!busy || attempt >= mostAttempts) throw error
          const mine = progress
          ;({ progress, generation } = await readProgress(store, topic))
          for (const { partition, low, high, next } of mine.partitions) {
            keeper.note(partition, { low, high, next })
          }
          keeper.ended(mine.sources.find((one) => one.source === source)?.ended ?? false)
        }
      }
    },
  }
  return keeper
}

const textOf = (progress: TopicProgress): string =>
  JSON.stringify(progress, (_, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value,
  )
