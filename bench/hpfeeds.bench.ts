/**
 * The hpfeeds gateway beside hpfeeds' own broker, in the same run: one publisher, 100 subscribers.
 * Ours makes each message durable before it relays it; the original keeps nothing.
 *
 *     node bench/hpfeeds.bench.ts [messages]        (default 20,000 for ours, a tenth for the original)
 */
import { fork, spawn, type ChildProcess } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

import { formatCount, formatTable } from '../cli/text-table.ts'
import type { Figures, Task } from './hpfeeds_peer.ts'

const root = resolve(import.meta.dirname, '..')
const python = join(root, '.peers/hpfeeds/bin/python')
const messages = Number(process.argv[2] ?? 20_000)
const repeats = 3
const subscribers = 100
const payloadBytes = 500
/** Connections that stand before memory is looked at first, and how many more are made then. */
const warm = 2000
const idle = 8000
/** Messages a second at which latency is measured: what the original can keep up with. */
const rate = 100

const env = {
  ...process.env,
  HPFEEDS_ALICE_SECRET: 's3cret',
  HPFEEDS_ALICE_PUBCHANS: 'alerts',
  HPFEEDS_ALICE_SUBCHANS: 'alerts',
}

interface Broker {
  child: ChildProcess
  port: number
  startMs: number
}

interface Measured extends Figures {
  startMs: number
  kbAConnection: number
}

const folder = await mkdtemp(join(tmpdir(), 'nightjar-bench-hpfeeds-'))
try {
  const ours: Measured[] = []
  const theirs: Measured[] = []
  for (let i = 0; i < repeats; i++) {
    ours.push(await measure(startOurs, messages))
    if (existsSync(python)) theirs.push(await measure(startTheirs, messages / 10))
  }
  const heads = ['', 'events/s', 'p50 ms', 'p99 ms', 'kB a connection', 'start-up ms']
  const rows = [['nightjar gateway hpfeeds', ...cells(ours)]]
  if (theirs.length > 0) {
    rows.push(['hpfeeds 3.1.0', ...cells(theirs)])
    rows.push(['ratio', ...ratios(ours, theirs)])
  } else process.stdout.write('hpfeeds is not there (make peers installs it): ours alone\n')
  process.stdout.write(
    `${formatCount(messages)} messages of ${payloadBytes} bytes to ${subscribers} subscribers, ` +
      `best of ${repeats}; latency at ${rate} messages/s; memory over ${formatCount(idle)} connections\n`,
  )
  process.stdout.write(formatTable(heads, rows))
} finally {
  await rm(folder, { recursive: true })
}

async function measure(start: () => Promise<Broker>, count: number): Promise<Measured> {
  const broker = await start()
  try {
    const shared = { port: broker.port, subscribers, payloadBytes, rate }
    const early = await task({ ...shared, what: 'idle', count: warm })
    const before = memoryOf(broker.child)
    const crowd = await task({ ...shared, what: 'idle', count: idle })
    const kbAConnection = (memoryOf(broker.child) - before) / idle
    for (const { child } of [early, crowd]) child.kill('SIGKILL')
    await new Promise((done) => setTimeout(done, 1000))
    const first = await task({ ...shared, what: 'throughput', count })
    first.child.kill('SIGKILL')
    const second = await task({ ...shared, what: 'latency', count: rate * 5 })
    second.child.kill('SIGKILL')
    return {
      startMs: broker.startMs,
      kbAConnection,
      eventsPerSecond: first.figures.eventsPerSecond,
      p50Ms: second.figures.p50Ms,
      p99Ms: second.figures.p99Ms,
    }
  } finally {
    broker.child.kill('SIGKILL')
  }
}

/** Let the clients do something, in a process of their own. */
function task(what: Task): Promise<{ child: ChildProcess; figures: Figures }> {
  const child = fork(join(import.meta.dirname, 'hpfeeds_peer.ts'))
  return new Promise((done, fail) => {
    child.once('message', (figures: Figures) => done({ child, figures }))
    child.once('exit', () => fail(new Error('The clients ended early')))
    child.send(what)
  })
}

async function startOurs(): Promise<Broker> {
  const home = await mkdtemp(join(folder, 'home-'))
  return started(join(root, 'bin/nightjar'), (port) => [
    ...['gateway', 'hpfeeds', '--bind', `127.0.0.1:${port}`, '--auth', 'env', '--home', home],
  ])
}

async function startTheirs(): Promise<Broker> {
  const metrics = await freePort()
  return started(python, (port) => [
    ...[join(root, 'test/peers/hpfeeds_run.py'), 'broker', '--bind', `127.0.0.1:${port}`],
    ...['--exporter', `127.0.0.1:${metrics}`, '--auth', 'env'],
  ])
}

/** Start a broker and wait for its first word. */
async function started(file: string, words: (port: number) => string[]): Promise<Broker> {
  const port = await freePort()
  const began = performance.now()
  const child = spawn(file, words(port), { env, cwd: folder, stdio: 'ignore' })
  while (!(await greets(port))) await new Promise((done) => setTimeout(done, 5))
  return { child, port, startMs: performance.now() - began }
}

function greets(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.once('error', () => done(false))
    socket.once('data', () => {
      socket.destroy()
      done(true)
    })
  })
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  await new Promise((done) => server.close(done))
  return port
}

/** Resident memory in kB. */
function memoryOf({ pid }: ChildProcess): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
}

function best(runs: readonly Measured[], of: keyof Measured, most = false): number {
  return (most ? Math.max : Math.min)(...runs.map((run) => run[of]))
}

function values(runs: readonly Measured[]): number[] {
  return [
    best(runs, 'eventsPerSecond', true),
    best(runs, 'p50Ms'),
    best(runs, 'p99Ms'),
    best(runs, 'kbAConnection'),
    best(runs, 'startMs'),
  ]
}

function cells(runs: readonly Measured[]): string[] {
  return values(runs).map((value) => value.toFixed(value < 100 ? 1 : 0))
}

function ratios(ours: readonly Measured[], theirs: readonly Measured[]): string[] {
  const other = values(theirs)
  return values(ours).map((value, i) => (value / (other[i] ?? NaN)).toFixed(2))
}
