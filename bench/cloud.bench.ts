/**
 * Each cloud answer against its emulator, and beside it the plainest use of the same SDK: what the README of
 * the package shows, with all requests of a round at once as far as it has no bound of its own. The emulator
 * is often what bounds the rate; the processor time of this process is ours alone.
 */
import { formatTable } from '../cli/text-table.ts'
import { openDatasets } from '../cloud/datasets.ts'
import { openStore } from '../cloud/store.ts'
import { openStores } from '../cloud/stores.ts'
import { openSubscription } from '../cloud/subscription.ts'
import { openTable } from '../cloud/table.ts'
import { openTopic } from '../cloud/topic.ts'
import { openTopics } from '../cloud/topics.ts'
import type { Column, RowShape } from '../core/row.ts'
import { startBigquery, startGcs, startPubsub } from '../test/cloud/emulators.ts'

const repeats = Number(process.env['REPEATS'] ?? 5)
const packetBytes = 60_000
const messages = 2000
const objects = 300
const rows = 1000
const atOnce = 64

interface Way {
  work: string
  way: string
  count: number
  run: (round: number) => Promise<void>
}

const data = Buffer.alloc(packetBytes, 7)
const attributes = {
  'kafka.topic': 'ztf_20261121_programid1',
  'kafka.partition': '3',
  'kafka.offset': '12345',
  objectId: 'ZTF26abcdefg',
}

await measure('Pub/Sub, 60 kB', topicWays)
await measure('Cloud Storage, 60 kB', storeWays)
await measure('BigQuery, 60 columns and 20 nested records', tableWays)

/** Run the ways of an answer in turn, so that what the machine does besides falls on all alike. */
async function measure(
  title: string,
  make: () => Promise<{ ways: Way[]; close: () => Promise<void> }>,
): Promise<void> {
  const { ways, close } = await make()
  const seconds = new Map<Way, number[]>(ways.map((way) => [way, []]))
  const cpu = new Map<Way, number[]>(ways.map((way) => [way, []]))
  for (let round = 0; round <= repeats; round++) {
    for (const way of ways) {
      const start = performance.now()
      const used = process.cpuUsage()
      await way.run(round)
      const { user, system } = process.cpuUsage(used)
      // The first round warms up both sides.
      if (round === 0) continue
      seconds.get(way)?.push((performance.now() - start) / 1000)
      cpu.get(way)?.push((user + system) / 1000 / way.count)
    }
  }
  await close()
  const plain = (way: Way): Way | undefined =>
    ways.find(({ work, way: name }) => work === way.work && name !== 'nightjar')
  const table = ways.map((way) => {
    const peer = plain(way) ?? way
    const rate = way.count / median(seconds.get(way))
    const ratio = rate / (peer.count / median(seconds.get(peer)))
    return [
      way.work,
      way.way,
      rate.toFixed(0),
      median(cpu.get(way)).toFixed(2),
      way === peer ? '1' : `${ratio.toFixed(2)}×`,
    ]
  })
  const heads = [title, 'by', 'items/s', 'CPU ms an item', 'rate to the plain SDK']
  process.stdout.write(`${formatTable(heads, table)}\n`)
}

async function topicWays(): Promise<{ ways: Way[]; close: () => Promise<void> }> {
  const emulator = await startPubsub(2048)
  const topics = await openTopics({ project: 'bench', emulator: emulator.host })
  const { pubsub } = topics
  const names = ['ours', 'plain']
  for (const name of names) {
    await pubsub.createTopic(`alerts-${name}`)
    await pubsub.createSubscription(`alerts-${name}`, `reader-${name}`)
  }
  const topic = await openTopic(topics, 'alerts-ours')
  const reader = await openSubscription({ topics, name: 'reader-ours' })
  const plain = pubsub.topic('alerts-plain')
  const each = <T>(work: () => Promise<T>): Promise<T[]> =>
    Promise.all(Array.from({ length: messages }, work))
  return {
    ways: [
      {
        work: 'publish',
        way: 'publishMessage()',
        count: messages,
        run: async () => void (await each(() => plain.publishMessage({ data, attributes }))),
      },
      {
        work: 'publish',
        way: 'nightjar',
        count: messages,
        run: async () => void (await each(() => topic.publish({ data, attributes }))),
      },
      {
        work: 'receive and ack',
        way: "on('message')",
        count: messages,
        run: () =>
          new Promise((resolve) => {
            const subscription = pubsub.subscription('reader-plain')
            let left = messages
            subscription.on('message', (message) => {
              message.ack()
              if (--left === 0) void subscription.close().then(() => resolve())
            })
          }),
      },
      {
        work: 'receive and ack',
        way: 'nightjar',
        count: messages,
        async run() {
          const stop = new AbortController()
          let left = messages
          const handle = async (): Promise<void> => {
            if (--left === 0) stop.abort()
          }
          await reader.receive(handle, {
            signal: stop.signal,
            maxBytes: 64 << 20,
            maxMessages: 1000,
          })
        },
      },
    ],
    async close() {
      await topics.close()
      await emulator.kill()
    },
  }
}

