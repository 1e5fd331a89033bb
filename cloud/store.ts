/**
 * Google's answer to the Store port: a bucket of Cloud Storage, which infra/ makes and which announces
 * its objects by a notification of its own.
 *
 * Each write carries a mark of its own in the object's metadata. It tells, where a write is refused
 * because the name is taken, whether it was taken by this very write, whose answer was lost.
 *
 * Names are the pipeline's. A bucket takes 1,000 writes a second to begin with and splits by ranges of
 * names as it grows (its docs: "Request rate"); an archived packet's name has the objectId right after the
 * night, which spreads a night over as many ranges as there are letters.
 */
import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'

import type { FileMetadata } from '@google-cloud/storage'

import { crc32c } from '../core/crc32c.ts'
import { NightjarError } from '../core/errors.ts'
import { checkObjectName } from '../core/object-name.ts'
import type { Store, StoredObject } from '../core/ports.ts'
import { fault, kindOfFault, type Attempted } from './faults.ts'
import { retryPassing } from './retry.ts'
import type { Stores } from './stores.ts'

export interface StoreOptions {
  /** When an attempt counts as unanswered. */
  attemptMs?: number
  /** How long a request is tried before `store_failed`. */
  giveUpMs?: number
}

const mark = 'nightjar-write'
const listedAtOnce = 1000
/**
 * The SDK and its request library each pipe an answer's body, with all that belongs to it: for one above 64 kB
 * that is more than the ten from which on Node.js warns of a leak. They go with the body.
 */
const listenersOfBody = 32
/** How often an object may come or go under our hands before that is an error. */
const mostRounds = 10

/** Open a bucket, which must exist. A missing one is told at the first request. */
export async function openStore(
  { storage, project, ready, pass }: Stores,
  name: string,
  { attemptMs = 30_000, giveUpMs = 120_000 }: StoreOptions = {},
): Promise<Store> {
  const bucket = storage.bucket(name)
  const attempted = (deed: string, role: string): Attempted => ({
    deed: `${deed} bucket "${name}"`,
    thing: `bucket "${name}"`,
    project,
    role,
  })

  async function attempt<T>(deed: string, role: string, work: () => Promise<T>): Promise<T> {
    try {
      await ready()
      return await retryPassing(
        (leftMs) => pass(() => answered(work(), Math.min(attemptMs, leftMs))),
        performance.now() + giveUpMs,
      )
    } catch (error) {
      throw fault('store_failed', error, attempted(deed, role))
    }
  }

  /** Write where the object's generation is the given one; answers null where it is not. */
  async function write(
    objectName: string,
    data: Uint8Array,
    generation: string | number,
    metadata: Readonly<Record<string, string>>,
  ): Promise<StoredObject | null> {
    const checksum = crc32c(data)
    const token = randomUUID()
    const file = bucket.file(checkObjectName(objectName))
    const options = {
      resumable: false,
      // The service compares; the SDK's own sum is made in JavaScript, byte by byte.
      validation: false,
      timeout: attemptMs,
      preconditionOpts: { ifGenerationMatch: generation },
      metadata: {
        contentType: 'application/octet-stream',
        crc32c: base64Of(checksum),
        metadata: { ...metadata, [mark]: token },
      },
    }
    const upload = async (): Promise<FileMetadata | null> => {
      try {
        await file.save(Buffer.from(data.buffer, data.byteOffset, data.length), options)
        return file.metadata
      } catch (error) {
        if (kindOfFault(error) === 'precondition') return null
        throw error
      }
    }
    const deed = `write "${objectName}" to`
    const answer = await attempt(deed, 'roles/storage.objectUser', upload)
    const stored = answer ?? (await metadataOf(objectName))
    if (stored === null || stored.metadata?.[mark] !== token) return null
    if (checksumOf(stored) !== checksum) {
      const what = attempted(deed, '').deed
      throw new NightjarError('store_failed', `Cannot ${what}: it holds other bytes than were sent`)
    }
    return objectOf(stored)
  }

  /** What is known of an object now, or null where there is none. */
  function metadataOf(objectName: string): Promise<FileMetadata | null> {
    return attempt(`read "${objectName}" from`, 'roles/storage.objectViewer', () =>
      orNull(async () => (await bucket.file(objectName).getMetadata())[0]),
    )
  }

  function bytesOf(objectName: string): Promise<Buffer | null> {
    const options = { validation: false, decompress: false } as const
    return attempt(`read "${objectName}" from`, 'roles/storage.objectViewer', () =>
      orNull(() => {
        const stream = bucket.file(objectName).createReadStream(options)
        stream.on('response', (body: Readable) => setMaxListeners(listenersOfBody, body))
        return buffer(stream)
      }),
    )
  }

  async function create(
    objectName: string,
    data: Uint8Array,
    metadata: Readonly<Record<string, string>> = {},
  ): Promise<{ created: boolean; object: StoredObject }> {
    for (let round = 0; round < mostRounds; round++) {
      const made = await write(objectName, data, 0, metadata)
      if (made !== null) return { created: true, object: made }
      const standing = await metadataOf(objectName)
      if (standing !== null) return { created: false, object: objectOf(standing) }
      // It was taken and is gone again: somebody deletes, and the name is free.
    }
    throw gone(objectName)
  }

  return {
    create,
    replace: (objectName, data, generation, metadata = {}) =>
      write(objectName, data, generation ?? 0, metadata),
    async read(objectName) {
      for (let round = 0; round < mostRounds; round++) {
        // Both at once: that they are of one write is told by size and checksum.
        const [metadata, data] = await Promise.all([metadataOf(objectName), bytesOf(objectName)])
        if (metadata === null) return null
        const object = objectOf(metadata)
        if (data?.length === object.size && crc32c(data) === object.crc32c) return { data, object }
      }
      throw gone(objectName)
    },
    async *list(prefix) {
      let query = { prefix, autoPaginate: false, maxResults: listedAtOnce, pageToken: '' }
      for (;;) {
        const asked = query
        const [files, next] = await attempt('list', 'roles/storage.objectViewer', () =>
          bucket.getFiles(asked),
        )
        for (const { metadata } of files) yield objectOf(metadata)
        const token = (next as { pageToken?: string } | null)?.pageToken
        if (token === undefined) return
        query = { ...query, pageToken: token }
      }
    },
  }
}

