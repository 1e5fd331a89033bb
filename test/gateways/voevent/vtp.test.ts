import assert from 'node:assert/strict'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { after, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { NightjarError } from '../../../core/errors.ts'
import type { Log } from '../../../core/log.ts'
import type { Endpoint } from '../../../gateways/endpoint.ts'
import { createFrameReader } from '../../../gateways/frames.ts'
import { createAdmission, type AcceptedEvent } from '../../../gateways/voevent/admission.ts'
import {
  createBroadcaster,
  type BroadcasterOptions,
} from '../../../gateways/voevent/broadcaster.ts'
import { parseDocument } from '../../../gateways/voevent/document.ts'
import { formatFrame, mostDocumentBytes, vtpFrames } from '../../../gateways/voevent/frame.ts'
import { createReceiver, type ReceiverOptions } from '../../../gateways/voevent/receiver.ts'
import { memorySeen, rememberedMs } from '../../../gateways/voevent/seen.ts'
import { sendEvent } from '../../../gateways/voevent/sender.ts'
import { subscribeTo } from '../../../gateways/voevent/subscriber.ts'
import { formatTransport } from '../../../gateways/voevent/transport.ts'
import { made } from './events.ts'

const localIvo = 'ivo://org.nightjar/broker'
const never = new AbortController().signal
const stops: (() => unknown)[] = []
after(async () => {
  for (const stop of stops.reverse()) await stop()
})

/** A server on a port of the system's choice. */
async function serve(accept: (socket: Socket) => void): Promise<Endpoint> {
  const server = createServer({ allowHalfOpen: true }, accept)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  stops.push(() => server.close())
  return { kind: 'tcp', host: '127.0.0.1', port: (server.address() as AddressInfo).port }
}

interface Heard {
  role: string
  result?: string
  ivorn?: string
}

/** A peer of the other side, that keeps what it is told. */
async function peerOf(endpoint: Endpoint): Promise<{
  socket: Socket
  heard: Heard[]
  frames: Buffer[]
  ended: Promise<void>
  until(count: number): Promise<void>
}> {
  assert.equal(endpoint.kind, 'tcp')
  const socket = connect({ host: '127.0.0.1', port: endpoint.kind === 'tcp' ? endpoint.port : 0 })
  const heard: Heard[] = []
  const frames: Buffer[] = []
  const reader = createFrameReader(vtpFrames)
  let woken = (): void => {}
  socket.on('data', (chunk) => {
    reader.feed(chunk)
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
      frames.push(Buffer.from(frame.body))
      using document = parseDocument(frame.body)
      const { head } = document
      heard.push(
        head.kind === 'event'
          ? { role: head.role, ...(head.ivorn !== undefined && { ivorn: head.ivorn }) }
          : { role: head.role, ...(head.result !== undefined && { result: head.result }) },
      )
    }
    woken()
  })
  const ended = new Promise<void>((resolve) => {
    socket.on('close', () => {
      resolve()
      woken()
    })
  })
  socket.on('error', () => {})
  stops.push(() => socket.destroy())
  await new Promise<void>((resolve) => socket.once('connect', resolve))
  return {
    socket,
    heard,
    frames,
    ended,
    async until(count) {
      while (heard.length < count && !socket.destroyed) {
        await new Promise<void>((resolve) => (woken = resolve))
      }
    },
  }
}

interface Inside {
  endpoint: Endpoint
  published: AcceptedEvent[]
  /** What the next publishes are to do instead. */
  publish: { instead?: (event: AcceptedEvent) => Promise<void> }
}

async function receiverWith(
  options: Partial<ReceiverOptions> = {},
  now?: () => number,
): Promise<Inside> {
  const published: AcceptedEvent[] = []
  const publish: Inside['publish'] = {}
  const admission = createAdmission({
    seen: memorySeen(now),
    rule: 'event',
    ...(now && { now: () => new Date(now()) }),
    async publish(event) {
      if (publish.instead) await publish.instead(event)
      published.push(event)
    },
  })
  const log: Log = () => {}
  const receiver = createReceiver({ admission, localIvo, onDuplicate: 'nak', log, ...options })
  stops.push(() => receiver.close())
  const endpoint = await serve((socket) => receiver.accept(socket, 'peer'))
  return { endpoint, published, publish }
}

