/**
 * How other processes ask the broker that runs. A DuckDB file is open in one process at a time, and
 * `nightjar query` must answer while `nightjar run` has it: so the running process answers on a Unix
 * socket in its home. A connection carries one request and the stream of its replies.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, existsSync, realpathSync, unlinkSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { deserialize, serialize } from 'node:v8'

import { NightjarError, sentenceOf } from '../core/errors.ts'
import type { ErrorCode } from '../core/errors.ts'
import { readRows } from './duckdb/reader.ts'
import { acquireWarehouse } from './duckdb/warehouse.ts'

/** Answers one verb. The signal fires when the asker has gone. */
export type DoorHandler = (argument: unknown, signal: AbortSignal) => AsyncIterable<unknown>

export interface DoorServer {
  close(): Promise<void>
}

export interface Door {
  /** Ask the process behind the door; to stop reading early ends the work there. */
  ask(verb: string, argument: unknown): AsyncIterable<unknown>
}

type Reply =
  { values: unknown[] } | { done: true } | { error: { code: ErrorCode; message: string } }

/** Longest frame, refused by its length alone. */
const maxFrameBytes = 64 * 1024 * 1024
const headerBytes = 4

/** Values in a frame, and how long the first of them waits for the others. */
const maxFrameValues = 64
const frameLingerMs = 20

/** Linux takes 107 bytes, macOS 103. */
const maxSocketPathBytes = 100

/** Where the door of a home is: in it, or where its path is too long for a socket, in the temporary folder. */
export const doorPath = (home: string): string => socketPath(home, 'door')

/** Where a program of a home takes control messages: the broker, if no other is named. */
export const controlPath = (home: string, service = 'broker'): string =>
  socketPath(home, service === 'broker' ? 'control' : `control-${service}`)

function socketPath(home: string, name: string): string {
  const path = join(resolve(home), `${name}.sock`)
  if (Buffer.byteLength(path) <= maxSocketPathBytes) return path
  const real = existsSync(home) ? realpathSync(home) : resolve(home)
  const hash = createHash('sha256').update(real).digest('hex').slice(0, 16)
  const kind = name === 'door' ? '' : `${name}-`
  return join(tmpdir(), `nightjar-${kind}${process.getuid?.() ?? 0}-${hash}.sock`)
}

/**
 * Answer at the socket, which only this user may open. A socket file that a crash left is taken
 * over; one that somebody answers at is `home_busy`.
 */
export async function serveDoor(options: {
  socket: string
  handlers: Readonly<Record<string, DoorHandler>>
}): Promise<DoorServer> {
  const { socket, handlers } = options
  if ((await openDoor(socket)) !== null) {
    throw new NightjarError('home_busy', `Cannot open the door "${socket}": a broker answers there`)
  }
  if (existsSync(socket)) unlinkSync(socket)

  const connections = new Map<Socket, AbortController>()
  const server = createServer((connection) => {
    const controller = new AbortController()
    connections.set(connection, controller)
    connection.on('error', () => connection.destroy())
    connection.on('end', () => connection.destroy())
    connection.on('close', () => {
      connections.delete(connection)
      controller.abort()
    })
    void answer(connection, handlers, controller.signal)
  })

  try {
    const listening = once(server, 'listening')
    server.listen(socket)
    // The socket is there as soon as this returns, and only its owner may ask. A thread cannot narrow
    // the umask of its process beforehand.
    if (existsSync(socket)) chmodSync(socket, 0o600)
    await listening
  } catch (cause) {
    throw unusable(`Cannot open the door "${socket}": ${sentenceOf(cause)}`, cause)
  }

  return {
    async close() {
      const closed = once(server, 'close')
      server.close()
      for (const connection of connections.keys()) connection.destroy()
      await closed
    },
  }
}

async function answer(
  connection: Socket,
  handlers: Readonly<Record<string, DoorHandler>>,
  signal: AbortSignal,
): Promise<void> {
  const replies = createReplies(connection, signal)
  try {
    const { verb, argument } = await readRequest(connection)
    const handler = Object.hasOwn(handlers, verb) ? handlers[verb] : undefined
    if (handler === undefined) {
      const known = Object.keys(handlers).join(', ')
      throw new NightjarError('input_invalid', `Cannot do "${verb}": the door knows ${known}`)
    }
    // What the asker says after its request does not matter, but its going away does.
    connection.resume()
    for await (const value of handler(argument, signal)) {
      await replies.add(value)
      if (signal.aborted) return
    }
    replies.end({ done: true })
  } catch (error) {
    if (signal.aborted) return
    const code = error instanceof NightjarError ? error.code : 'table_failed'
    replies.end({ error: { code, message: sentenceOf(error) } })
  }
}

