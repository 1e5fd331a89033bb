/**
 * From Kafka to a topic: ours, and beside it, in the same run, what the original broker takes alerts in
 * with: Kafka Connect, standalone, with Google's Pub/Sub Group Kafka Connector. The same broker, the same
 * alerts, the same Pub/Sub emulator. Ours also tells its ledger of each alert; the connector has none.
 * The connector goes by TLS, which it cannot do without, and so through a process that ends it.
 *
 *     node bench/kafka.bench.ts [alerts]        (default 20,000)
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'

import { formatCount, formatTable } from '../cli/text-table.ts'
import { skipWithoutPubsub, startPubsub, type Emulator } from '../test/cloud/emulators.ts'
import {
  skipWithoutKafka,
  startKafka,
  freePorts,
  type Kafka,
} from '../test/consumer/kafka/broker.ts'
import { payloads, watermarksOf } from '../test/consumer/kafka/engine.ts'
import { makeNight } from '../test/night/harness.ts'
import { peersDir } from '../test/data.ts'
import { startFront } from './tls_front.ts'

const alerts = Number(process.argv[2] ?? 20_000)
const partitions = 8
const topic = 'ztf_20261121_programid1'
const plugins = join(peersDir, 'connector/plugins')
const absent = skipWithoutKafka || skipWithoutPubsub

interface Measured {
  rate: number
  rssMb: number
  cpuMs?: number
  p50?: number
  p99?: number
}

if (absent !== false) {
  process.stdout.write(`Kafka is not measured: ${absent}\n`)
  process.exit()
}
const folder = mkdtempSync(join(tmpdir(), 'nightjar-kafka-bench-'))
const kafka = await startKafka()
const emulator = await startPubsub(2048)
try {
  const night = makeNight(folder, { alerts: 40, corrupt: 0, gaps: 0 })
  const files = payloads(night.truths.map((truth) => join(night.from, night.nameOf(truth))))
  const bytes = files.reduce((sum, file) => sum + readFileSync(file).length, 0) / files.length
  await makeTopics(emulator)
  const fill = { do: 'fill', files, partitions, compression: 'lz4' } as const
  await kafka.hand({ do: 'create', topic, partitions })
  await kafka.hand({ ...fill, topic, count: alerts })

  const rows: string[][] = []
  const ours = (to: string, name: string) => relay(kafka, topic, `ours-${name}`, to, alerts)
  rows.push(['ours → nowhere', ...cells(await ours('null', 'null'))])
  rows.push(['ours → embedded topic', ...cells(await ours(join(folder, 'home'), 'local'))])
  const mine = await ours(emulator.host, 'emulator')
  rows.push(['ours → emulator', ...cells(mine)])
  if (existsSync(plugins)) {
    const theirs = await connect(kafka, emulator)
    rows.push(['Kafka Connect → emulator', ...cells(theirs)])
    const memory = (mine.rssMb / theirs.rssMb).toFixed(2)
    rows.push(['ratio', (mine.rate / theirs.rate).toFixed(2), memory, ''])
  } else {
    process.stdout.write('The connector is not there (make peers installs it): ours alone\n')
  }
  process.stdout.write(
    `${formatCount(alerts)} alerts of ${(bytes / 1000).toFixed(0)} kB, lz4, ${partitions} partitions\n`,
  )
  process.stdout.write(formatTable(['', 'alerts/s', 'peak RSS MB', 'CPU ms an alert'], rows))

  const latencies: string[][] = []
  for (const rate of [100, 1000]) {
    for (const [name, to] of [
      ['nowhere', 'null'],
      ['emulator', emulator.host],
    ] as const) {
      const paced = `ztf_20261122_programid${latencies.length + 1}`
      await kafka.hand({ do: 'create', topic: paced, partitions })
      const count = rate * 8
      const running = relay(kafka, paced, `paced-${paced}`, to, count, async () => {
        await kafka.hand({ ...fill, topic: paced, count, rate })
      })
      const { p50 = 0, p99 = 0 } = await running
      latencies.push([`${rate}/s → ${name}`, p50.toFixed(0), p99.toFixed(0)])
    }
  }
  process.stdout.write('\nFrom the record’s timestamp to its acknowledged publish, ms\n')
  process.stdout.write(formatTable(['', 'p50', 'p99'], latencies))
} finally {
  await emulator.kill()
  await kafka.stop()
  rmSync(folder, { recursive: true })
}

function cells({ rate, rssMb, cpuMs }: Measured): string[] {
  return [rate.toFixed(0), rssMb.toFixed(0), cpuMs === undefined ? '' : cpuMs.toFixed(2)]
}

async function makeTopics({ host }: Emulator): Promise<void> {
  for (const name of ['alerts', 'ledger', 'connect']) {
    await fetch(`http://${host}/v1/projects/bench/topics/${name}`, { method: 'PUT' })
  }
}

/** Ours, in a process of its own. */
async function relay(
  from: Kafka,
  of: string,
  group: string,
  to: string,
  count: number,
  onReady: () => Promise<void> = async () => {},
): Promise<Measured> {
  const script = join(import.meta.dirname, 'kafka_relay.ts')
  const child = spawn(
    process.execPath,
    [
      ...['--max-semi-space-size=8', '--disable-warning=TimeoutNegativeWarning', script],
      ...[from.bootstrap, of, group, to, String(count)],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  let result: Measured | undefined
  let filling: Promise<void> | undefined
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === 'ready') filling = onReady()
    else result = JSON.parse(line) as Measured
  }
  await filling
  if (result === undefined) throw new Error('the relay ended without a result')
  return result
}