const send = (endpoint: Endpoint, event: Buffer, ivorn = 'ivo://org.example/stream#ev1') =>
  sendEvent(endpoint, event, ivorn, { timeoutMs: 5000, signal: never })

test('C26 an author sends an event, is acked, and the event is on its topic bit for bit', async () => {
  const { endpoint, published } = await receiverWith()
  assert.deepEqual(await send(endpoint, made()), { kind: 'ack' })
  assert.deepEqual(
    published.map(({ bytes, ivorn, source }) => [Buffer.from(bytes).toString(), ivorn, source]),
    [[made().toString(), 'ivo://org.example/stream#ev1', 'receive']],
  )
})

test('C9 C27 what cannot be taken is refused in Comet’s words', async () => {
  const { endpoint, published } = await receiverWith()
  await send(endpoint, made())
  for (const [event, ivorn, reason] of [
    [made(), undefined, 'Previously seen by this broker'],
    [
      made({ body: '<Bogus/>' }),
      undefined,
      "Element 'Bogus': This element is not expected., line 2",
    ],
    [made({ ivorn: 'ivo://org.example/x' }), 'ivo://org.example/x', 'No per-event local ID'],
    [made({ ivorn: 'ivo://a#1' }), 'ivo://a#1', 'Invalid IVOID: ivo://a#1'],
  ] as const) {
    assert.deepEqual(await send(endpoint, event, ivorn), {
      kind: 'nak',
      reason: `Event rejected: ${reason}`,
    })
  }
  assert.equal(published.length, 1)
})

test('a duplicate is acked and not published again where the standard’s way is asked for', async () => {
  const { endpoint, published } = await receiverWith({ onDuplicate: 'ack' })
  await send(endpoint, made())
  assert.deepEqual(await send(endpoint, made()), { kind: 'ack' })
  assert.equal(published.length, 1)
})

test('C9 after thirty days an event may come again', async () => {
  let now = Date.now()
  const { endpoint, published } = await receiverWith({}, () => now)
  await send(endpoint, made())
  now += rememberedMs - 1
  assert.equal((await send(endpoint, made())).kind, 'nak')
  now += 1
  assert.equal((await send(endpoint, made())).kind, 'ack')
  assert.equal(published.length, 2)
})

test('a thousand copies at once are one event', async () => {
  const { endpoint, published, publish } = await receiverWith()
  publish.instead = () => pause(20)
  const receipts = await Promise.all(Array.from({ length: 200 }, () => send(endpoint, made())))
  assert.equal(receipts.filter(({ kind }) => kind === 'ack').length, 1)
  assert.equal(published.length, 1)
})

test('an event that could not be published gets no receipt, and is taken when it comes again', async () => {
  const { endpoint, published, publish } = await receiverWith()
  publish.instead = () =>
    Promise.reject(new NightjarError('publish_failed', 'Cannot publish: down'))
  assert.equal((await send(endpoint, made())).kind, 'none')
  delete publish.instead
  assert.equal((await send(endpoint, made())).kind, 'ack')
  assert.equal(published.length, 1)
})

test('two events in one piece are both acked, and then the connection is closed', async () => {
  const { endpoint } = await receiverWith()
  const peer = await peerOf(endpoint)
  const second = made({ ivorn: 'ivo://org.example/stream#ev2' })
  peer.socket.write(Buffer.concat([formatFrame(made()), formatFrame(second)]))
  await peer.ended
  assert.deepEqual(
    peer.heard.map(({ role }) => role),
    ['ack', 'ack'],
  )
})

