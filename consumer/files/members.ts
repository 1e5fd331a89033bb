/** The files of a source, in an order that is the same at every reading. */
import { createReadStream } from 'node:fs'
import { open, readdir, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { extract } from 'tar-stream'

import { maxPacketBytes } from '../../core/claim.ts'
import { NightjarError, sentenceOf } from '../../core/errors.ts'

export interface Member {
  /** Path inside the source, with forward slashes. */
  name: string
  /** Milliseconds since 1970. */
  modified: number
  /** Null where it is larger than any packet may be. */
  data: Uint8Array | null
  size: number
}

/** Files that are read ahead of the one that is asked for. */
const readAhead = 32

/** Read files by name, in the order given, a few of them ahead. */
export async function* readFiles(
  root: string,
  names: Iterable<string>,
  signal: AbortSignal,
): AsyncGenerator<Member> {
  const pending: Promise<Member>[] = []
  const iterator = names[Symbol.iterator]()
  try {
    for (;;) {
      while (pending.length < readAhead) {
        const { done, value } = iterator.next()
        if (done === true) break
        pending.push(readMember(root, value))
      }
      const member = pending.shift()
      if (member === undefined || signal.aborted) return
      yield await member
    }
  } finally {
    await Promise.allSettled(pending)
  }
}

async function readMember(root: string, name: string): Promise<Member> {
  const path = join(root, name)
  try {
    const file = await open(path)
    try {
      const { size, mtimeMs } = await file.stat()
      const data = size > maxPacketBytes ? null : await file.readFile()
      return { name, modified: Math.round(mtimeMs), data, size }
    } finally {
      await file.close()
    }
  } catch (cause) {
    throw new NightjarError('source_failed', `Cannot read "${path}": ${sentenceOf(cause)}`, {
      cause,
    })
  }
}

/** Every `.avro` file below a folder, by ascending path. */
export async function listFolder(root: string): Promise<string[]> {
  const names: string[] = []
  async function walk(folder: string): Promise<void> {
    const entries = await readdir(folder, { withFileTypes: true })
    for (const entry of entries) {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) await walk(path)
      else if (entry.name.endsWith('.avro')) names.push(relative(root, path))
    }
  }
  await walk(root)
  return names.sort((a, b) => (a < b ? -1 : 1))
}

/** True where the path is a folder; throws `source_failed` where there is nothing. */
export async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch (cause) {
    throw new NightjarError(
      'source_failed',
      `Cannot take in "${path}": ${sentenceOf(cause)}; give a folder, an .avro file, or a .tar.gz`,
      { cause },
    )
  }
}

/** The files of a tar archive, gzipped or not, as they stream by; never more than one in memory. */
export async function* readArchive(from: string, signal: AbortSignal): AsyncGenerator<Member> {
  const raw = await openBytes(from, signal)
  if (raw === null) {
    throw new NightjarError('source_failed', `Cannot fetch "${from}": HTTP 404`)
  }
  yield* membersOf(
    from,
    raw,
    '; what was read until there is taken in, the same command goes on from there',
    signal,
  )
}

/** The same of an archive that need not be there: null where a server has none (HTTP 404). */
export async function openArchive(
  from: string,
  signal: AbortSignal,
): Promise<AsyncGenerator<Member> | null> {
  const raw = await openBytes(from, signal)
  return raw && membersOf(from, raw, '', signal)
}

async function* membersOf(
  from: string,
  raw: Readable,
  advice: string,
  signal: AbortSignal,
): AsyncGenerator<Member> {
  const entries = extract()
  const path = /^https?:/.test(from) ? new URL(from).pathname : from
  const bytes = /\.t?gz$/i.test(path) ? raw.pipe(createGunzip()) : raw
  if (bytes !== raw) raw.on('error', (error) => bytes.destroy(error))
  bytes.on('error', (error) => entries.destroy(error))
  bytes.pipe(entries)
  try {
    for await (const entry of entries) {
      const { name, type, size = 0, mtime, pax } = entry.header
      if (type === 'file' && name.endsWith('.avro')) {
        const data =
          size > maxPacketBytes ? null : await collect(entry as AsyncIterable<Uint8Array>, size)
        // PAX keeps the fraction of the second, which the plain header has no room for.
        const precise = Number((pax as { mtime?: string } | null | undefined)?.mtime) * 1000
        const modified = Number.isFinite(precise) ? Math.round(precise) : (mtime?.getTime() ?? 0)
        yield { name, modified, data, size }
      }
      entry.resume()
      if (signal.aborted) return
    }
  } catch (cause) {
    if (signal.aborted) return
    throw new NightjarError(
      'source_failed',
      `Cannot read archive "${from}": ${sentenceOf(cause)}${advice}`,
      { cause },
    )
  } finally {
    raw.destroy()
    bytes.destroy()
  }
}

async function openBytes(from: string, signal: AbortSignal): Promise<Readable | null> {
  if (!/^https?:/.test(from)) return createReadStream(from, { highWaterMark: 1 << 20 })
  const response = await fetch(from, { signal }).catch((cause: unknown) => {
    throw new NightjarError('source_failed', `Cannot fetch "${from}": ${sentenceOf(cause)}`, {
      cause,
    })
  })
  if (response.status === 404) {
    await response.body?.cancel()
    return null
  }
  if (!response.ok || response.body === null) {
    throw new NightjarError('source_failed', `Cannot fetch "${from}": HTTP ${response.status}`)
  }
  return Readable.fromWeb(response.body)
}

async function collect(stream: AsyncIterable<Uint8Array>, size: number): Promise<Uint8Array> {
  const data = Buffer.allocUnsafe(size)
  let at = 0
  for await (const chunk of stream) {
    data.set(chunk, at)
    at += chunk.length
  }
  return data.subarray(0, at)
}
