/**
 * A whole night: real Kafka, the conductor, the consumer with all stages; the producer goes on while they
 * run, and the consumer, Kafka's broker and the conductor are killed on the way. The night must end as
 * complete. Then what its proof cost, as CPU seconds, beside what the night cost.
 *
 *     node bench/night.bench.ts [alerts]        (default 50,000)
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import { Kafka as KafkaClient } from 'kafkajs'

import { formatCount, formatTable } from '../cli/text-table.ts'
import type { CloseRecord } from '../conductor/close.ts'
import { readNightRecord } from '../conductor/tick.ts'
import { kafkaTopicName } from '../core/names.ts'
import { nightOfDate } from '../core/night.ts'
import { openGround } from '../local/broker.ts'
import { homeAt, runningBroker } from '../local/home.ts'
import { simulateNight } from '../simulator/night.ts'
import { skipWithoutKafka, startKafka } from '../test/consumer/kafka/broker.ts'

const alerts = Number(process.argv[2] ?? 50_000)
const partitions = 16
const nightjar = resolve(import.meta.dirname, '../bin/nightjar')
// A night whose dawn is past and whose topic Kafka would still keep.
const night = nightOfDate(new Date(Date.now() - 2 * 86_400_000))
const topic = kafkaTopicName('ztf', night)

if (skipWithoutKafka !== false) {
  process.stdout.write(`The night is not measured: ${skipWithoutKafka}\n`)
  process.exit()
}
const folder = mkdtempSync(join(tmpdir(), 'nightjar-night-bench-'))
const home = join(folder, 'home')
const config = join(folder, 'nightjar.toml')
const where = ['--home', home, '--config', config, '--night', night]
const kafka = await startKafka()
const cpu = watchCpu()
const kills: string[] = []
let conductor: ChildProcess | undefined
try {
  await kafka.hand({ do: 'create', topic, partitions })
  writeFileSync(
    config,
    `[streams.ztf]
survey = "ztf"
brokers = ${JSON.stringify(kafka.bootstrap.split(','))}
topics = ["ztf_{night}_programid1"]
[conductor]
gate = "1s"
stable = "20s"
settle = "20s"
`,
  )
  const begun = performance.now()
  conductor = startConductor()
  const produced = produce()
  await whileProducing()
  const records = await produced
  while (conductor.exitCode === null) await pause(200)
  const seconds = (performance.now() - begun) / 1000
  if (conductor.exitCode !== 0) throw new Error(`The night ended with ${conductor.exitCode}`)
  report(records, seconds)
} finally {
  conductor?.kill('SIGKILL')
  const broker = runningBroker(homeAt(home))
  if (broker !== undefined) process.kill(broker, 'SIGKILL')
  cpu.stop()
  await kafka.stop()
  rmSync(folder, { recursive: true })
}

function startConductor(): ChildProcess {
  const words = ['conductor', 'start', '--every', '5s', ...where]
  const child = spawn(nightjar, words, { stdio: ['ignore', 'ignore', 'inherit'] })
  cpu.watch('conductor', () => child.pid)
  return child
}

/** The simulator's records, to the topic, in its order. */
async function produce(): Promise<number> {
  const client = new KafkaClient({
    brokers: kafka.bootstrap.split(','),
    retry: { retries: 30 },
    logLevel: 0,
  })
  const producer = client.producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  const options = { night, alerts, seed: 'night', partitions, gaps: 0 }
  const faults = { duplicates: 0.05, late: 0.02, corrupt: 0.002, oldSchemas: 0.2 }
  let batch: { partition: number; timestamp: string; value: Buffer }[] = []
  let sent = 0
  const flush = async (): Promise<void> => {
    await producer.send({ topic, messages: batch })
    sent += batch.length
    batch = []
  }
  for (const { truth, data } of simulateNight({ ...options, ...faults })) {
    if (data === undefined) continue
    const { partition, timestamp } = truth
    batch.push({ partition, timestamp: String(timestamp), value: Buffer.from(data) })
    if (batch.length === 100) await flush()
  }
  await flush()
  await producer.disconnect()
  return sent
}

/** Kill each of the three, the consumer twice, and start what nobody else starts. */
async function whileProducing(): Promise<void> {
  for (const what of ['consumer', 'Kafka', 'conductor', 'consumer'] as const) {
    await taken((kills.length + 1) * (alerts / 8))
    if (what === 'Kafka') {
      await kafka.kill()
      await pause(2000)
      await kafka.start()
    } else if (what === 'conductor') {
      await betweenTicks()
      const ended = conductor && once(conductor, 'exit')
      conductor?.kill('SIGKILL')
      await ended
      conductor = startConductor()
    } else {
      const pid = runningBroker(homeAt(home))
      if (pid !== undefined) process.kill(pid, 'SIGKILL')
    }
    kills.push(what)
  }
}

