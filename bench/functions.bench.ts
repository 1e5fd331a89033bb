/**
 * What a function costs: CPU seconds of each stage's handler for a million alerts, everything that
 * happens between a push request and its answer but the services themselves, which are in memory; of the
 * whole process that serves its bundle, SDKs and all, against emulators; and the cold start of each
 * bundle, from the start of Node to the loaded function.
 *
 *     node bench/functions.bench.ts [alerts] [--json]        (default 2,000)
 */
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import { formatCount, formatTable } from '../cli/text-table.ts'
import { openStores } from '../cloud/stores.ts'
import { openTopics } from '../cloud/topics.ts'
import { bucketName, topicName } from '../core/names.ts'
import { readersOf, stages, topicsOf, type Stage, type StageReader } from '../core/pipeline.ts'
import type { Store, Table, Topic } from '../core/ports.ts'
import { crc32c } from '../core/crc32c.ts'
import { bundleReader } from '../functions/bundle.ts'
import { serveReader } from '../functions/serve.ts'
import { toMessage } from '../consumer/message.ts'
import { bundledSchemas } from '../schemas/registry.ts'
import { simulateNight } from '../simulator/night.ts'
import {
  freePort,
  skipWithoutGcs,
  skipWithoutPubsub,
  startGcs,
  startPubsub,
} from '../test/cloud/emulators.ts'

const root = resolve(import.meta.dirname, '..')
const json = process.argv.includes('--json')
const alerts = Number(process.argv.slice(2).find((word) => /^\d+$/.test(word)) ?? 2000)
const repeats = 5
const readers = readersOf('ztf')

/** Services that cost nothing. */
function ground() {
  const topic: Topic = { publish: async () => '1', close: async () => {} }
  const store: Store = {
    async create(name, data, metadata = {}) {
      const object = { name, size: data.length, crc32c: crc32c(data), generation: '1', metadata }
      return { created: true, object }
    },
    replace: async (name, data, _, metadata = {}) => ({
      ...{ name, size: data.length, crc32c: crc32c(data), generation: '1', metadata },
    }),
    read: async () => null,
    async *list() {},
  }
  const table: Table = {
    append: async () => 'stored',
    async *query() {},
    close: async () => {},
  }
  return {
    topic: async () => topic,
    bucket: async () => store,
    table: async () => table,
    close: async () => {},
  }
}

const night = simulateNight({
  ...{ night: '20261121', alerts, seed: 'bench', partitions: 16, duplicates: 0, late: 0 },
  ...{ corrupt: 0, oldSchemas: 0.2, gaps: 0 },
})
const events: string[] = []
let bytes = 0
for (const { truth, data } of night) {
  if (data === undefined) continue
  const record = { topic: truth.topic, partition: truth.partition, offset: BigInt(truth.offset) }
  const message = toMessage(
    { ...record, timestamp: truth.timestamp, value: data },
    bundledSchemas(),
  )
  bytes += data.length
  // As text: to parse the request is part of the work.
  events.push(
    JSON.stringify({
      message: {
        data: Buffer.from(message.data).toString('base64'),
        attributes: message.attributes,
        messageId: String(truth.offset),
        publishTime: '2026-11-21T05:00:00Z',
      },
    }),
  )
}

/** CPU milliseconds an alert of the best round: the others were disturbed. */
async function cpuOf(reader: StageReader): Promise<number> {
  let best = Infinity
  for (let i = 0; i < repeats; i++) {
    const served = serveReader(reader, ground(), () => {})
    const before = process.cpuUsage()
    for (const event of events) await served.handle({ data: JSON.parse(event) as unknown })
    const { user, system } = process.cpuUsage(before)
    best = Math.min(best, (user + system) / 1000 / events.length)
  }
  return best
}

/** Milliseconds from the start of Node to the loaded function, the best of a few. */
function coldStart(folder: string): { loadMs: number; rssMb: number } {
  const script = `
    const started = performance.now()
    require(${JSON.stringify(join(folder, 'index.js'))})
    setImmediate(() => setTimeout(() => {
      const loadMs = performance.timeOrigin + performance.now() - Number(process.env.STARTED)
      process.stdout.write(JSON.stringify({ loadMs, rssMb: process.memoryUsage.rss() / 1e6 }))
      process.exit(0)
    }, 0))`
  let best = { loadMs: Infinity, rssMb: 0 }
  for (let i = 0; i < repeats; i++) {
    const env = { ...process.env, GOOGLE_CLOUD_PROJECT: 'bench', STARTED: String(Date.now()) }
    const emulators = { PUBSUB_EMULATOR_HOST: '127.0.0.1:1', STORAGE_EMULATOR_HOST: '127.0.0.1:1' }
    const { stdout } = spawnSync(process.execPath, ['-e', script], {
      env: { ...env, ...emulators, STARTED: String(performance.timeOrigin + performance.now()) },
      encoding: 'utf8',
    })
    const found = JSON.parse(stdout) as typeof best
    if (found.loadMs < best.loadMs) best = found
  }
  return best
}

