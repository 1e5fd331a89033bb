/** ActiveMQ as part of a test: its broker in a process of its own, and STOMP 1.2 enough to speak to it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createConnection } from 'node:net'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'

import { peersDir, skipWithout } from '../data.ts'

const folder = resolve(peersDir, 'activemq')

export const skipWithoutActivemq = skipWithout(
  resolve(folder, 'classes/Broker.class'),
  'make peers',
)

export interface ActiveMq {
  stompPort: number
  /** Have it send a typed text message by OpenWire, as ctrl_events does. */
  sendTyped(
    destination: string,
    body: string,
    properties: readonly (readonly [name: string, type: string, value: string])[],
  ): void
  close(): Promise<void>
}

/** Start a broker with nothing on disk. */
export async function startActiveMq(): Promise<ActiveMq> {
  const child = spawn(
    'java',
    ['-Xmx192m', '-XX:+UseSerialGC', '-cp', `${folder}/classes:${folder}/libs/*`, 'Broker'],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  )
  const end = (): void => void child.kill('SIGKILL')
  process.once('exit', end)
  const ended = once(child, 'exit')
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const { value } = (await lines.next()) as { value?: string }
  const [, port] = /^stomp (\d+)$/.exec(value ?? '') ?? []
  if (port === undefined) {
    end()
    throw new Error(`ActiveMQ did not start: ${value}`)
  }
  const base64 = (text: string): string => Buffer.from(text).toString('base64')
  return {
    stompPort: Number(port),
    sendTyped(destination, body, properties) {
      const words = properties.map(([name, type, text]) => `${name}:${type}:${base64(text)}`)
      child.stdin.write(`${[destination, base64(body), ...words].join(' ')}\n`)
    },
    async close() {
      child.stdin.end()
      await ended
      process.removeListener('exit', end)
    },
  }
}

export interface Frame {
  command: string
  headers: Map<string, string>
  body: string
}

export interface Stomp {
  send(destination: string, headers: Readonly<Record<string, string>>, body: string): void
  /** Resolves when the broker has it. */
  subscribe(id: string, destination: string, selector?: string): Promise<void>
  unsubscribe(id: string): Promise<void>
  /** The next message of any subscription. */
  next(): Promise<Frame>
  close(): void
}

const escapes: readonly (readonly [plain: string, written: string])[] = [
  ['\\', '\\\\'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  [':', '\\c'],
]

const escaped = (text: string): string =>
  escapes.reduce((so, [plain, written]) => so.replaceAll(plain, written), text)

const unescaped = (text: string): string =>
  text.replaceAll(/\\[\\nrc]/g, (pair) => escapes.find(([, one]) => one === pair)?.[0] ?? pair)

/** Connect. Heartbeats and transactions are left out. */
export async function connectStomp(port: number): Promise<Stomp> {
  const socket = createConnection(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.setNoDelay()
  const frames = framesOf(socket)
  const messages: Frame[] = []
  let count = 0

  function write(command: string, headers: Readonly<Record<string, string>>, body = ''): void {
    // CONNECT alone has its headers as they are.
    const form = command === 'CONNECT' ? (text: string) => text : escaped
    const lines = Object.entries(headers).map(([name, value]) => `${form(name)}:${form(value)}\n`)
    socket.write(`${command}\n${lines.join('')}\n${body}\0`)
  }

  async function read(): Promise<Frame> {
    const { value, done } = await frames.next()
    if (done === true) throw new Error('ActiveMQ ended the connection')
    if (value.command === 'ERROR') throw new Error(`${value.headers.get('message')}: ${value.body}`)
    return value
  }

  async function done(command: string, headers: Readonly<Record<string, string>>): Promise<void> {
    const receipt = `r${++count}`
    write(command, { ...headers, receipt })
    for (;;) {
      const frame = await read()
      if (frame.command === 'RECEIPT' && frame.headers.get('receipt-id') === receipt) return
      messages.push(frame)
    }
  }

  write('CONNECT', { 'accept-version': '1.2', host: 'localhost', 'heart-beat': '0,0' })
  await read()
  return {
    send: (destination, headers, body) => write('SEND', { destination, ...headers }, body),
    subscribe: (id, destination, selector) =>
      done('SUBSCRIBE', { id, destination, ack: 'auto', ...(selector && { selector }) }),
    unsubscribe: (id) => done('UNSUBSCRIBE', { id }),
    next: async () => messages.shift() ?? read(),
    close: () => socket.destroy(),
  }
}

async function* framesOf(bytes: AsyncIterable<Buffer>): AsyncGenerator<Frame> {
  let held = Buffer.alloc(0)
  for await (const piece of bytes) {
    held = Buffer.concat([held, piece])
    for (;;) {
      while (held[0] === 10) held = held.subarray(1)
      const blank = held.indexOf('\n\n')
      if (blank < 0) break
      const [command = '', ...lines] = held.subarray(0, blank).toString().split('\n')
      const headers = new Map<string, string>()
      for (const line of lines) {
        const colon = line.indexOf(':')
        const name = unescaped(line.slice(0, colon))
        // Where a name comes twice the first counts.
        if (!headers.has(name)) headers.set(name, unescaped(line.slice(colon + 1)))
      }
      const length = headers.get('content-length')
      const end = length === undefined ? held.indexOf(0, blank + 2) : blank + 2 + Number(length)
      if (end < 0 || end >= held.length) break
      const body = held.subarray(blank + 2, end).toString()
      held = held.subarray(end + 1)
      yield { command, headers, body }
    }
  }
}
