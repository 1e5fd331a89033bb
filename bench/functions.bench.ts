/**
 * What serving costs, measured for the calculator (`nightjar cost`):
 *
 * - CPU seconds of each stage's handler for a million messages, everything between a push request and its
 *   answer but the services themselves, which are in memory; rows are encoded as for BigQuery;
 * - of the whole process that serves a function's bundle, SDKs and all, against emulators, sixteen requests at
 *   once, as its instances take them;
 * - the cold start of each function on one processor: from the start of Node to the answer to its first
 *   request, services being emulators that have the tables already.
 *
 *     node bench/functions.bench.ts [alerts] [--json | --write]        (default 2,000)
 *
 * `--write` puts the figures into `cli/measured.ts`; of several runs of a day on a machine the best of each stays,
 * since whatever else the machine does only adds to them.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import { measured, type Measured } from '../cli/measured.ts'
import { formatCount, formatTable } from '../cli/text-table.ts'
import { createEncoder, type Encoder } from '../cloud/bigquery/encoder.ts'
import { placeColumns } from '../core/beside.ts'
import { toMessage } from '../consumer/message.ts'
import { createRelay } from '../consumer/relay.ts'
import type { SourceRecord } from '../consumer/source.ts'
import { ledgerRow } from '../core/ledger.ts'
import { readersOf, stagesOf, type ReaderName } from '../core/pipeline.ts'
import type { Message, Store, Table, Topic } from '../core/ports.ts'
import type { RowShape } from '../core/row.ts'
import { bundleReader } from '../functions/bundle.ts'
import { parseDelivery } from '../functions/delivery.ts'
import { createFilter } from '../functions/filter/filter.ts'
import { addFilter } from '../functions/filter/registry.ts'
import { handlers } from '../functions/handlers.ts'
import { createStage, type StageHandler } from '../functions/stage.ts'
import { bundledSchemas } from '../schemas/registry.ts'
import { simulateNight } from '../simulator/night.ts'
import { freePort } from '../test/cloud/emulators.ts'
import { startInstance, type Emulated } from '../test/cloud/instance.ts'
import { memoryStore } from '../test/memory-store.ts'

const root = resolve(import.meta.dirname, '..')
const [json, write] = ['--json', '--write'].map((flag) => process.argv.includes(flag))
const alerts = Number(process.argv.slice(2).find((word) => /^\d+$/.test(word)) ?? 2000)
const repeats = 3
const starts = 9
const atOnce = 16
const filters = 10
const schemas = bundledSchemas()
const at = { survey: 'ztf', project: 'bench' } as const

/** Requests to Cloud Storage: class A make objects, class B read them. */
interface Operations {
  classA: number
  classB: number
}

/** Services that cost nothing, with what was published on each topic, and what was asked of the buckets. */
function services() {
  const published = new Map<string, Message[]>()
  const used: Operations = { classA: 0, classB: 0 }
  const encoders = new WeakMap<RowShape, Encoder>()
  const topics = new Map<string, Topic>()
  const topicOf = (word: string): Topic => {
    const known = topics.get(word)
    if (known !== undefined) return known
    const messages: Message[] = []
    published.set(word, messages)
    const topic: Topic = {
      publish: async (message) => String(messages.push(message)),
      close: async () => {},
    }
    topics.set(word, topic)
    return topic
  }
  const store = counted(memoryStore(), used)
  const table: Table = {
    async append({ shape, values }) {
      let encoder = encoders.get(shape)
      if (encoder === undefined) {
        encoders.set(shape, (encoder = createEncoder(placeColumns([], shape.columns))))
      }
      encoder.encode(values)
      return 'stored'
    },
    async *query() {},
    close: async () => {},
  }
  return { published, used, topicOf, store, table }
}

/** A read asks for an object's metadata and for its bytes; of one that is taken, its metadata again. */
function counted(store: Store, used: Operations): Store {
  return {
    ...store,
    async create(...words) {
      used.classA++
      const made = await store.create(...words)
      if (!made.created) used.classB++
      return made
    },
    replace(...words) {
      used.classA++
      return store.replace(...words)
    },
    read(name) {
      used.classB += 2
      return store.read(name)
    },
  }
}