function gone(name: string): NightjarError {
  const why = `it has come and gone ${mostRounds} times meanwhile`
  return new NightjarError('store_failed', `Cannot tell what object "${name}" is: ${why}`)
}

/** A request whose answer never comes is one that failed, though the SDK would wait for it. */
async function answered<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(Object.assign(new Error(`no answer within ${ms} ms`), { code: 'ETIMEDOUT' }))
    }, ms)
  })
  try {
    return await Promise.race([work, silence])
  } finally {
    clearTimeout(timer)
  }
}

/** 404 of an object is an answer, that of a bucket a fault; both say which. */
async function orNull<T>(work: () => Promise<T>): Promise<T | null> {
  try {
    return await work()
  } catch (error) {
    if (kindOfFault(error) !== 'missing' || /bucket/i.test(String(error))) throw error
    return null
  }
}

function objectOf(answer: FileMetadata): StoredObject {
  const { name, size, generation } = answer
  const entries = Object.entries(answer.metadata ?? {}).filter(([key]) => key !== mark)
  return {
    name: String(name),
    size: Number(size),
    crc32c: checksumOf(answer),
    generation: String(generation),
    metadata: Object.fromEntries(entries.map(([key, value]) => [key, String(value)])),
  }
}

/** Base64 of the sum, most significant byte first (JSON API, Objects: "crc32c"). */
function base64Of(checksum: number): string {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(checksum)
  return bytes.toString('base64')
}

function checksumOf({ crc32c: text }: FileMetadata): number {
  const bytes = Buffer.from(text ?? '', 'base64')
  return bytes.length === 4 ? bytes.readUInt32BE() : NaN
}