test('an event that comes byte by byte is taken; one that never ends is cut off after its time', async () => {
  const { endpoint } = await receiverWith({ timeoutMs: 400 })
  const peer = await peerOf(endpoint)
  for (const byte of formatFrame(made())) peer.socket.write(Buffer.of(byte))
  await peer.until(1)
  assert.equal(peer.heard[0]?.role, 'ack')
  const slow = await peerOf(endpoint)
  const began = performance.now()
  const drip = setInterval(() => slow.socket.write('\0\0\x01\0'.slice(0, 1)), 20)
  await slow.ended
  clearInterval(drip)
  assert.ok(performance.now() - began < 2000)
})

test('garbage, messages of transport and frames too long are closed without a receipt', async () => {
  const { endpoint, published } = await receiverWith()
  const alive = formatTransport({ role: 'iamalive', origin: localIvo, at: new Date() })
  const long = Buffer.alloc(4)
  long.writeUInt32BE(mostDocumentBytes + 1)
  for (const bytes of [
    formatFrame(Buffer.from('hello')),
    formatFrame(alive),
    formatFrame(Buffer.alloc(0)),
    long,
  ]) {
    const peer = await peerOf(endpoint)
    peer.socket.write(bytes)
    await peer.ended
    assert.deepEqual(peer.heard, [])
  }
  assert.equal(published.length, 0)
})

async function broadcasterWith(options: Partial<BroadcasterOptions> = {}) {
  const broadcaster = createBroadcaster({ localIvo, log: () => {}, ...options })
  stops.push(() => broadcaster.close())
  const endpoint = await serve((socket) => broadcaster.accept(socket, 'peer'))
  return { broadcaster, endpoint }
}

const say = (
  socket: Socket,
  role: 'iamalive' | 'ack' | 'nak' | 'authenticate',
  filters?: string[],
): void => {
  const at = new Date()
  socket.write(
    formatFrame(formatTransport({ role, origin: localIvo, at, ...(filters && { filters }) })),
  )
}

test('C29 a subscriber is greeted at once and sent events bit for bit, before it has said a word', async () => {
  const { broadcaster, endpoint } = await broadcasterWith()
  const peer = await peerOf(endpoint)
  await peer.until(1)
  assert.equal(peer.heard[0]?.role, 'authenticate')
  broadcaster.send(made())
  await peer.until(2)
  assert.ok(peer.frames[1]?.equals(made()))
})

test('C3 each subscriber is sent what passes its filters, and a later greeting replaces them', async () => {
  const { broadcaster, endpoint } = await broadcasterWith()
  const all = await peerOf(endpoint)
  const some = await peerOf(endpoint)
  say(some.socket, 'authenticate', ['//Who'])
  await pause(100)
  const who = made({ ivorn: 'ivo://org.example/stream#who', body: '<Who/>' })
  broadcaster.send(made())
  broadcaster.send(who)
  await all.until(3)
  await some.until(2)
  assert.deepEqual(
    some.heard.map(({ ivorn }) => ivorn),
    [undefined, 'ivo://org.example/stream#who'],
  )
  say(some.socket, 'authenticate', [])
  await pause(100)
  broadcaster.send(made())
  await some.until(3)
  assert.equal(some.heard.length, 3)
})

test('filters of the server hold for everybody', async () => {
  const { broadcaster, endpoint } = await broadcasterWith({ serverFilters: ['/*[@role!="test"]'] })
  const peer = await peerOf(endpoint)
  broadcaster.send(made({ role: 'test' }))
  broadcaster.send(made())
  await peer.until(2)
  assert.deepEqual(
    peer.heard.map(({ role }) => role),
    ['authenticate', 'observation'],
  )
})

test('C26 a subscriber that answers is kept, one that is silent is let go at the second tick', async () => {
  const { broadcaster, endpoint } = await broadcasterWith({ aliveMs: 150 })
  const good = await peerOf(endpoint)
  const silent = await peerOf(endpoint)
  good.socket.on('data', () => say(good.socket, 'iamalive'))
  await silent.ended
  assert.equal(broadcaster.subscribers(), 1)
  await pause(500)
  assert.equal(broadcaster.subscribers(), 1)
})