/** A push request as text: to parse it is part of the work. */
function eventOf({ data, attributes }: Message, id: string): string {
  return JSON.stringify({
    message: {
      data: Buffer.from(data).toString('base64'),
      attributes,
      messageId: id,
      publishTime: '2026-11-21T05:00:00Z',
    },
  })
}

/** CPU milliseconds of each of some messages, the best round of a few: the others were disturbed. */
async function cpuOf(events: readonly string[], make: () => Promise<StageHandler>) {
  let best = Infinity
  let ground = services()
  for (let round = 0; round < repeats; round++) {
    ground = services()
    const { topicOf, store: claims } = ground
    const [ledger, deadLetters] = [topicOf('ledger'), topicOf('dead_letter')]
    current = ground
    const handle = await make()
    const parts = { stage: 'bench', handle, ledger, deadLetters, claims, log: () => {} }
    const onDelivery = createStage(parts)
    const before = process.cpuUsage()
    for (const event of events) await onDelivery(parseDelivery({ data: JSON.parse(event) }))
    const { user, system } = process.cpuUsage(before)
    best = Math.min(best, (user + system) / 1000 / events.length)
  }
  return { ms: best, ground }
}

/** The ground that the next handler is made on. */
let current = services()

const world = () => ({
  at,
  topic: async (word: string) => current.topicOf(word),
  bucket: async () => current.store,
  table: async () => current.table,
  schemas,
})

const records: SourceRecord[] = []
let bytes = 0
const night = simulateNight({
  ...{ night: '20261121', alerts, seed: 'bench', partitions: 16, duplicates: 0, late: 0 },
  ...{ corrupt: 0, oldSchemas: 0.2, gaps: 0 },
})
for (const { truth, data } of night) {
  if (data === undefined) continue
  const { topic, partition, timestamp } = truth
  const where = { topic, partition, offset: BigInt(truth.offset) }
  records.push({ ...where, timestamp, value: data })
  bytes += data.length
}
const packets = records.map((record, i) => eventOf(toMessage(record, schemas), `p${i}`))

async function relayCpu(): Promise<number> {
  let best = Infinity
  for (let round = 0; round < repeats; round++) {
    const { topicOf, store } = services()
    const [relayed, ledger, deadLetters] = ['alert_data', 'ledger', 'dead_letter'].map(topicOf)
    if (!relayed || !ledger || !deadLetters) throw new Error('no topics')
    const relay = createRelay({
      ...{ alerts: relayed, ledger, deadLetters, claims: store, schemas, log: () => {} },
    })
    const before = process.cpuUsage()
    for (const record of records) await relay(record)
    const { user, system } = process.cpuUsage(before)
    best = Math.min(best, (user + system) / 1000 / records.length)
  }
  return best
}

/** The handlers, one after the other, each with messages of its own kind. */
async function handlerFigures() {
  const stages: Record<string, number> = { intake: await relayCpu() }
  let transients: string[] = []
  let salt2 = { classA: 0, classB: 0, fitted: 0 }
  for (const stage of stagesOf('ztf')) {
    const events = stage === 'salt2' ? transients : packets
    const { ms, ground } = await cpuOf(events, () => handlers[stage](world()))
    stages[stage] = ms
    if (stage === 'exgalac') {
      const passed = ground.published.get('exgalac_trans') ?? []
      transients = passed.map((message, i) => eventOf(message, `t${i}`))
    }
    if (stage === 'salt2') {
      const { classA, classB } = ground.used
      const fits = ground.published.get('salt2')?.length ?? 0
      const each = (count: number): number => count / events.length
      salt2 = { classA: each(classA), classB: each(classB), fitted: each(fits) }
    }
  }
  const filtering = await cpuOf(packets, async () => {
    const { store, topicOf } = current
    for (let i = 0; i < filters; i++) {
      const selector = `magpsf < ${16 + i / 5} AND rb > 0.65 AND ndet > 2`
      await addFilter(store, `bench_${i}`, selector, new Date(0))
    }
    const archive = async (): Promise<Store> => store
    const topic = async (word: string): Promise<Topic> => topicOf(word)
    return createFilter({ stage: 'filter', survey: 'ztf', store, archive, topic, schemas })
  })
  stages['filter'] = filtering.ms
  const told = (filtering.ground.published.get('ledger') ?? []).map((message) => message.data)
  const { table } = services()
  const before = process.cpuUsage()
  for (const data of told) await table.append(ledgerRow(data))
  const { user, system } = process.cpuUsage(before)
  stages['ledger'] = (user + system) / 1000 / told.length
  return { stages, transients, salt2 }
}

