/**
 * The VOEvent gateway beside Comet, in the same run: authors, each event on a connection of its own, and
 * 100 subscribers that acknowledge. Both check every event by the schema; ours makes it durable before it
 * acks and relays it.
 *
 *     node bench/voevent.bench.ts [events]        (default 4,000 for ours, a tenth for Comet)
 */
import { fork, spawn, type ChildProcess } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

import { formatCount, formatTable } from '../cli/text-table.ts'
import type { Figures, Task } from './voevent_peer.ts'

const root = resolve(import.meta.dirname, '..')
const bin = join(root, '.peers/comet/bin')
const events = Number(process.argv[2] ?? 4000)
const repeats = Number(process.argv[3] ?? 3)
const subscribers = 100
const authors = 16
/** Connections that stand before memory is looked at first, and how many more are made then. */
const warm = 500
const idle = 2000
/** Events a second at which latency is measured: what Comet can keep up with. */
const rate = 10

interface Broker {
  child: ChildProcess
  receive: number
  broadcast: number
  startMs: number
}

interface Measured extends Figures {
  startMs: number
  kbAConnection: number
}

const folder = await mkdtemp(join(tmpdir(), 'nightjar-bench-voevent-'))
try {
  const ours: Measured[] = []
  const theirs: Measured[] = []
  for (let i = 0; i < repeats; i++) {
    ours.push(await measure(startOurs, events))
    if (existsSync(bin)) theirs.push(await measure(startTheirs, events / 10))
  }
  const heads = ['', 'events/s', 'p50 ms', 'p99 ms', 'kB a connection', 'start-up ms']
  const rows = [['nightjar gateway voevent', ...cells(ours)]]
  if (theirs.length > 0) {
    rows.push(['Comet 3.1.0', ...cells(theirs)])
    rows.push(['ratio', ...ratios(ours, theirs)])
  } else process.stdout.write('Comet is not there (make peers installs it): ours alone\n')
  process.stdout.write(
    `${formatCount(events)} events to ${subscribers} subscribers by ${authors} authors, ` +
      `best of ${repeats}; latency at ${rate} events/s; memory over ${formatCount(idle)} connections\n`,
  )
  process.stdout.write(formatTable(heads, rows))
} finally {
  await rm(folder, { recursive: true })
}

async function measure(start: () => Promise<Broker>, count: number): Promise<Measured> {
  const broker = await start()
  try {
    const { receive, broadcast } = broker
    const shared = { receive, broadcast, subscribers, rate }
    const early = await task({ ...shared, what: 'idle', count: warm, run: 'a' })
    const before = memoryOf(broker.child)
    const crowd = await task({ ...shared, what: 'idle', count: idle, run: 'b' })
    const kbAConnection = (memoryOf(broker.child) - before) / idle
    for (const { child } of [early, crowd]) child.kill('SIGKILL')
    await new Promise((done) => setTimeout(done, 1000))
    const first = await task({ ...shared, what: 'throughput', rate: authors, count, run: 'c' })
    first.child.kill('SIGKILL')
    const second = await task({ ...shared, what: 'latency', count: rate * 10, run: 'd' })
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
  const child = fork(join(import.meta.dirname, 'voevent_peer.ts'))
  return new Promise((done, fail) => {
    child.once('message', (figures: Figures) => done({ child, figures }))
    child.once('exit', () => fail(new Error('The clients ended early')))
    child.send(what)
  })
}

async function startOurs(): Promise<Broker> {
  const home = await mkdtemp(join(folder, 'home-'))
  return started(join(root, 'bin/nightjar'), (receive, broadcast) => [
    ...['gateway', 'voevent', '--home', home, '--eventdb', home],
    ...['--local-ivo', 'ivo://org.example/ours', '--broadcast-test-interval', '0'],
    ...['--receive', `tcp:${receive}:interface=127.0.0.1`],
    ...['--broadcast', `tcp:${broadcast}:interface=127.0.0.1`],
  ])
}

async function startTheirs(): Promise<Broker> {
  const at = await mkdtemp(join(folder, 'comet-'))
  return started(join(bin, 'python'), (receive, broadcast) => [
    ...[join(bin, 'twistd'), '--nodaemon', `--pidfile=${at}/pid`, `--logfile=${at}/log`, 'comet'],
    ...['--local-ivo=ivo://org.example/theirs', `--eventdb=${at}/db`],
    '--broadcast-test-interval=0',
    ...['--receive', `--receive-port=${receive}`],
    ...['--broadcast', `--broadcast-port=${broadcast}`],
  ])
}

/** Start a broker and wait for its first word. */
async function started(
  file: string,
  words: (receive: number, broadcast: number) => string[],
): Promise<Broker> {
  const [receive, broadcast] = [await freePort(), await freePort()]
  const began = performance.now()
  const child = spawn(file, words(receive, broadcast), { cwd: folder, stdio: 'ignore' })
  while (!(await greets(broadcast))) {
    if (child.exitCode !== null) throw new Error(`${file} ended with ${child.exitCode}`)
    await new Promise((done) => setTimeout(done, 5))
  }
  return { child, receive, broadcast, startMs: performance.now() - began }
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