/** Killed within a tick, its lease would hold the next one off for ten minutes, which is not measured. */
async function betweenTicks(): Promise<void> {
  const ground = await openGround(home, { survey: 'ztf', project: 'local' })
  const store = await ground.bucket('broker_files')
  for (;;) {
    const { record } = await readNightRecord(store, 'ztf', night, Date.now())
    if (record.lease === null) return ground.close()
    await pause(50)
  }
}

/** Resolves when so many offsets of the topic are committed. */
async function taken(count: number): Promise<void> {
  const admin = new KafkaClient({ brokers: kafka.bootstrap.split(','), logLevel: 0 }).admin()
  await admin.connect()
  try {
    for (;;) {
      const { groups } = await admin.listGroups()
      let committed = 0
      for (const { groupId } of groups) {
        const offsets = await admin.fetchOffsets({ groupId, topics: [topic] })
        for (const { partitions: each } of offsets) {
          for (const { offset } of each) committed += Math.max(0, Number(offset))
        }
      }
      if (committed >= count) return
      await pause(500)
    }
  } finally {
    await admin.disconnect()
  }
}

function report(records: number, seconds: number): void {
  const audit = timed(['audit', '--json', '--home', home, '--night', night])
  const idle = timed(['--help'])
  const record = JSON.parse(audit.out) as CloseRecord
  const [intake] = record.stages
  const missing = record.stages.reduce((sum, stage) => sum + stage.missing.length, 0)
  if (missing > 0 || intake?.expected !== records) {
    throw new Error(
      `${records} records, of which the proof has ${intake?.expected}; ${missing} runs missing`,
    )
  }
  const consumer = cpu.of('consumer')
  const conducting = cpu.of('conductor')
  const whole = consumer + conducting
  const proof = audit.cpu - idle.cpu
  const share = (value: number): string => `${((100 * value) / whole).toFixed(2)} %`
  const rows = [
    ['consumer and all stages', consumer.toFixed(1), share(consumer)],
    ['conductor, all ticks, proof and report', conducting.toFixed(1), share(conducting)],
    ['the night', whole.toFixed(1), ''],
    ['one audit and its close record, by itself', proof.toFixed(2), share(proof)],
  ]
  process.stdout.write(
    `${formatCount(records)} records of ${formatCount(alerts)} alerts, ${partitions} partitions; ` +
      `killed: ${kills.join(', ')}; complete, in ${seconds.toFixed(0)} s ` +
      `of wall time, ${(records / seconds).toFixed(0)} records/s\n`,
  )
  process.stdout.write(formatTable(['', 'CPU s', 'share'], rows))
}

/** Run a verb to its end; CPU seconds of user and system as the shell counts them. */
function timed(words: readonly string[]): { out: string; cpu: number } {
  const script = '"$@" 3>&1 >&3; times >&2'
  const child = spawnSync('bash', ['-c', script, 'bash', nightjar, ...words], {
    encoding: 'utf8',
    maxBuffer: 256 << 20,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [, ofChildren = ''] = child.stderr.trim().split('\n').slice(-2)
  const used = [...ofChildren.matchAll(/(\d+)m([\d.]+)s/g)]
  return {
    out: child.stdout,
    cpu: used.reduce((sum, [, minutes, rest]) => sum + Number(minutes) * 60 + Number(rest), 0),
  }
}

/** CPU seconds by program, looked up five times a second: what is killed keeps its last. */
function watchCpu() {
  const seen = new Map<number, { name: string; seconds: number }>()
  const watched: { name: string; pid: () => number | undefined }[] = [
    { name: 'consumer', pid: () => runningBroker(homeAt(home)) },
  ]
  const look = (): void => {
    for (const { name, pid } of watched) {
      try {
        const id = pid()
        const stat = readFileSync(`/proc/${id}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
        const seconds = (Number(stat[11]) + Number(stat[12])) / 100
        if (id !== undefined) seen.set(id, { name, seconds })
      } catch {
        // It has ended, or has not begun.
      }
    }
  }
  const timer = setInterval(look, 200)
  return {
    watch: (name: string, pid: () => number | undefined) => void watched.push({ name, pid }),
    of: (name: string) =>
      [...seen.values()].reduce((sum, one) => sum + (one.name === name ? one.seconds : 0), 0),
    stop: () => clearInterval(timer),
  }
}