const framework = join(root, 'node_modules/.bin/functions-framework')

/** What V8 would allow itself in a container of 512 MiB. */
const heap = '--max-old-space-size=256'

interface Server {
  child: ChildProcess
  send(event: string): Promise<number>
}

async function startServer(folder: string, name: string, cloud: Emulated, alone: boolean) {
  const port = await freePort()
  const words = [framework, `--source=${folder}`, `--target=${name}`, `--port=${port}`]
  const command = [process.execPath, ...words, '--signature-type=cloudevent']
  const [program = '', ...rest] = alone ? ['taskset', '-c', '0', ...command] : command
  const child = spawn(program, rest, {
    env: { ...process.env, ...cloud.env, NODE_ENV: 'production', NODE_OPTIONS: heap },
    stdio: 'ignore',
  })
  async function send(event: string): Promise<number> {
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
    return response.status
  }
  return { child, send }
}

/** Send until there is an answer; more than 20 seconds of refusals are an error. */
async function firstAnswer({ send }: Server, event: string): Promise<void> {
  for (let tries = 0; tries < 1000; tries++) {
    const status = await send(event).catch(() => 0)
    if (status === 204) return
    if (status !== 0) throw new Error(`the function answered ${status}`)
    await pause(20)
  }
  throw new Error('the function does not serve')
}

async function end({ child }: Server): Promise<void> {
  child.kill('SIGKILL')
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
}

/** CPU milliseconds a message of the process that serves a bundle, and the memory it comes to. */
async function servedFigures(
  folder: string,
  name: string,
  events: readonly string[],
  cloud: Emulated,
) {
  const server = await startServer(folder, name, cloud, false)
  try {
    const [first = '', ...more] = events
    await firstAnswer(server, first)
    // A fifth warms the engine up.
    const warm = Math.ceil(more.length / 5)
    const all = async (list: readonly string[]): Promise<void> => {
      const left = [...list]
      const work = async (): Promise<void> => {
        for (let event = left.pop(); event !== undefined; event = left.pop()) {
          const status = await server.send(event)
          if (status !== 204) throw new Error(`${name} answered ${status}`)
        }
      }
      await Promise.all(Array.from({ length: atOnce }, work))
    }
    await all(more.slice(0, warm))
    const before = cpuMsOf(server.child.pid)
    await all(more.slice(warm))
    const ms = (cpuMsOf(server.child.pid) - before) / (more.length - warm)
    return { ms, rssMb: rssMbOf(server.child.pid) }
  } finally {
    await end(server)
  }
}

/** Milliseconds to the answer of the first request, and of CPU until then; medians. */
async function coldStart(folder: string, name: string, event: string, cloud: Emulated) {
  const [walls, cpus]: number[][] = [[], []]
  for (let i = 0; i < starts; i++) {
    const started = performance.now()
    const server = await startServer(folder, name, cloud, true)
    try {
      await firstAnswer(server, event)
      walls?.push(performance.now() - started)
      cpus?.push(cpuMsOf(server.child.pid))
    } finally {
      await end(server)
    }
  }
  return { ms: median(walls), cpuMs: median(cpus) }
}

/** What the system has counted for a process, user and system. */
function cpuMsOf(pid = 0): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * 10
}

function rssMbOf(pid = 0): number {
  const kb = /VmHWM:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kb) / 1000
}

function median(values: readonly number[] = []): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN
}

const round = (value: number, digits = 3): number => Number(value.toPrecision(digits))

