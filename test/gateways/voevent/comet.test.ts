/** With the peers of the field: Comet in each of its roles, and pygcn as a subscriber. */
import assert from 'node:assert/strict'
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'

import type { Endpoint } from '../../../gateways/endpoint.ts'
import { createAdmission, type AcceptedEvent } from '../../../gateways/voevent/admission.ts'
import { createBroadcaster } from '../../../gateways/voevent/broadcaster.ts'
import { createReceiver } from '../../../gateways/voevent/receiver.ts'
import { memorySeen } from '../../../gateways/voevent/seen.ts'
import { sendEvent } from '../../../gateways/voevent/sender.ts'
import { subscribeTo } from '../../../gateways/voevent/subscriber.ts'
import { peersDir, skipWithout } from '../../data.ts'
import { made } from './events.ts'

const bin = join(peersDir, 'comet/bin')
const options = {
  skip: skipWithout(join(bin, 'twistd'), '"make peers" installs Comet'),
  timeout: 60_000,
}

const localIvo = 'ivo://org.nightjar/broker'
const folder = mkdtempSync(join(tmpdir(), 'nightjar-comet-'))
const children: ChildProcess[] = []
const stops: (() => unknown)[] = []
after(async () => {
  for (const stop of stops.reverse()) await stop()
  for (const child of children) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

async function serve(accept: (socket: Socket) => void): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, accept)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  stops.push(() => server.close())
  return (server.address() as AddressInfo).port
}