/** Gathers values into frames. It waits where the socket is full, so a slow asker slows the handler. */
function createReplies(connection: Socket, signal: AbortSignal) {
  let values: unknown[] = []
  let timer: NodeJS.Timeout | undefined
  let failure: unknown

  function flush(): void {
    clearTimeout(timer)
    timer = undefined
    const batch = values
    values = []
    if (batch.length > 0) send(batch)
  }

  function send(batch: unknown[]): void {
    const frame = encode({ values: batch } satisfies Reply)
    if (frame.length <= maxFrameBytes) return void connection.write(frame)
    if (batch.length === 1) {
      throw new NightjarError(
        'input_invalid',
        `Cannot answer: one value has ${frame.length} bytes, and ${maxFrameBytes} are allowed`,
      )
    }
    const half = batch.length >> 1
    send(batch.slice(0, half))
    send(batch.slice(half))
  }

  function flushLate(): void {
    try {
      flush()
    } catch (error) {
      failure = error
    }
  }

  return {
    async add(value: unknown): Promise<void> {
      if (failure !== undefined) throw failure
      values.push(value)
      if (values.length >= maxFrameValues) flush()
      else timer ??= setTimeout(flushLate, frameLingerMs)
      if (connection.writableNeedDrain) await once(connection, 'drain', { signal })
    },
    end(reply: Reply): void {
      if (failure !== undefined && 'done' in reply) throw failure
      flush()
      connection.end(encode(reply))
    },
  }
}

/** Open the door of a running broker; null where nobody is behind it. */
export async function openDoor(socket: string): Promise<Door | null> {
  try {
    const connection = await connect(socket)
    connection.destroy()
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return null
    throw unusable(`Cannot open the door "${socket}": ${sentenceOf(cause)}`, cause)
  }
  return { ask: (verb, argument) => ask(socket, verb, argument) }
}

async function* ask(socket: string, verb: string, argument: unknown): AsyncGenerator<unknown> {
  const gone = `Cannot ask the broker to ${verb}: it went away at "${socket}"`
  let connection: Socket | undefined
  try {
    connection = await connect(socket)
    connection.write(encode({ verb, argument }))
    for await (const frame of readFrames(connection)) {
      const reply = frame as Reply
      if ('error' in reply) throw new NightjarError(reply.error.code, reply.error.message)
      if ('done' in reply) return
      yield* reply.values
    }
    throw unusable(gone)
  } catch (cause) {
    throw cause instanceof NightjarError ? cause : unusable(gone, cause)
  } finally {
    connection?.destroy()
  }
}

async function connect(socket: string): Promise<Socket> {
  const connection = createConnection(socket)
  await once(connection, 'connect')
  return connection
}

async function readRequest(connection: Socket): Promise<{ verb: string; argument: unknown }> {
  for await (const frame of readFrames(connection.iterator({ destroyOnReturn: false }))) {
    if (typeof frame !== 'object' || frame === null || !('verb' in frame)) break
    return { verb: String(frame.verb), argument: 'argument' in frame ? frame.argument : undefined }
  }
  throw new NightjarError('input_invalid', 'Cannot answer at the door: nothing was asked')
}

async function* readFrames(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<unknown> {
  let waiting: Uint8Array[] = []
  let size = 0
  let wanted = headerBytes
  let inHeader = true
  for await (const chunk of chunks) {
    waiting.push(chunk)
    size += chunk.length
    while (size >= wanted) {
      const whole =
        waiting.length === 1 ? Buffer.from(waiting[0] as Uint8Array) : Buffer.concat(waiting)
      const frame = whole.subarray(0, wanted)
      waiting = [whole.subarray(wanted)]
      size -= wanted
      wanted = inHeader ? lengthOf(frame) : headerBytes
      inHeader = !inHeader
      if (inHeader) yield deserialize(frame)
    }
  }
}

function lengthOf(header: Buffer): number {
  const length = header.readUInt32BE()
  if (length <= maxFrameBytes) return length
  throw new NightjarError(
    'input_invalid',
    `Cannot read a frame: it says ${length} bytes, and ${maxFrameBytes} are allowed`,
  )
}

function encode(value: unknown): Buffer {
  const body = serialize(value)
  const header = Buffer.alloc(headerBytes)
  header.writeUInt32BE(body.length)
  return Buffer.concat([header, body])
}

function unusable(message: string, cause?: unknown): NightjarError {
  return new NightjarError('home_unusable', message, { cause })
}

export interface Queries {
  query(sql: string): AsyncIterable<Record<string, unknown>>
  close(): Promise<void>
}

/**
 * Queries against the warehouse of a home: asked of the broker that runs there, by the verb `query`
 * with the statement as argument, else of the file, which is then opened for reading only.
 */
export async function openQueries(options: {
  home: string
  file: string
  dataset: string
}): Promise<Queries> {
  const { home, file, dataset } = options
  const door = await openDoor(doorPath(home))
  if (door !== null) {
    return {
      query: (sql) => rowsOf(door.ask('query', sql)),
      async close() {},
    }
  }
  if (!existsSync(file)) {
    throw unusable(
      `Cannot query ${dataset}: no warehouse in "${home}" yet; run "nightjar run" first`,
    )
  }
  const warehouse = await acquireWarehouse({ file, readOnly: true })
  return {
    query: (sql) => readRows(warehouse, dataset, sql),
    close: () => warehouse.release(),
  }
}

async function* rowsOf(values: AsyncIterable<unknown>): AsyncGenerator<Record<string, unknown>> {
  for await (const value of values) yield value as Record<string, unknown>
}
