/**
 * Files as a source. A file whose path ends in `{kafka topic}/{partition}/{offset}.avro`, as a dump of
 * Kafka or a simulated night has, keeps these coordinates. Any other file gets the next offset of a
 * partition that belongs to its folder or archive; one that holds many alerts gives one record each.
 */
import { resolve } from 'node:path'

import { maxPacketBytes } from '../../core/claim.ts'
import { NightjarError } from '../../core/errors.ts'
import type { Store } from '../../core/ports.ts'
import {
  listProgress,
  readProgress,
  writeProgress,
  type PartitionProgress,
  type SourceProgress,
  type TopicProgress,
} from '../../core/progress.ts'
import { isContainer, splitContainer } from '../../schemas/container.ts'
import type { PartitionRange, Position, RecordSource, SourceRecord } from '../source.ts'
import { extendListing } from './listing.ts'
import { isFolder, listFolder, readArchive, readFiles, type Member } from './members.ts'

export interface FileSourceOptions {
  /** A folder, an `.avro` file, a `.tar`, `.tar.gz` or `.tgz`, or a URL of one. */
  from: string
  /** Where progress is kept. */
  store: Store
  /** The Kafka topic that files without coordinates are taken in as. */
  topic: string
  /** Go on looking for new files in a folder until the signal, instead of ending. */
  watch?: boolean
}

interface Coordinates {
  topic: string
  partition: number
  offset: bigint
}

const watchMs = 1000
const dumpName = /(?:^|\/)([^/]+)\/(\d{1,6})\/(\d{1,18})\.avro$/

