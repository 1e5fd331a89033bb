/**
 * How far each file source of a Kafka topic has been taken in: one small object a topic, written by
 * compare-and-set. It is to files what committed offsets and watermarks are to Kafka, and the audit
 * reads it as it reads those.
 */
import { NightjarError } from './errors.ts'
import type { Store } from './ports.ts'

export interface PartitionProgress {
  partition: number
  /** Path or URL that the partition's records come from. */
  source: string
  low: bigint
  /** All below are durable downstream. */
  next: bigint
  /** All below are known to exist. */
  high: bigint
}

export interface TopicProgress {
  topic: string
  partitions: PartitionProgress[]
  sources: SourceProgress[]
}

export interface SourceProgress {
  source: string
  /** Files, from the first, of which every record is durable downstream. */
  files: number
  /** Offset of the first record of the next file; absent where names carry the offsets. */
  at?: bigint
  /** The source has been read to its end at least once, and nothing came after. */
  ended: boolean
}

const prefix = 'intake/'

/** The object that holds a topic's progress. */
export const progressName = (topic: string): string => `${prefix}${topic}.json`

/** Read the progress of a topic; a new topic has none. */
export async function readProgress(
  store: Store,
  topic: string,
): Promise<{ progress: TopicProgress; generation: string | null }> {
  const found = await store.read(progressName(topic))
  if (found === null) {
    return { progress: { topic, partitions: [], sources: [] }, generation: null }
  }
  return { progress: parseProgress(found.data), generation: found.object.generation }
}

/** The topics that files were ever taken in for. */
export async function listProgress(store: Store): Promise<TopicProgress[]> {
  const topics: TopicProgress[] = []
  for await (const { name } of store.list(prefix)) {
    const found = name.endsWith('.json') ? await store.read(name) : null
    if (found !== null) topics.push(parseProgress(found.data))
  }
  return topics
}

/** Write progress where nobody else has since; answers the new generation. */
export async function writeProgress(
  store: Store,
  progress: TopicProgress,
  generation: string | null,
): Promise<string> {
  const data = formatProgress(progress)
  const written = await store.replace(progressName(progress.topic), data, generation)
  if (written === null) {
    throw new NightjarError(
      'home_busy',
      `Cannot go on taking in topic "${progress.topic}": another process takes it in, too`,
    )
  }
  return written.generation
}

/** Progress as its object holds it, read. */
export function parseProgress(data: Uint8Array): TopicProgress {
  const progress = JSON.parse(Buffer.from(data).toString()) as TopicProgress
  for (const partition of progress.partitions) {
    partition.low = BigInt(partition.low)
    partition.next = BigInt(partition.next)
    partition.high = BigInt(partition.high)
  }
  for (const source of progress.sources) if (source.at !== undefined) source.at = BigInt(source.at)
  return progress
}

/** Progress as its object holds it. */
export function formatProgress(progress: TopicProgress): Uint8Array {
  const plain = (_: string, value: unknown): unknown =>
    typeof value === 'bigint' ? String(value) : value
  return Buffer.from(JSON.stringify(progress, plain, 1))
}
