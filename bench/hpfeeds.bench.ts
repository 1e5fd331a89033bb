/**
 * The hpfeeds gateway beside hpfeeds' own broker, in the same run: one publisher, 100 subscribers.
 * Ours makes each message durable before it relays it; the original keeps nothing.
 *
 *     node bench/hpfeeds.bench.ts [messages]        (default 20,000 for ours, a tenth for the original)
 */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

import { formatCount } from '../cli/text-table.ts'
import { formatMeasured, freePort, measure, startBroker } from './gateway.ts'
import type { Broker, Measured } from './gateway.ts'
import type { Task } from './hpfeeds_peer.ts'

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

const folder = await mkdtemp(join(tmpdir(), 'nightjar-bench-hpfeeds-'))
try {
  const ours: Measured[] = []
  const theirs: Measured[] = []
  for (let i = 0; i < repeats; i++) {
    ours.push(await ask(await startOurs(), messages))
    if (existsSync(python)) theirs.push(await ask(await startTheirs(), messages / 10))
  }
  if (theirs.length === 0)
    process.stdout.write('hpfeeds is not there (make peers installs it): ours alone\n')
  process.stdout.write(
    `${formatCount(messages)} messages of ${payloadBytes} bytes to ${subscribers} subscribers, ` +
      `best of ${repeats}; latency at ${rate} messages/s; memory over ${formatCount(idle)} connections\n`,
  )
  process.stdout.write(
    formatMeasured(['nightjar gateway hpfeeds', ours], ['hpfeeds 3.1.0', theirs]),
  )
} finally {
  await rm(folder, { recursive: true })
}

function ask(broker: Broker, count: number): Promise<Measured> {
  const [port = 0] = broker.ports
  const shared = { port, subscribers, payloadBytes, rate }
  return measure<Task>(broker, 'hpfeeds_peer.ts', {
    warm: { ...shared, what: 'idle', count: warm },
    idle: { ...shared, what: 'idle', count: idle },
    connections: idle,
    throughput: { ...shared, what: 'throughput', count },
    latency: { ...shared, what: 'latency', count: rate * 5 },
  })
}

async function startOurs(): Promise<Broker> {
  const home = await mkdtemp(join(folder, 'home-'))
  return startBroker(
    join(root, 'bin/nightjar'),
    (port) => [
      ...['gateway', 'hpfeeds', '--bind', `127.0.0.1:${port}`, '--auth', 'env', '--home', home],
    ],
    { cwd: folder, env },
  )
}

async function startTheirs(): Promise<Broker> {
  const metrics = await freePort()
  return startBroker(
    python,
    (port) => [
      ...[join(root, 'test/peers/hpfeeds_run.py'), 'broker', '--bind', `127.0.0.1:${port}`],
      ...['--exporter', `127.0.0.1:${metrics}`, '--auth', 'env'],
    ],
    { cwd: folder, env },
  )
}
