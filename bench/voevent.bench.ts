/**
 * The VOEvent gateway beside Comet, in the same run: authors, each event on a connection of its own, and
 * 100 subscribers that acknowledge. Both check every event by the schema; ours makes it durable before it
 * acks and relays it.
 *
 *     node bench/voevent.bench.ts [events]        (default 4,000 for ours, a tenth for Comet)
 */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

import { formatCount } from '../cli/text-table.ts'
import { formatMeasured, measure, startBroker, type Broker, type Measured } from './gateway.ts'
import type { Task } from './voevent_peer.ts'

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

const folder = await mkdtemp(join(tmpdir(), 'nightjar-bench-voevent-'))
try {
  const ours: Measured[] = []
  const theirs: Measured[] = []
  for (let i = 0; i < repeats; i++) {
    ours.push(await ask(await startOurs(), events))
    if (existsSync(bin)) theirs.push(await ask(await startTheirs(), events / 10))
  }
  if (theirs.length === 0)
    process.stdout.write('Comet is not there (make peers installs it): ours alone\n')
  process.stdout.write(
    `${formatCount(events)} events to ${subscribers} subscribers by ${authors} authors, ` +
      `best of ${repeats}; latency at ${rate} events/s; memory over ${formatCount(idle)} connections\n`,
  )
  process.stdout.write(formatMeasured(['nightjar gateway voevent', ours], ['Comet 3.1.0', theirs]))
} finally {
  await rm(folder, { recursive: true })
}

function ask(broker: Broker, count: number): Promise<Measured> {
  const [receive = 0, broadcast = 0] = broker.ports
  const shared = { receive, broadcast, subscribers, rate }
  return measure<Task>(broker, 'voevent_peer.ts', {
    warm: { ...shared, what: 'idle', count: warm, run: 'a' },
    idle: { ...shared, what: 'idle', count: idle, run: 'b' },
    connections: idle,
    throughput: { ...shared, what: 'throughput', rate: authors, count, run: 'c' },
    latency: { ...shared, what: 'latency', count: rate * 10, run: 'd' },
  })
}

async function startOurs(): Promise<Broker> {
  const home = await mkdtemp(join(folder, 'home-'))
  return startBroker(
    join(root, 'bin/nightjar'),
    (receive, broadcast) => [
      ...['gateway', 'voevent', '--home', home, '--eventdb', home],
      ...['--local-ivo', 'ivo://org.example/ours', '--broadcast-test-interval', '0'],
      ...['--receive', `tcp:${receive}:interface=127.0.0.1`],
      ...['--broadcast', `tcp:${broadcast}:interface=127.0.0.1`],
    ],
    { cwd: folder },
  )
}

async function startTheirs(): Promise<Broker> {
  const at = await mkdtemp(join(folder, 'comet-'))
  return startBroker(
    join(bin, 'python'),
    (receive, broadcast) => [
      ...[join(bin, 'twistd'), '--nodaemon', `--pidfile=${at}/pid`, `--logfile=${at}/log`, 'comet'],
      ...['--local-ivo=ivo://org.example/theirs', `--eventdb=${at}/db`],
      '--broadcast-test-interval=0',
      ...['--receive', `--receive-port=${receive}`],
      ...['--broadcast', `--broadcast-port=${broadcast}`],
    ],
    { cwd: folder },
  )
}