test('a subscriber that acknowledges nothing is let go at ten events, one that refuses at once', async () => {
  const { broadcaster, endpoint } = await broadcasterWith({ aliveMs: 200 })
  const mute = await peerOf(endpoint)
  mute.socket.on('data', () => say(mute.socket, 'iamalive'))
  for (let i = 0; i < 13; i++) broadcaster.send(made())
  await mute.ended
  const refuses = await peerOf(endpoint)
  await refuses.until(1)
  say(refuses.socket, 'nak')
  await refuses.ended
})

test('a subscriber that acknowledges what it can is kept, though a burst is on its way to it at a tick', async () => {
  const { broadcaster, endpoint } = await broadcasterWith({ aliveMs: 200 })
  const busy = await peerOf(endpoint)
  busy.socket.on('data', () => say(busy.socket, 'iamalive'))
  for (let round = 0; round < 10; round++) {
    for (let i = 0; i < 20; i++) broadcaster.send(made())
    say(busy.socket, 'ack')
    await pause(60)
  }
  assert.equal(broadcaster.subscribers(), 1)
})

test('garbage from a subscriber is forgiven', async () => {
  const { broadcaster, endpoint } = await broadcasterWith()
  const peer = await peerOf(endpoint)
  peer.socket.write(formatFrame(Buffer.from('hello')))
  peer.socket.write(formatFrame(made()))
  await pause(100)
  broadcaster.send(made())
  await peer.until(2)
  assert.equal(peer.heard[1]?.role, 'observation')
})

test('a subscriber that never reads is let go, and the others do not wait for it', async () => {
  const { broadcaster, endpoint } = await broadcasterWith({ mostWaiting: 1 << 20 })
  const stuck = await peerOf(endpoint)
  stuck.socket.pause()
  const reads = await peerOf(endpoint)
  const big = made({ body: `<Description>${'x'.repeat(90_000)}</Description>` })
  for (let i = 0; i < 120; i++) {
    broadcaster.send(big)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await reads.until(121)
  assert.equal(reads.heard.length, 121)
  assert.equal(broadcaster.subscribers(), 1)
})

test('nothing above 99,999 bytes is sent: it would disconnect every Comet', async () => {
  const { broadcaster, endpoint } = await broadcasterWith()
  const peer = await peerOf(endpoint)
  broadcaster.send(made({ body: `<Description>${'x'.repeat(100_000)}</Description>` }))
  broadcaster.send(made())
  await peer.until(2)
  assert.ok(peer.frames[1]?.equals(made()))
})

/** Our subscriber at a broker that the test plays. */
async function upstream(
  options: { filters?: string[]; silenceMs?: number; localIvo?: string } = {},
) {
  const published: AcceptedEvent[] = []
  const admission = createAdmission({
    seen: memorySeen(),
    rule: 'event',
    publish: async (event) => void published.push(event),
  })
  const sockets: Socket[] = []
  let came = (): void => {}
  const endpoint = await serve((socket) => {
    socket.on('error', () => {})
    sockets.push(socket)
    came()
  })
  const stop = new AbortController()
  const ended = subscribeTo({
    endpoint,
    admission,
    filters: options.filters ?? [],
    log: () => {},
    signal: stop.signal,
    schedule: { firstMs: 50, factor: 1.5, mostMs: 500, stableMs: 5000 },
    ...(options.silenceMs !== undefined && { silenceMs: options.silenceMs }),
    ...(options.localIvo !== undefined && { localIvo: options.localIvo }),
  })
  stops.push(async () => {
    stop.abort()
    for (const socket of sockets) socket.destroy()
    await ended
  })
  const linked = async (count: number): Promise<Socket> => {
    while (sockets.length < count) await new Promise<void>((resolve) => (came = resolve))
    return sockets[count - 1] as Socket
  }
  return { published, linked }
}

/** The next documents that a socket brings. */
async function hear(socket: Socket, count: number): Promise<Buffer[]> {
  const reader = createFrameReader(vtpFrames)
  const found: Buffer[] = []
  return new Promise((resolve) => {
    const onData = (chunk: Buffer): void => {
      reader.feed(chunk)
      for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
        found.push(Buffer.from(frame.body))
      }
      if (found.length < count) return
      socket.removeListener('data', onData)
      resolve(found)
    }
    socket.on('data', onData)
  })
}

