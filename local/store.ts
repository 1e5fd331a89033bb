/**
 * The answer of one machine to the Store port: a folder of files with a row for each in the journal.
 *
 * A file is written aside, synced, and linked to its name, which fails where the name is taken: so a
 * name never shows half a file and is never overwritten. Its row and the notice of it come in one
 * transaction after that. A crash in between leaves a file without a row; the next `create` of the
 * same name finds it and completes it. An object that is replaced is small and lives in its row, so
 * that its bytes and its generation change together.
 */
import { randomUUID } from 'node:crypto'
import { link, mkdir, open, readdir, readFile, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { crc32c } from '../core/crc32c.ts'
import { NightjarError, sentenceOf } from '../core/errors.ts'
import { checkObjectName } from '../core/object-name.ts'
import type { Message, Store, StoredObject } from '../core/ports.ts'
import { isAlive, processMark } from './alive.ts'
import type { Journal } from './journal.ts'
import type { Messages } from './messages.ts'

export interface StoreOptions {
  journal: Journal
  messages: Messages
  /** Folder that holds the buckets. */
  folder: string
  bucket: string
  /** Topic that new objects are announced on, as a bucket's OBJECT_FINALIZE notification does. */
  noticeTopic?: string
}

/** Open a bucket, made if it is new. */
export async function openStore(options: StoreOptions): Promise<Store> {
  const { journal, messages, bucket } = options
  const root = join(options.folder, bucket)
  const aside = join(options.folder, '.aside')
  await attempt('make bucket', bucket, async () => {
    await mkdir(root, { recursive: true })
    await mkdir(aside, { recursive: true })
    for (const name of await readdir(aside)) {
      // What a crash left half written.
      if (!isAlive(Number(name.split('-')[0]))) await unlink(join(aside, name)).catch(() => {})
    }
  })
  const noticeTopic =
    options.noticeTopic === undefined ? undefined : await messages.topicId(options.noticeTopic)
  const folders = new Set<string>([root])
  const find = journal.statement(
    'SELECT size, crc32c, generation, metadata FROM object WHERE bucket = ? AND name = ?',
  )
  const findData = journal.statement('SELECT data FROM object WHERE bucket = ? AND name = ?')
  const upsert = journal.statement('INSERT OR REPLACE INTO object VALUES (?, ?, ?, ?, ?, ?, ?)')

  function rowOf(name: string): StoredObject | undefined {
    const row = find.get(bucket, name)
    if (row === undefined) return undefined
    return {
      name,
      size: Number(row['size']),
      crc32c: Number(row['crc32c']),
      generation: String(row['generation']),
      metadata: JSON.parse(String(row['metadata'])) as Record<string, string>,
    }
  }

  async function writeAside(data: Uint8Array): Promise<string> {
    const path = join(aside, `${processMark()}-${randomUUID()}`)
    const file = await open(path, 'wx')
    try {
      await file.writeFile(data)
      await file.datasync()
      return path
    } catch (error) {
      await unlink(path)
      throw error
    } finally {
      await file.close()
    }
  }

  /** The full path of a name; a name with `..` or an absolute one would leave the bucket. */
  function pathOf(name: string): string {
    return join(root, checkObjectName(name))
  }

  async function makeFolder(path: string): Promise<void> {
    const folder = dirname(path)
    if (folders.has(folder)) return
    await mkdir(folder, { recursive: true })
    // One entry an object: remembered only while few, since a night has as many folders as objects.
    if (folders.size > 10_000) folders.clear()
    folders.add(folder)
  }

  function record(
    name: string,
    data: Uint8Array,
    metadata: Readonly<Record<string, string>>,
    expected: string | null,
    inRow: Uint8Array | null = null,
  ): Promise<StoredObject | null> {
    return journal.write(() => {
      const current = rowOf(name)
      if ((current?.generation ?? null) !== expected) return null
      const generation = Number(current?.generation ?? 0) + 1
      const object: StoredObject = {
        name,
        size: data.length,
        crc32c: crc32c(data),
        generation: String(generation),
        metadata,
      }
      upsert.run(
        bucket,
        name,
        object.size,
        object.crc32c,
        generation,
        JSON.stringify(metadata),
        inRow,
      )
      if (noticeTopic !== undefined) messages.publishWithin(noticeTopic, noticeOf(bucket, object))
      return object
    }, 500)
  }

  /**
   * Wait for whoever linked a file to record it, so that the one who made it is told so. One who died
   * in between never will: then what stands there is recorded by us.
   */
  async function recorded(name: string): Promise<void> {
    for (let waits = 0; waits < 10 && rowOf(name) === undefined; waits++) {
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  async function create(
    name: string,
    data: Uint8Array,
    metadata: Readonly<Record<string, string>> = {},
  ): Promise<{ created: boolean; object: StoredObject }> {
    const path = pathOf(name)
    const known = rowOf(name)
    if (known !== undefined) return { created: false, object: known }

    const written = await attempt('store', name, async () => {
      await makeFolder(path)
      const temporary = await writeAside(data)
      try {
        await link(temporary, path)
        return data
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
        await recorded(name)
        return await readFile(path)
      } finally {
        await unlink(temporary)
      }
    })
    const object = await record(name, written, metadata, null)
    if (object !== null) return { created: Buffer.compare(written, data) === 0, object }
    return { created: false, object: rowOf(name) as StoredObject }
  }

  async function replace(
    name: string,
    data: Uint8Array,
    generation: string | null,
    metadata: Readonly<Record<string, string>> = {},
  ): Promise<StoredObject | null> {
    pathOf(name)
    return record(name, data, metadata, generation, data)
  }

  return {
    create,
    replace,
    async read(name) {
      const object = rowOf(name)
      if (object === undefined) return null
      const inRow = findData.get(bucket, name)?.['data']
      if (inRow instanceof Uint8Array) return { data: inRow, object }
      return attempt('read', name, async () => ({ data: await readFile(pathOf(name)), object }))
    },
    async *list(prefix) {
      const page = journal.statement(
        'SELECT name FROM object WHERE bucket = ? AND name >= ? ORDER BY name LIMIT 1000',
      )
      for (let from = prefix; ;) {
        const names = page.all(bucket, from).map((row) => String(row['name']))
        for (const name of names) {
          if (!name.startsWith(prefix)) return
          const object = rowOf(name)
          if (object !== undefined) yield object
        }
        if (names.length < 1000) return
        from = `${names.at(-1)}\0`
      }
    },
  }
}

/** As Cloud Storage announces an object (its docs: "Pub/Sub notifications", attributes). */
function noticeOf(bucket: string, object: StoredObject): Message {
  return {
    data: new Uint8Array(),
    attributes: {
      eventType: 'OBJECT_FINALIZE',
      payloadFormat: 'NONE',
      bucketId: bucket,
      objectId: object.name,
      objectGeneration: object.generation,
    },
  }
}

async function attempt<T>(verb: string, name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof NightjarError) throw error
    throw new NightjarError('store_failed', `Cannot ${verb} "${name}": ${sentenceOf(error)}`, {
      cause: error,
    })
  }
}