/** `2 × Intel(R) Xeon(R) …`, as the system names it. */
function machine(): string {
  const text = readFileSync('/proc/cpuinfo', 'utf8')
  const models = [...text.matchAll(/^model name\s*: (.*)$/gm)].map(([, model]) => model)
  return `${models.length} × ${models[0] ?? 'unknown processor'}, Node ${process.versions.node}`
}

mkdirSync(join(root, '.nightjar'), { recursive: true })
const dir = mkdtempSync(join(root, '.nightjar/bench-'))
const cloud = await startInstance(at)
try {
  const { stages, transients, salt2 } = await handlerFigures()
  const readers: { -readonly [name in ReaderName]?: Measured['readers'][name] } = {}
  const sizes: string[][] = []
  for (const { name } of readersOf('ztf')) {
    const { folder, codeBytes, zipBytes } = await bundleReader(name, dir)
    const events = name === 'packets' ? packets : transients
    const { ms, rssMb } = await servedFigures(folder, name, events, cloud)
    const cold = await coldStart(folder, name, events[0] ?? '', cloud)
    readers[name] = {
      cpuMs: round(ms),
      rssMb: round(rssMb),
      coldStartMs: round(cold.ms),
      coldStartCpuMs: round(cold.cpuMs),
    }
    sizes.push([(codeBytes / 1e6).toFixed(1), (zipBytes / 1e6).toFixed(2)])
  }
  const figures: Measured = {
    on: new Date().toISOString().slice(0, 10),
    machine: machine(),
    alerts: records.length,
    alertBytes: Math.round(bytes / records.length),
    handlerMs: Object.fromEntries(
      Object.entries(stages).map(([name, value]) => [name, round(value)]),
    ),
    readers: readers as Measured['readers'],
    salt2: {
      classA: round(salt2.classA),
      classB: round(salt2.classB),
      fitted: round(salt2.fitted),
    },
  }
  if (write) writeFigures(figures)
  if (json) {
    process.stdout.write(`${JSON.stringify(figures)}\n`)
  } else {
    const each = `${formatCount(records.length)} alerts of ${(figures.alertBytes / 1000).toFixed(1)} kB, ${formatCount(transients.length)} transients`
    process.stdout.write(`${each}, ${figures.machine}\n\n`)
    const seconds = (ms: number): string => formatCount(Math.round(ms * 1000))
    const rows = Object.entries(figures.handlerMs).map(([name, ms]) => [name, seconds(ms)])
    process.stdout.write(`${formatTable(['handler', 'CPU s a million messages'], rows)}\n`)
    const heads = ['function', 'CPU s a million', 'RSS MB', 'cold start ms', 'CPU of it ms']
    const served = Object.entries(figures.readers).map(([name, found], i) => [
      ...[name, seconds(found.cpuMs), found.rssMb.toFixed(0), found.coldStartMs.toFixed(0)],
      ...[found.coldStartCpuMs.toFixed(0), ...(sizes[i] ?? [])],
    ])
    process.stdout.write(formatTable([...heads, 'code MB', 'zip MB'], served))
  }
} finally {
  rmSync(dir, { recursive: true })
  await cloud.kill()
}

/** The lesser of two figures of the same kind, all the way down. */
function least<T>(one: T, other: T): T {
  if (typeof one === 'number') return Math.min(one, Number(other)) as T
  if (typeof one !== 'object' || one === null) return one
  const both = Object.entries(one).map(([name, value]) => {
    const more = (other as Record<string, unknown>)[name]
    return [name, more === undefined ? value : least(value, more)]
  })
  return Object.fromEntries(both) as T
}

function writeFigures(found: Measured): void {
  const again = measured.on === found.on && measured.machine === found.machine
  const figures = again
    ? {
        ...found,
        handlerMs: least(found.handlerMs, measured.handlerMs),
        readers: least(found.readers, measured.readers),
      }
    : found
  const file = join(root, 'cli/measured.ts')
  const text = readFileSync(file, 'utf8')
  const head = text.slice(0, text.indexOf('export const measured'))
  writeFileSync(file, `${head}export const measured: Measured = ${JSON.stringify(figures)}\n`)
  spawnSync(join(root, 'node_modules/.bin/prettier'), ['--write', file])
}
