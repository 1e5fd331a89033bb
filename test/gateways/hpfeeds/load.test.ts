/** Peers that mean ill, or that are many: memory stays bounded, and the others do not notice. */
import assert from 'node:assert/strict'
import { execFileSync, fork, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { formatPublish } from '../../../gateways/hpfeeds/protocol.ts'
import { connectClient, eventually, startBroker, type TestClient } from './harness.ts'
import { endPrograms, startGateway, type Gateway } from './programs.ts'

const dir = mkdtempSync(join(tmpdir(), 'nightjar-hpfeeds-load-'))
const crowds: ChildProcess[] = []
after(() => {
  for (const crowd of crowds) crowd.kill('SIGKILL')
  endPrograms()
  rmSync(dir, { recursive: true })
})

const host = '127.0.0.1'
const env = {
  HPFEEDS_ALICE_SECRET: 's3cret',
  HPFEEDS_ALICE_PUBCHANS: 'alerts',
  HPFEEDS_ALICE_SUBCHANS: 'alerts',
}

/** Files that a process may have open here, and so the connections that a test can make. */
const files = Number(execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }).trim())
const crowdSize = Math.min(10_000, files - 500)

const start = (): Promise<Gateway> =>
  startGateway(['--bind', `${host}:0`, '--home', 'home', '--auth', 'env'], {
    cwd: mkdtempSync(join(dir, 'home-')),
    env,
  })

/** Resident memory of a process in MB. */
function memoryOf({ started }: Gateway): number {
  const status = readFileSync(`/proc/${started.child.pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1000
}

async function client(port: number): Promise<TestClient> {
  const one = await connectClient(connect({ host, port }))
  one.auth('alice', 's3cret')
  one.subscribe('alerts')
  one.publish('alerts', 'I am in')
  while ((await one.text()) !== 'I am in') continue
  return one
}

/** How long a message takes to oneself, in ms; the median of some. */
async function echoMs(one: TestClient): Promise<number> {
  const took: number[] = []
  for (let i = 0; i < 9; i++) {
    const began = performance.now()
    one.publish('alerts', `echo ${i}`)
    while ((await one.text()) !== `echo ${i}`) continue
    took.push(performance.now() - began)
  }
  return took.sort((a, b) => a - b)[4] ?? Infinity
}

test(`${crowdSize} idle connections: a few kilobytes each, and others are served`, async () => {
  const gateway = await start()
  const [port = 0] = gateway.ports
  const one = await client(port)
  await echoMs(one)
  const before = memoryOf(gateway)
  // Files are counted by process: the other ends are in one of their own.
  const crowd = fork(join(import.meta.dirname, 'crowd.ts'), [String(port), String(crowdSize)])
  crowds.push(crowd)
  const standing = await new Promise((resolve) => crowd.once('message', resolve))
  assert.equal(standing, crowdSize)
  const each = ((memoryOf(gateway) - before) * 1000) / crowdSize
  assert.ok(each < 40, `${each.toFixed(1)} kB a connection`)
  const took = await echoMs(one)
  assert.ok(took < 1000, `${took} ms`)
  crowd.kill('SIGKILL')
  one.socket.destroy()
  await pause(500)
  await gateway.stop()
})

test('a subscriber that never reads makes no more be held than the limits say; others get all', async () => {
  const heldBytes = 4 << 20
  const limits = { highBytes: 1 << 20, lowBytes: 1 << 18, slowMs: 60_000, heldBytes }
  const broker = await startBroker({ limits })
  try {
    const [stuck, good, writer] = [
      await broker.client('bob'),
      await broker.client('bob'),
      await broker.client('alice'),
    ]
    stuck.subscribe('alerts')
    good.subscribe('alerts')
    const bob = broker.broker.tally.of('bob')
    await eventually('two are subscribed', () => bob.subscriptions.get('alerts') === 2)
    stuck.socket.pause()
    const payload = Buffer.alloc(256 << 10, 1)
    let most = 0
    // The kernel takes some megabytes of them for itself.
    for (let i = 0; i < 14; i++) {
      for (let j = 0; j < 8; j++) writer.publish('alerts', payload)
      for (let j = 0; j < 8; j++) {
        assert.equal((await good.next(20_000)).op, 'publish')
        const held = [...bob.connections].reduce((sum, one) => sum + one.sendBuffer(), 0)
        most = Math.max(most, held)
      }
    }
    assert.ok(most > heldBytes / 2, `${most} bytes were held at most`)
    assert.ok(most <= heldBytes + 8 * (payload.length + 100), `${most} bytes were held`)
    assert.equal(bob.faults.get('deadline-timer-expired'), 1)
    assert.equal(bob.subscriptions.get('alerts'), 1)
  } finally {
    await broker.close()
  }
})

test('many subscribers that never read hold each message once', async () => {
  const limits = { highBytes: 64 << 20, slowMs: 60_000, heldBytes: 48 << 20 }
  const broker = await startBroker({ limits })
  try {
    const stuck = await Promise.all(Array.from({ length: 20 }, () => broker.client('bob')))
    for (const one of stuck) one.subscribe('alerts')
    const bob = broker.broker.tally.of('bob')
    await eventually('all are subscribed', () => bob.subscriptions.get('alerts') === 20)
    for (const { socket } of stuck) socket.pause()
    const writer = await broker.client('alice')
    const before = process.memoryUsage().arrayBuffers
    for (let i = 0; i < 32; i++) writer.publish('alerts', Buffer.alloc(1 << 20).subarray(64))
    writer.end()
    await writer.closed(10_000)
    await eventually('all is queued', () => bob.queued === 20 * 32 * ((1 << 20) - 64))
    const grown = process.memoryUsage().arrayBuffers - before
    // 32 MB for twenty, not 640; the topic keeps some of them for its readers as well.
    assert.ok(grown < 140e6, `${Math.round(grown / 1e6)} MB more`)
    assert.equal(bob.faults.size, 0)
  } finally {
    await broker.close()
  }
})

test('slow loris: bytes one by one, long frames that never end, half-closed ends; the others go on', async () => {
  const gateway = await start()
  const [port = 0] = gateway.ports
  const one = await client(port)
  const before = memoryOf(gateway)
  const sockets: Socket[] = []
  const whole = formatPublish('alice', 'alerts', Buffer.alloc(1 << 19))
  for (let i = 0; i < 300; i++) {
    const socket = connect({ host, port, allowHalfOpen: true })
    sockets.push(socket.on('error', () => {}).resume())
    // A frame that announces 1 MiB, before any AUTH; a few bytes; nothing at all; an end at once.
    if (i % 4 === 0) socket.write(Buffer.from('0010000503', 'hex'))
    if (i % 4 === 1) socket.write(Buffer.from('000000', 'hex'))
    if (i % 4 === 2) socket.end(Buffer.from('0000001f02', 'hex'))
  }
  // Those with a key are held to what they sent, not to what they announced.
  const drips = await Promise.all(Array.from({ length: 50 }, () => client(port)))
  for (const drip of drips) drip.write(whole.subarray(0, 1000))
  for (let i = 0; i < 50; i++) {
    for (const drip of drips) drip.write(whole.subarray(1000 + i, 1001 + i))
    await pause(2)
  }
  const took = await echoMs(one)
  assert.ok(took < 1000, `${took} ms`)
  const grown = memoryOf(gateway) - before
  assert.ok(grown < 60, `${grown} MB more`)
  for (const socket of sockets) socket.destroy()
  for (const { socket } of [...drips, one]) socket.destroy()
  await pause(200)
  await gateway.stop()
})
