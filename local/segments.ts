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

/** Open the segments of a folder. Each process writes files of its own, named by its number. */
export async function openSegments(folder: string): Promise<Segments> {
  await mkdir(folder, { recursive: true })
  let queue: Waiting[] = []
  let current: { name: string; file: FileHandle; end: number } | undefined
  let writing: Promise<void> | undefined
  let counter = 0
  const rotated = new Set(readdirSync(folder).filter((name) => ownerOf(name) === process.pid))
  /** Places given out by segment that no committed row may point to yet. */
  const unsettled = new Map<string, number>()
  const readers = new Map<string, number>()

  async function rotate(): Promise<void> {
    if (current !== undefined) {
      await current.file.close()
      rotated.add(current.name)
    }
    const name = `${process.pid}-${Date.now().toString(36)}-${counter++}`
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
          await failed.file.close().catch(() => {})
        }
        for (const { reject } of group) reject(error)
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
      unlinkSync(join(folder, segment))
    },
    async close() {
      await writing
      await current?.file.close()
      for (const descriptor of readers.values()) closeSync(descriptor)
      readers.clear()
    },
  }
}

async function writeAll(file: FileHandle, group: readonly Waiting[], at: number): Promise<void> {
  const buffers = group.map(({ data }) => data)
  const { bytesWritten } = await file.writev(buffers, at)
  const total = buffers.reduce((bytes, { length }) => bytes + length, 0)
  // A short write means that the disk is nearly full; writing the rest tells for sure.
  if (bytesWritten < total)
    await file.write(Buffer.concat(buffers), bytesWritten, null, at + bytesWritten)
}

const ownerOf = (segment: string): number => Number(segment.split('-')[0])

function isAlive(pid: number): boolean {
  if (pid === process.pid) return true
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