/** Kafka Connect with Google's connector, until it has committed all there is. */
async function connect(from: Kafka, { host }: Emulator): Promise<Measured> {
  const front = await startFront(folder, host)
  const [port] = await freePorts(1)
  const converter = 'org.apache.kafka.connect.converters.ByteArrayConverter'
  const worker = {
    'bootstrap.servers': from.bootstrap,
    'key.converter': converter,
    'value.converter': converter,
    'offset.storage.file.filename': join(folder, 'connect.offsets'),
    'offset.flush.interval.ms': '500',
    'plugin.path': plugins,
    listeners: `http://127.0.0.1:${port}`,
    'consumer.auto.offset.reset': 'earliest',
  }
  const sink = {
    name: 'bench',
    'connector.class': 'com.google.pubsub.kafka.sink.CloudPubSubSinkConnector',
    'tasks.max': '2',
    topics: topic,
    'cps.project': 'bench',
    'cps.topic': 'connect',
    'cps.endpoint': front.endpoint,
    'gcp.credentials.file.path': front.credentials,
    'metadata.publish': 'true',
  }
  const lines = (settings: Record<string, string>): string =>
    Object.entries(settings)
      .map(([name, value]) => `${name}=${value}\n`)
      .join('')
  writeFileSync(join(folder, 'worker.properties'), lines(worker))
  writeFileSync(join(folder, 'sink.properties'), lines(sink))
  const libs = join(realpathSync(join(peersDir, 'kafka')), 'libs')
  const jars = readdirSync(libs).map((name) => join(libs, name))
  const child: ChildProcess = spawn(
    'java',
    [
      ...front.jvm,
      ...['-Xmx2g', '-Dorg.slf4j.simpleLogger.defaultLogLevel=error', '-cp', jars.join(':')],
      'org.apache.kafka.connect.cli.ConnectStandalone',
      ...[join(folder, 'worker.properties'), join(folder, 'sink.properties')],
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  )
  try {
    let begun = 0
    for (const since = performance.now(); performance.now() - since < 300_000; await pause(100)) {
      const done = (await watermarksOf(from.bootstrap, topic, 'connect-bench')).reduce(
        (sum, { committed }) => sum + Number(committed ?? 0n),
        0,
      )
      if (begun === 0 && done > 0) begun = performance.now()
      if (done >= alerts) {
        const status = readFileSync(`/proc/${child.pid}/status`, 'utf8')
        const rssMb = Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024
        // From its first commit, which comes late: to its favour.
        return { rate: alerts / ((performance.now() - begun) / 1000), rssMb }
      }
      if (child.exitCode !== null) throw new Error('Kafka Connect has ended')
    }
    throw new Error('Kafka Connect was not done in five minutes')
  } finally {
    child.kill('SIGKILL')
    front.close()
    await once(child, 'exit').catch(() => {})
  }
}