/** A port that is free now: Comet cannot be asked which one it got. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function answers(port: number): Promise<void> {
  for (;;) {
    const socket = connect({ host: '127.0.0.1', port })
    const there = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true))
      socket.once('error', () => resolve(false))
    })
    socket.destroy()
    if (there) return
    await pause(100)
  }
}

let events = 0
function comet(...words: string[]): void {
  const at = mkdtempSync(join(folder, 'comet-'))
  const child = spawn(
    join(bin, 'python'),
    [
      join(bin, 'twistd'),
      '--nodaemon',
      `--pidfile=${at}/pid`,
      `--logfile=${at}/log`,
      'comet',
      '-v',
      '-v',
      '--local-ivo=ivo://org.comet/peer',
      `--eventdb=${at}/db`,
      ...words,
    ],
    { cwd: at, stdio: 'ignore' },
  )
  children.push(child)
}

const tcp = (port: number): Endpoint => ({ kind: 'tcp', host: '127.0.0.1', port })
const ivorn = (): string => `ivo://org.example/stream#ev${++events}`
const never = new AbortController().signal
const log = (): void => {}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await pause(50)
}

function admissionTo(published: AcceptedEvent[]) {
  return createAdmission({
    seen: memorySeen(),
    rule: 'event',
    publish: async (event) => void published.push(event),
  })
}

test(
  'C26 C28 comet-sendvo sends to our receiver: acked, then refused as seen before',
  options,
  async () => {
    const published: AcceptedEvent[] = []
    const receiver = createReceiver({
      admission: admissionTo(published),
      localIvo,
      onDuplicate: 'nak',
      log,
    })
    stops.push(() => receiver.close())
    const port = await serve((socket) => receiver.accept(socket, 'author'))
    const file = join(folder, 'event.xml')
    writeFileSync(file, made({ ivorn: ivorn() }))
    const send = () =>
      promisify(execFile)(join(bin, 'python'), [
        join(bin, 'comet-sendvo'),
        '--host=127.0.0.1',
        `--port=${port}`,
        `--file=${file}`,
      ])
    await send()
    assert.ok(Buffer.from(published[0]?.bytes ?? []).equals(readFileSync(file)))
    await assert.rejects(send(), { code: 1 })
    assert.equal(published.length, 1)
  },
)

test(
  'C26 C28 our sender sends to Comet: acked, then refused in the same words as ours',
  options,
  async () => {
    const port = await freePort()
    comet('--receive', `--receive-port=${port}`)
    await answers(port)
    const id = ivorn()
    const send = () =>
      sendEvent(tcp(port), made({ ivorn: id }), id, { timeoutMs: 10_000, signal: never })
    assert.deepEqual(await send(), { kind: 'ack' })
    assert.deepEqual(await send(), {
      kind: 'nak',
      reason: 'Event rejected: Previously seen by this broker',
    })
  },
)

test(
  'C19 C29 Comet subscribes to our broadcaster and saves our event bit for bit, if its filter lets it',
  options,
  async () => {
    const broadcaster = createBroadcaster({ localIvo, log })
    stops.push(() => broadcaster.close())
    const port = await serve((socket) => broadcaster.accept(socket, 'subscriber'))
    const saved = join(folder, 'saved')
    comet(
      `--remote=127.0.0.1:${port}`,
      '--filter=//Who',
      '--save-event',
      `--save-event-directory=${saved}`,
    )
    await until(() => broadcaster.subscribers() === 1)
    // Its filters are on their way: what is sent before they come is sent unfiltered.
    await pause(1000)
    const event = made({ ivorn: 'ivo://org.example/stream#withwho', body: '<Who/>' })
    broadcaster.send(made({ ivorn: ivorn() }))
    broadcaster.send(event)
    await until(() => existsSync(saved) && readdirSync(saved).length > 0)
    await pause(300)
    assert.deepEqual(readdirSync(saved), ['ivo__org.example_streamwithwho'])
    assert.ok(readFileSync(join(saved, 'ivo__org.example_streamwithwho')).equals(event))
  },
)

test(
  'C19 C29 our subscriber takes from Comet what was sent to it, bit for bit',
  options,
  async () => {
    const [receive, broadcast] = [await freePort(), await freePort()]
    comet(
      '--receive',
      `--receive-port=${receive}`,
      '--broadcast',
      `--broadcast-port=${broadcast}`,
      '--broadcast-test-interval=0',
    )
    await answers(receive)
    await answers(broadcast)
    const published: AcceptedEvent[] = []
    const stop = new AbortController()
    const linked: string[] = []
    const ended = subscribeTo({
      endpoint: tcp(broadcast),
      admission: admissionTo(published),
      filters: ['/*[@role="observation"]'],
      log: (name) => void linked.push(name),
      signal: stop.signal,
    })
    stops.push(async () => {
      stop.abort()
      await ended
    })
    await until(() => linked.includes('upstream_linked'))
    await pause(1000)
    const [utility, id] = [ivorn(), ivorn()]
    const event = made({ ivorn: id })
    await sendEvent(tcp(receive), made({ ivorn: utility, role: 'utility' }), utility, {
      timeoutMs: 10_000,
      signal: never,
    })
    assert.deepEqual(
      await sendEvent(tcp(receive), event, id, { timeoutMs: 10_000, signal: never }),
      { kind: 'ack' },
    )
    await until(() => published.length > 0)
    await pause(300)
    assert.deepEqual(
      published.map((one) => one.ivorn),
      [id],
    )
    assert.ok(Buffer.from(published[0]?.bytes ?? []).equals(event))
  },
)

test('pygcn, which never answers a greeting, is sent our events and kept', options, async () => {
  const broadcaster = createBroadcaster({ localIvo, log, aliveMs: 500 })
  stops.push(() => broadcaster.close())
  const port = await serve((socket) => broadcaster.accept(socket, 'pygcn'))
  const out = join(folder, 'pygcn')
  const program = `
import gcn, sys
def handle(payload, root):
    open(${JSON.stringify(out)}, 'ab').write(payload)
gcn.listen(host='127.0.0.1', port=${port}, handler=handle)
`
  const child = spawn(join(bin, 'python'), ['-c', program], { stdio: 'ignore' })
  children.push(child)
  await until(() => broadcaster.subscribers() === 1)
  await pause(1500)
  assert.equal(broadcaster.subscribers(), 1)
  const event = made({ ivorn: ivorn() })
  broadcaster.send(event)
  await until(() => existsSync(out) && readFileSync(out).length >= event.length)
  assert.ok(readFileSync(out).equals(event))
})