/** Open files as a source; reading goes on where the last commit left it. */
export async function openFileSource(options: FileSourceOptions): Promise<RecordSource> {
  const { store, watch = false } = options
  const isUrl = /^https?:/.test(options.from)
  const from = isUrl ? options.from : resolve(options.from)
  const folder = !isUrl && (await isFolder(from))
  const isArchive = isUrl || (!folder && /\.(tar|tgz|tar\.gz)$/i.test(from))

  /** Topics of this source, with the generation that their progress was read or written at. */
  const topics = new Map<string, { progress: TopicProgress; generation: string | null }>()
  for (const progress of await listProgress(store)) {
    if (progress.sources.some(({ source }) => source === from)) await topicOf(progress.topic)
  }
  /** Files in flight, oldest first: where the next one's records begin. */
  const files: { source: SourceProgress; end: bigint }[] = []
  /** Where the next record of a dumped partition begins: what is in flight is not read again. */
  const reached = new Map<PartitionProgress, bigint>()

  async function topicOf(topic: string): Promise<TopicProgress> {
    let known = topics.get(topic)
    if (known === undefined) {
      known = await readProgress(store, topic)
      topics.set(topic, known)
    }
    return known.progress
  }

  function partitionOf(progress: TopicProgress, partition: number, low: bigint): PartitionProgress {
    let found = progress.partitions.find((known) => known.partition === partition)
    if (found === undefined) {
      found = { partition, source: from, low, next: low, high: low }
      progress.partitions.push(found)
    }
    return found
  }

  function reachedIn(partition: PartitionProgress): bigint {
    const next = reached.get(partition) ?? 0n
    return next > partition.next ? next : partition.next
  }

  function sourceOf(progress: TopicProgress): SourceProgress {
    let found = progress.sources.find((known) => known.source === from)
    if (found === undefined) {
      found = { source: from, files: 0, ended: false }
      progress.sources.push(found)
    }
    return found
  }

  /** Records of files whose names carry their coordinates. */
  async function* fromDump(members: AsyncIterable<Member>): AsyncGenerator<SourceRecord> {
    const seen = new Map<PartitionProgress, bigint>()
    for await (const member of members) {
      const at = coordinatesOf(member.name)
      if (at === undefined) {
        throw new NightjarError(
          'source_failed',
          `Cannot take in "${member.name}" of "${from}": other files there are named ` +
            '{kafka topic}/{partition}/{offset}.avro, this one is not',
        )
      }
      const progress = await topicOf(at.topic)
      sourceOf(progress).ended = false
      const partition = partitionOf(progress, at.partition, at.offset)
      // Also of what is committed, or the next run would take what comes too late for done.
      const last = seen.get(partition) ?? -1n
      if (at.offset < last) {
        throw new NightjarError(
          'source_failed',
          `Cannot take in "${member.name}" of "${from}": it comes after offset ${last} of its ` +
            'partition, but offsets must ascend',
        )
      }
      seen.set(partition, at.offset)
      if (at.offset < reachedIn(partition)) continue
      reached.set(partition, at.offset + 1n)
      if (at.offset >= partition.high) partition.high = at.offset + 1n
      yield { ...at, timestamp: member.modified, ...contentOf(member) }
    }
  }

  /** Records of other files: offsets are given in the order of the files. */
  async function* inSequence(
    progress: TopicProgress,
    members: AsyncIterable<Member>,
  ): AsyncGenerator<SourceRecord> {
    const { topic } = progress
    const source = sourceOf(progress)
    const partition = ownPartition(progress)
    source.at ??= partition.next
    let offset = files.at(-1)?.end ?? source.at
    for await (const member of members) {
      const first = offset
      const timestamp = member.modified
      for (const content of splitMember(member)) {
        if (offset >= partition.high) partition.high = offset + 1n
        if (offset >= partition.next) {
          source.ended = false
          yield { topic, partition: partition.partition, offset, timestamp, ...content }
        }
        offset++
      }
      if (offset === first && files.length === 0) source.files++
      else files.push({ source, end: offset })
    }
  }

  /** A partition that no other source of the topic uses. */
  function ownPartition(progress: TopicProgress): PartitionProgress {
    const own = progress.partitions.find(({ source }) => source === from)
    const free = Math.max(-1, ...progress.partitions.map(({ partition }) => partition)) + 1
    return own ?? partitionOf(progress, free, 0n)
  }

  async function* records(signal: AbortSignal): AsyncGenerator<SourceRecord> {
    if (isArchive) yield* fromArchive(signal)
    else yield* fromFolder(signal)
    if (signal.aborted) return
    for (const { progress } of topics.values()) sourceOf(progress).ended = true
  }

  async function* fromArchive(signal: AbortSignal): AsyncGenerator<SourceRecord> {
    const members = readArchive(from, signal)
    const { value: first, done } = await members.next()
    const progress = await topicOf([...topics.keys()][0] ?? options.topic)
    if (done === true) return void sourceOf(progress)
    const all = prepend(first, members)
    if (coordinatesOf(first.name) !== undefined) {
      if (progress.sources.length === 0) topics.delete(progress.topic)
      return yield* fromDump(all)
    }
    yield* inSequence(progress, skip(all, sourceOf(progress).files))
  }

  async function* fromFolder(signal: AbortSignal): AsyncGenerator<SourceRecord> {
    for (let again = false; ; again = true) {
      const names = folder ? await listFolder(from) : ['']
      const dump = names.length > 0 && names.every((name) => coordinatesOf(name) !== undefined)
      if (dump) yield* fromDump(readFiles(from, await openDump(names), signal))
      else if (names.length > 0) {
        const progress = await topicOf([...topics.keys()][0] ?? options.topic)
        const { partition } = ownPartition(progress)
        const { files: done } = sourceOf(progress)
        const listing = await extendListing(store, progress.topic, partition, names)
        // After the first round, what was read and is still under way is not read again.
        const read = again ? done + files.length : done
        yield* inSequence(progress, readFiles(from, listing.slice(read), signal))
      }
      if (!watch || !folder || signal.aborted) return
      await pause(watchMs, signal)
    }
  }

  /** Note every partition's range, and put the files in an order that takes partitions in turn. */
  async function openDump(names: readonly string[]): Promise<string[]> {
    const partitions = new Map<string, { name: string; at: Coordinates }[]>()
    for (const name of names) {
      const at = coordinatesOf(name) as Coordinates
      const key = `${at.topic}/${at.partition}`
      const entries = partitions.get(key)
      if (entries === undefined) partitions.set(key, [{ name, at }])
      else entries.push({ name, at })
    }
    const ranked: { name: string; rank: number }[] = []
    for (const entries of partitions.values()) {
      entries.sort((a, b) => (a.at.offset < b.at.offset ? -1 : 1))
      const { at } = entries[0] as { at: Coordinates }
      const partition = partitionOf(await topicOf(at.topic), at.partition, at.offset)
      const high = (entries.at(-1)?.at.offset ?? 0n) + 1n
      if (high > partition.high) partition.high = high
      const next = reachedIn(partition)
      const left = entries.filter((entry) => entry.at.offset >= next)
      left.forEach(({ name }, rank) => ranked.push({ name, rank }))
    }
    return ranked.sort((a, b) => a.rank - b.rank).map(({ name }) => name)
  }

  return {
    records,
    async commit(positions) {
      for (const position of positions) noteCommitted(position)
      for (const known of topics.values()) {
        known.generation = await writeProgress(store, known.progress, known.generation)
      }
    },
    async ranges(): Promise<PartitionRange[]> {
      if (folder) {
        const names = await listFolder(from)
        if (names.length > 0 && names.every((name) => coordinatesOf(name))) await openDump(names)
      }
      return [...topics.values()].flatMap(({ progress: { topic, partitions } }) =>
        partitions.map(({ partition, low, high, next }) => ({ topic, partition, low, high, next })),
      )
    },
    async close() {},
  }

  function noteCommitted({ topic, partition, next }: Position): void {
    const progress = topics.get(topic)?.progress
    const found = progress?.partitions.find((known) => known.partition === partition)
    if (found === undefined || next < found.next) return
    found.next = next
    while (files[0] !== undefined && files[0].end <= next) {
      const { source, end } = files.shift() as (typeof files)[0]
      source.files++
      source.at = end
    }
  }
}

function coordinatesOf(name: string): Coordinates | undefined {
  const match = dumpName.exec(name)
  if (match === null) return undefined
  const [, topic, partition, offset] = match as unknown as [string, string, string, string]
  return { topic, partition: Number(partition), offset: BigInt(offset) }
}

/** What a record holds: the file's bytes, or why they were not even read. */
function contentOf({ data, size }: Member): Pick<SourceRecord, 'value' | 'refused'> {
  if (data !== null) return { value: data }
  return { value: null, refused: `the file has ${size} bytes, at most ${maxPacketBytes} are taken` }
}

function splitMember(member: Member): Pick<SourceRecord, 'value' | 'refused'>[] {
  const { data } = member
  if (data === null || !isContainer(data)) return [contentOf(member)]
  try {
    return splitContainer(data).map((value) => ({ value }))
  } catch {
    // A damaged file is one record: the stages say what is wrong with it.
    return [{ value: data }]
  }
}

async function* prepend<T>(first: T, rest: AsyncGenerator<T>): AsyncGenerator<T> {
  yield first
  yield* rest
}

async function* skip<T>(items: AsyncIterable<T>, count: number): AsyncGenerator<T> {
  let index = 0
  for await (const item of items) if (index++ >= count) yield item
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const finish = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', finish)
      done()
    }
    const timer = setTimeout(finish, ms)
    signal.addEventListener('abort', finish)
  })
}