/**
 * CPU milliseconds an alert of the whole process that serves a bundle through functions-framework, with
 * Google's SDKs against emulators, twenty requests at once; undefined without emulators.
 */
async function servedCpu(
  { name, stages: served }: StageReader,
  folder: string,
): Promise<number | undefined> {
  if (skipWithoutPubsub !== false || skipWithoutGcs !== false) return undefined
  if (served.some((stage) => (stages[stage] as Stage).table !== undefined)) return undefined
  const at = { survey: 'ztf', project: 'bench' } as const
  const [pubsub, gcs, port] = [await startPubsub(), await startGcs(), await freePort()]
  const topics = await openTopics({ project: at.project, emulator: pubsub.host })
  const { storage } = openStores({ project: at.project, emulator: gcs.host })
  for (const word of topicsOf('ztf')) await topics.pubsub.createTopic(topicName(at, word))
  for (const word of ['alert_avro_bucket', 'broker_files', 'sncosmo'] as const) {
    await storage.createBucket(bucketName(at, word))
  }
  const framework = join(root, 'node_modules/.bin/functions-framework')
  const words = [framework, `--source=${folder}`, `--target=${name}`, `--port=${port}`]
  const child = spawn(process.execPath, [...words, '--signature-type=cloudevent'], {
    env: {
      ...process.env,
      ...{ GOOGLE_CLOUD_PROJECT: at.project, NODE_ENV: 'production' },
      ...{ PUBSUB_EMULATOR_HOST: pubsub.host, STORAGE_EMULATOR_HOST: gcs.host },
    },
    stdio: 'ignore',
  })
  try {
    const send = async (event: string): Promise<void> => {
      const response = await fetch(`http://127.0.0.1:${port}/`, {
        method: 'POST',
        headers: {
          ...{ 'content-type': 'application/json', 'ce-specversion': '1.0', 'ce-id': '1' },
          'ce-type': 'google.cloud.pubsub.topic.v1.messagePublished',
          'ce-source': '//pubsub.googleapis.com/projects/bench/topics/alerts',
        },
        body: event,
      })
      await response.arrayBuffer()
      if (response.status !== 204) throw new Error(`${name} answered ${response.status}`)
    }
    const all = async (list: readonly string[]): Promise<void> => {
      const left = [...list]
      const work = async (): Promise<void> => {
        for (let event = left.pop(); event !== undefined; event = left.pop()) await send(event)
      }
      await Promise.all(Array.from({ length: 20 }, work))
    }
    for (let tries = 0; ; tries++) {
      const ready = await send(events[0] ?? '').then(
        () => true,
        () => false,
      )
      if (ready) break
      if (tries > 100) throw new Error(`${name} does not serve`)
      await pause(100)
    }
    // The first fifth warms the engine up.
    const warm = Math.ceil(events.length / 5)
    await all(events.slice(0, warm))
    const before = cpuMsOf(child.pid ?? 0)
    await all(events.slice(warm))
    return (cpuMsOf(child.pid ?? 0) - before) / (events.length - warm)
  } finally {
    child.kill('SIGKILL')
    await topics.close()
    await gcs.kill()
    await pubsub.kill()
  }
}

/** What the system has counted for a process, user and system. */
function cpuMsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * 10
}

mkdirSync(join(root, '.nightjar'), { recursive: true })
const dir = mkdtempSync(join(root, '.nightjar/bench-'))
try {
  const found = []
  for (const reader of readers) {
    const { folder, codeBytes, zipBytes } = await bundleReader(reader.name, dir)
    const cpuMs = await cpuOf(reader)
    const servedMs = await servedCpu(reader, folder)
    found.push({ name: reader.name, cpuMs, servedMs, ...coldStart(folder), codeBytes, zipBytes })
  }
  if (json) {
    process.stdout.write(`${JSON.stringify(found)}\n`)
  } else {
    const rows = found.map(({ name, cpuMs, servedMs, loadMs, rssMb, codeBytes, zipBytes }) => [
      name,
      (cpuMs * 1000).toFixed(0),
      servedMs === undefined ? '' : (servedMs * 1000).toFixed(0),
      loadMs.toFixed(0),
      rssMb.toFixed(0),
      (codeBytes / 1e6).toFixed(1),
      (zipBytes / 1e6).toFixed(2),
    ])
    const heads = [
      '',
      'handler, CPU s a million',
      'served, CPU s a million',
      'cold start ms',
      'RSS MB',
      'code MB',
      'zip MB',
    ]
    process.stdout.write(
      `${formatCount(events.length)} alerts of ${(bytes / events.length / 1000).toFixed(1)} kB, ` +
        `the best of ${repeats}\n${formatTable(heads, rows)}`,
    )
  }
} finally {
  rmSync(dir, { recursive: true })
}
