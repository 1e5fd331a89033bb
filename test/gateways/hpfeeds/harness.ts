/** A broker in this process over a home of its own, and a client that sees every byte. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { homeFeeds } from '../../../cli/feeds.ts'
import type { Credential, CredentialSource } from '../../../core/credential.ts'
import type { Events, Log } from '../../../core/log.ts'
import { createFrameReader } from '../../../gateways/frames.ts'
import {
  createHpfeedsBroker,
  type BrokerLimits,
  type HpfeedsBroker,
} from '../../../gateways/hpfeeds/broker.ts'
import type { FeedOf } from '../../../gateways/hpfeeds/channels.ts'
import {
  digestOf,
  formatAuth,
  formatPublish,
  formatSubscribe,
  formatUnsubscribe,
  hpfeedsFrames,
  parseMessage,
  type Message,
} from '../../../gateways/hpfeeds/protocol.ts'
import { listen } from '../../../gateways/listen.ts'
import { openGround, type Ground } from '../../../local/broker.ts'

export interface Said {
  name: keyof Events
  facts: Events[keyof Events]
}

export interface TestBroker {
  port: number
  home: string
  ground: Ground
  broker: HpfeedsBroker
  said: Said[]
  /** Connect and authenticate; without a secret only connect. */
  client(ident?: string, secret?: string): Promise<TestClient>
  close(): Promise<void>
}

export interface TestClient {
  socket: Socket
  nonce: Buffer
  brokerName: string
  auth(ident: string, secret: string): void
  publish(channel: string, payload: string | Uint8Array, ident?: string): void
  subscribe(channel: string, ident?: string): void
  unsubscribe(channel: string): void
  write(bytes: Buffer): void
  /** The next message; fails where none comes in time. */
  next(ms?: number): Promise<Message>
  /** The next message, which must be a PUBLISH, as text. */
  text(): Promise<string>
  /** What came and was not taken yet. */
  waiting(): Message[]
  /** Resolves with the messages that were not taken when the broker has ended the connection. */
  closed(ms?: number): Promise<Message[]>
  end(): void
}

/** Credentials held in memory. */
export function memoryCredentials(credentials: readonly Credential[]): CredentialSource {
  return {
    find: async (ident) => credentials.find((known) => known.ident === ident),
    close() {},
  }
}

export const alice: Credential = {
  owner: 'observatory',
  ident: 'alice',
  secret: 's3cret',
  publish: ['alerts', 'test-chan'],
  subscribe: ['alerts', 'test-chan'],
}
export const bob: Credential = {
  owner: 'bob',
  ident: 'bob',
  secret: 'hunter2',
  publish: [],
  subscribe: ['alerts'],
}

export interface TestBrokerOptions {
  limits?: Partial<BrokerLimits>
  sources?: CredentialSource[]
  name?: string
  home?: string
  feedOf?: FeedOf
  onPublish?: (ident: string, channel: string, bytes: number) => void
}

/** Start a broker on a port of the system's choice. */
export async function startBroker(options: TestBrokerOptions = {}): Promise<TestBroker> {
  const home = options.home ?? mkdtempSync(join(tmpdir(), 'nightjar-hpfeeds-'))
  const ground = await openGround(home, { survey: 'ztf', project: 'local' })
  const said: Said[] = []
  const log: Log = (name, facts) => void said.push({ name, facts })
  const broker = createHpfeedsBroker({
    name: options.name ?? 'mybroker',
    sources: options.sources ?? [memoryCredentials([alice, bob])],
    feedOf: options.feedOf ?? (await homeFeeds(ground, 'hpfeeds.')),
    log,
    ...(options.limits && { limits: options.limits }),
    ...(options.onPublish && { onPublish: options.onPublish }),
  })
  const listening = await listen({
    endpoint: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    accept: broker.accept,
    log,
  })
  const port = 'port' in listening.endpoint ? listening.endpoint.port : 0
  const clients: TestClient[] = []
  return {
    port,
    home,
    ground,
    broker,
    said,
    async client(ident, secret = ident === 'alice' ? alice.secret : bob.secret) {
      const client = await connectClient(connect({ host: '127.0.0.1', port, allowHalfOpen: true }))
      clients.push(client)
      if (ident !== undefined) client.auth(ident, secret)
      return client
    },
    async close() {
      for (const { socket } of clients) socket.destroy()
      const closed = listening.close()
      await broker.close()
      await closed
      await ground.close()
      if (options.home === undefined) rmSync(home, { recursive: true })
    },
  }
}

/** Read INFO from a socket and go on as a client. */
export async function connectClient(socket: Socket): Promise<TestClient> {
  const frames = createFrameReader(hpfeedsFrames)
  const messages: Message[] = []
  let isClosed = false
  let ident = ''
  let wake = (): void => {}
  socket.on('data', (bytes: Buffer) => {
    frames.feed(bytes)
    for (let frame = frames.next(); frame; frame = frames.next()) {
      messages.push(parseMessage(frame))
    }
    wake()
  })
  socket.on('error', () => {})
  socket.on('end', () => {
    isClosed = true
    socket.end()
    wake()
  })
  socket.on('close', () => {
    isClosed = true
    wake()
  })

  async function until(done: () => boolean, ms: number, what: string): Promise<void> {
    const late = performance.now() + ms
    while (!done()) {
      assert.ok(performance.now() < late, `${what} in ${ms} ms`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 20)
        wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  async function next(ms = 5000): Promise<Message> {
    await until(() => messages.length > 0 || isClosed, ms, 'no message came')
    const message = messages.shift()
    assert.ok(message !== undefined, 'the broker ended the connection')
    return message
  }

  const info = await next()
  assert.ok(info.op === 'info')
  return {
    socket,
    nonce: info.nonce,
    brokerName: info.name,
    auth(name, secret) {
      ident = name
      socket.write(formatAuth(name, digestOf(info.nonce, secret)))
    },
    publish: (channel, payload, as = ident) =>
      void socket.write(formatPublish(as, channel, Buffer.from(payload))),
    subscribe: (channel, as = ident) => void socket.write(formatSubscribe(as, channel)),
    unsubscribe: (channel) => void socket.write(formatUnsubscribe(ident, channel)),
    write: (bytes) => void socket.write(bytes),
    next,
    async text() {
      const message = await next()
      assert.ok(message.op === 'publish', JSON.stringify(message))
      return message.payload.toString()
    },
    waiting: () => messages,
    async closed(ms = 5000) {
      await until(() => isClosed, ms, 'the connection did not close')
      return messages.splice(0)
    },
    end: () => void socket.end(),
  }
}

/** Wait for something to come true. */
export async function eventually(what: string, isSo: () => boolean, ms = 5000): Promise<void> {
  const late = performance.now() + ms
  while (!isSo()) {
    assert.ok(performance.now() < late, `${what}: not in ${ms} ms`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