test('C20 C26 our subscriber answers greetings with its filters and signs of life with a copy', async () => {
  const { linked } = await upstream({ filters: ['//Who'], localIvo })
  const socket = await linked(1)
  const at = new Date()
  socket.write(
    formatFrame(formatTransport({ role: 'authenticate', origin: 'ivo://up.stream/x', at })),
  )
  socket.write(formatFrame(formatTransport({ role: 'iamalive', origin: 'ivo://up.stream/x', at })))
  const [greeting, alive] = await hear(socket, 2)
  using one = parseDocument(greeting as Buffer)
  using two = parseDocument(alive as Buffer)
  assert.deepEqual(one.head, {
    kind: 'transport',
    role: 'authenticate',
    origin: 'ivo://up.stream/x',
    response: localIvo,
    filters: ['//Who'],
  })
  assert.equal(two.head.role, 'iamalive')
})

test('our subscriber acks what comes from a broker, invalid or seen before, and publishes it once', async () => {
  const { linked, published } = await upstream()
  const socket = await linked(1)
  const old = made({ version: '1.1', body: '<Bogus/>' })
  for (const event of [old, old, made()]) socket.write(formatFrame(event))
  const receipts = await hear(socket, 3)
  for (const receipt of receipts) {
    using document = parseDocument(receipt)
    assert.equal(document.head.role, 'ack')
    assert.doesNotMatch(receipt.toString(), /<Response>/)
  }
  assert.deepEqual(
    published.map(({ source }) => source),
    ['subscribe', 'subscribe'],
  )
})

test('our subscriber comes back when the broker goes, and when it falls silent', async () => {
  const { linked } = await upstream({ silenceMs: 200 })
  const first = await linked(1)
  first.destroy()
  const second = await linked(2)
  second.write(formatFrame(Buffer.from('garbage is no sign of life')))
  await linked(3)
})

test('C9 two brokers in a ring relay each event once', async () => {
  const log: Log = () => {}
  const stop = new AbortController()
  const counts = [0, 0]
  const ring = await Promise.all(
    [0, 1].map(async (index) => {
      const broadcaster = createBroadcaster({ localIvo: `ivo://ring.node/${index}`, log })
      const admission = createAdmission({
        seen: memorySeen(),
        rule: 'event',
        async publish({ bytes }) {
          counts[index] = (counts[index] ?? 0) + 1
          broadcaster.send(bytes)
        },
      })
      const endpoint = await serve((socket) => broadcaster.accept(socket, 'ring'))
      stops.push(() => broadcaster.close())
      return { broadcaster, admission, endpoint }
    }),
  )
  const [a, b] = ring
  assert.ok(a && b)
  const { signal } = stop
  const links = [
    subscribeTo({ endpoint: a.endpoint, admission: b.admission, filters: [], log, signal }),
    subscribeTo({ endpoint: b.endpoint, admission: a.admission, filters: [], log, signal }),
  ]
  while (a.broadcaster.subscribers() + b.broadcaster.subscribers() < 2) await pause(20)
  const bytes = made()
  {
    using document = parseDocument(bytes)
    assert.ok((await a.admission.submit(bytes, document, 'author')).ok)
  }
  await pause(300)
  assert.deepEqual(counts, [1, 1])
  stop.abort()
  await Promise.all(links)
})