async function storeWays(): Promise<{ ways: Way[]; close: () => Promise<void> }> {
  const emulator = await startGcs()
  const stores = openStores({ project: 'bench', emulator: emulator.host })
  await stores.storage.createBucket('alerts')
  const store = await openStore(stores, 'alerts')
  const bucket = stores.storage.bucket('alerts')
  /** As many as the archive has under way. */
  async function each(work: (at: number) => Promise<unknown>): Promise<void> {
    let next = 0
    const worker = async (): Promise<void> => {
      while (next < objects) await work(next++)
    }
    await Promise.all(Array.from({ length: atOnce }, worker))
  }
  return {
    ways: [
      {
        work: 'create',
        way: 'file.save()',
        count: objects,
        run: (round) => each((at) => bucket.file(`plain/${round}/${at}`).save(data)),
      },
      {
        work: 'create',
        way: 'nightjar',
        count: objects,
        run: (round) => each((at) => store.create(`ours/${round}/${at}`, data, attributes)),
      },
      {
        work: 'read',
        way: 'file.download()',
        count: objects,
        run: (round) => each((at) => bucket.file(`plain/${round}/${at}`).download()),
      },
      {
        work: 'read',
        way: 'nightjar',
        count: objects,
        run: (round) => each((at) => store.read(`ours/${round}/${at}`)),
      },
    ],
    close: () => emulator.kill(),
  }
}

async function tableWays(): Promise<{ ways: Way[]; close: () => Promise<void> }> {
  const emulator = await startBigquery()
  const { host, grpc } = emulator
  const datasets = openDatasets({ project: 'bench', emulator: { rest: host, grpc } })
  const [dataset] = await datasets.bigquery.createDataset('ztf_alerts')
  const table = await openTable({ datasets, dataset: 'ztf_alerts' })
  const numbers = Array.from({ length: 57 }, (_, at) => `number${at}`)
  const float = (name: string): Column => ({ name, type: 'FLOAT64', mode: 'NULLABLE' })
  const columns: Column[] = [
    { name: 'objectId', type: 'STRING', mode: 'NULLABLE' },
    { name: 'candid', type: 'INT64', mode: 'NULLABLE' },
    ...numbers.map(float),
    { name: 'prv', type: 'RECORD', mode: 'REPEATED', fields: numbers.slice(0, 10).map(float) },
  ]
  const shape: RowShape = { table: 'ours', columns, key: ['objectId', 'candid'] }
  const nested = Object.fromEntries(numbers.slice(0, 10).map((name, at) => [name, at + 0.5]))
  const values = {
    ...Object.fromEntries(numbers.map((name, at) => [name, at + 0.25])),
    prv: Array<object>(20).fill(nested),
  }
  await table.append({ shape, values: { objectId: 'first', candid: 0, ...values } })
  const [{ schema }] = await dataset.table('ours').getMetadata()
  await dataset.createTable('plain', { schema })
  const batch = 500
  return {
    ways: [
      {
        work: 'append',
        way: 'table.insert(), 500 rows at once',
        count: rows,
        async run(round) {
          const inserts = Array.from({ length: rows / batch }, (_, part) =>
            dataset.table('plain').insert(
              Array.from({ length: batch }, (_, at) => ({
                objectId: `o${round}`,
                candid: part * batch + at,
                ...values,
              })),
            ),
          )
          await Promise.all(inserts)
        },
      },
      {
        work: 'append',
        way: 'nightjar',
        count: rows,
        async run(round) {
          const appends = Array.from({ length: rows }, (_, at) =>
            table.append({ shape, values: { objectId: `o${round}`, candid: at, ...values } }),
          )
          await Promise.all(appends)
        },
      },
    ],
    async close() {
      await table.close()
      await datasets.close()
      await emulator.kill()
    },
  }
}

function median(values: readonly number[] = []): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN
}
