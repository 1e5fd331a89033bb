/**
 * Where the journal keeps what is large: files that are only appended to. A packet written here is
 * written once, where a database would write it to its log and again to its pages. Small data stays in
 * the journal's own rows.
 *
 * `append` resolves when the bytes are synced; the row that points to them is committed after that, so
 * a crash leaves at worst bytes that no row points to.
 */
import { closeSync, openSync, readdirSync, readSync, unlinkSync } from 'node:fs'
import { mkdir, open, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { threadId } from 'node:worker_threads'

import { NightjarError, sentenceOf } from '../core/errors.ts'
import { isAlive, processMark } from './alive.ts'

export interface Place {
  segment: string
  at: number
}

export interface Segments {
  /**
   * Append bytes; what comes at about the same time shares one sync. The segment is kept until
   * `settle` says that the row which points to the place is committed, or never will be.
   */
  append(data: Uint8Array): Promise<Place>
  settle(place: Place): void
  read(place: Place, size: number): Uint8Array
  /** Files of which nothing new will be pointed to: candidates for `remove`. */
  closed(): string[]
  remove(segment: string): void
  close(): Promise<void>
}

interface Waiting {
  data: Uint8Array
  resolve(place: Place): void
  reject(error: unknown): void
}

const segmentBytes = 64 << 20
/** Bytes in one write: enough to make a sync worth while, not so much that latency suffers. */
const groupBytes = 8 << 20

/** Files that were closed with their segments in this thread. Those of another may be in use. */
const finished = new Set<string>()
let counter = 0

/** Open the segments of a folder. Each thread writes files of its own, named by its process first. */
export async function openSegments(folder: string): Promise<Segments> {
  await mkdir(folder, { recursive: true })
  let queue: Waiting[] = []
  let current: { name: string; file: FileHandle; end: number } | undefined
  let writing: Promise<void> | undefined
  const rotated = new Set(readdirSync(folder).filter((name) => finished.has(join(folder, name))))
  /** Places given out by segment that no committed row may point to yet. */
  const unsettled = new Map<string, number>()
  const readers = new Map<string, number>()

  async function rotate(): Promise<void> {
    if (current !== undefined) {
      await current.file.close()
      rotated.add(current.name)
    }
    const name = `${processMark()}-${threadId}-${Date.now().toString(36)}-${counter++}`
    current = { name, file: await open(join(folder, name), 'wx'), end: 0 }
  }

  async function writeGroups(): Promise<void> {
    while (queue.length > 0) {
      let bytes = 0
      let count = 0
      while (count < queue.length && bytes < groupBytes) bytes += queue[count++]?.data.length ?? 0
      const group = queue.slice(0, count)
      queue = queue.slice(count)
      try {
        if (current === undefined || current.end > segmentBytes) await rotate()
        const segment = current as NonNullable<typeof current>
        let at = segment.end
        await writeAll(segment.file, group, at)
        await segment.file.datasync()
        unsettled.set(segment.name, (unsettled.get(segment.name) ?? 0) + group.length)
        for (const { data, resolve } of group) {
          resolve({ segment: segment.name, at })
          at += data.length
        }
        segment.end = at
      } catch (error) {
        // What was written of the group is unknown: nothing will point there, the next begins anew.
        const failed = current
        current = undefined
        if (failed !== undefined) {
          rotated.add(failed.name)
          // Where the disk is full, half a group must not go on taking its room.
          await failed.file.truncate(failed.end).catch(() => {})
          await failed.file.close().catch(() => {})
        }
        const refusal = new NightjarError(
          'publish_failed',
          `Cannot write to a segment in "${folder}": ${sentenceOf(error)}`,
          { cause: error },
        )
        for (const { reject } of group) reject(refusal)
      }
    }
    writing = undefined
  }

  return {
    append(data) {
      return new Promise((resolve, reject) => {
        queue.push({ data, resolve, reject })
        writing ??= writeGroups()
      })
    },
    settle({ segment }) {
      unsettled.set(segment, (unsettled.get(segment) ?? 1) - 1)
    },
    read({ segment, at }, size) {
      let descriptor = readers.get(segment)
      if (descriptor === undefined) {
        descriptor = openSync(join(folder, segment), 'r')
        readers.set(segment, descriptor)
      }
      const data = Buffer.allocUnsafe(size)
      const got = readSync(descriptor, data, 0, size, at)
      if (got !== size) throw new RangeError(`Segment "${segment}" ends before ${at + size}`)
      return data
    },
    closed() {
      return readdirSync(folder).filter((name) =>
        rotated.has(name) ? (unsettled.get(name) ?? 0) === 0 : !isAlive(ownerOf(name)),
      )
    },
    remove(segment) {
      const descriptor = readers.get(segment)
      if (descriptor !== undefined) closeSync(descriptor)
      readers.delete(segment)
      rotated.delete(segment)
      unsettled.delete(segment)
      finished.delete(join(folder, segment))
      unlinkSync(join(folder, segment))
    },
    async close() {
      await writing
      await current?.file.close()
      if (current !== undefined) rotated.add(current.name)
      for (const name of rotated) finished.add(join(folder, name))
      for (const descriptor of readers.values()) closeSync(descriptor)
      readers.clear()
    },
  }
}

async function writeAll(file: FileHandle, group: readonly Waiting[], at: number): Promise<void> {
  const buffers = group.map(({ data }) => data)
  const total = buffers.reduce((bytes, { length }) => bytes + length, 0)
  let { bytesWritten: done } = await file.writev(buffers, at)
  if (done === total) return
  // A short write means that the disk is nearly full; writing the rest tells for sure.
  const whole = Buffer.concat(buffers)
  while (done < total) done += (await file.write(whole, done, total - done, at + done)).bytesWritten
}

const ownerOf = (segment: string): number => Number(segment.split('-')[0])
