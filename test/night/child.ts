/**
 * A broker as `nightjar run --once` wires it, all in one thread, that kills itself at a named point:
 *
 *     node child.ts HOME FROM POINT COUNT
 *
 * dies with SIGKILL when it comes by POINT for the COUNTth time. The product has no hook for this: what
 * it is given is wrapped, and slowed down a little.
 */
import { openFileSource } from '../../consumer/files/source.ts'
import { createIntake } from '../../consumer/intake.ts'
import { knownNights } from '../../conductor/nights.ts'
import { auditOf } from '../../cli/audit.ts'
import { ledgerReader, relayTo, stageReaders } from '../../cli/wiring.ts'
import {
  bucketName,
  datasetName,
  kafkaTopicName,
  salt2TableName,
  topicName,
} from '../../core/names.ts'
import { stagesOf } from '../../core/pipeline.ts'
import type { Store, Table, Topic } from '../../core/ports.ts'
import { brokerSubscriptions, openGround, startReaders, startSweeping } from '../../local/broker.ts'
import type { Ground } from '../../local/broker.ts'
import { takeHome } from '../../local/home.ts'
import type { Journal } from '../../local/journal.ts'
import { openStore } from '../../local/store.ts'
import { openTable } from '../../local/table.ts'
import type { Point } from './points.ts'

const at = { survey: 'ztf', project: 'local' } as const
const [home = '', from = '', wanted = '', count = '1'] = process.argv.slice(2)
let left = Number(count)

/** Die here, if this is the point and the time has come; never to return. */
async function pass(point: Point): Promise<void> {
  if (point !== wanted || --left > 0) return
  process.kill(process.pid, 'SIGKILL')
  await new Promise(() => {})
}

/** Every effect comes late by chance, so that what does not wait for it is found out. */
function drag(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.random() * 40))
}

/** Die a little later than here, in the middle of what this begins. */
function passSoon(point: Point): void {
  if (point !== wanted || --left > 0) return
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), left + (Number(count) % 40))
}

const log = (): void => {}
const ground = await openGround(home, at)
const release = takeHome(ground.home)
const table = await openTable({ file: ground.home.warehouse, dataset: datasetName(at) })
const archive = await openArchive()

const intakeGround = withTopics(ground, async (word) => {
  const topic = await ground.topic(word)
  if (word === 'alert_data') return publishing(topic, 'alert published, ledger not told')
  if (word === 'ledger') return publishing(topic, 'ledger told by intake, not committed')
  return topic
})
const stageGround: Ground = {
  ...withTopics(ground, async (word) => {
    const topic = await ground.topic(word)
    if (word === 'exgalac_trans') return publishing(topic, 'transient published, not acked')
    if (word === 'salt2') return publishing(topic, 'fit published, not acked')
    if (word === 'dead_letter') return publishing(topic, 'dead letter kept, ledger not told')
    if (word === 'ledger') return publishing(topic, 'ledger told by stage, not acked')
    return topic
  }),
  bucket: async (word) => {
    if (word === 'alert_avro_bucket') return archive
    return word === 'sncosmo' ? fitting(await ground.bucket(word)) : ground.bucket(word)
  },
}
const auditGround: Ground = {
  ...ground,
  bucket: async (word) => closing(await ground.bucket(word)),
}

const rows: Table = {
  ...table,
  async append(row) {
    await drag()
    const outcome = await table.append(row)
    if (row.shape.table === salt2TableName) await pass('fit row stored, not published')
    else await pass('row stored, not acked')
    return outcome
  },
}
const ledgerRows: Table = {
  ...table,
  async append(row) {
    passSoon('ledger rows on their way')
    await drag()
    const outcome = await table.append(row)
    await pass('ledger row stored, not acked')
    return outcome
  },
}

const running = startReaders(
  [
    ...(await stageReaders(stageGround, stagesOf('ztf'), log, process.env, rows)),
    await ledgerReader(ground, ledgerRows),
  ],
  log,
)
const stopSweeping = startSweeping(ground)
const subscriptions = await brokerSubscriptions(ground)

const store = await ground.bucket('broker_files')
const source = await openFileSource({ from, store, topic: kafkaTopicName('ztf', '20261121') })
const intake = createIntake({
  source: {
    ...source,
    async commit(positions) {
      await source.commit(positions)
      await pass('committed')
    },
  },
  relay: await relayTo(intakeGround, log),
  log,
  commitMs: 40,
})
await Promise.race([intake.run(new AbortController().signal), running.failed])
await Promise.race([idle(), running.failed])
for (const night of await knownNights(store)) {
  const query: Table['query'] = async function* (sql) {
    await pass('audit asked')
    yield* table.query(sql)
  }
  const { record } = await auditOf(auditGround, query, night, new Date())
  if (record.state !== 'complete') process.exitCode = 1
}
stopSweeping()
await running.close()
await table.close()
release()
await ground.close()

async function idle(): Promise<void> {
  for (;;) {
    let waiting = 0
    for (const { subscription } of subscriptions) waiting += (await subscription.backlog()).messages
    if (waiting === 0) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

function withTopics(inner: Ground, topic: Ground['topic']): Ground {
  return { ...inner, topic }
}

function publishing(topic: Topic, point: Point): Topic {
  return {
    ...topic,
    async publish(message) {
      await drag()
      const id = await topic.publish(message)
      await pass(point)
      return id
    },
  }
}

/** The archive, with a journal of its own view, so that a crash can come before an object's row. */
async function openArchive(): Promise<Store> {
  const { messages, journal } = ground
  const watched: Journal = {
    ...journal,
    async write(work, weight) {
      await pass('archive file linked, its row not written')
      return journal.write(work, weight)
    },
  }
  const inner = await openStore({
    journal: watched,
    messages,
    folder: ground.home.buckets,
    bucket: bucketName(at, 'alert_avro_bucket'),
    noticeTopic: topicName(at, 'alert_avro_bucket'),
  })
  return {
    ...inner,
    async create(name, data, metadata) {
      await drag()
      const created = await inner.create(name, data, metadata)
      await pass('archived, not acked')
      return created
    },
  }
}

/** The bucket of the fits: a light curve is replaced, all else is created. */
function fitting(inner: Store): Store {
  return {
    ...inner,
    async replace(name, data, generation, metadata) {
      await drag()
      const object = await inner.replace(name, data, generation, metadata)
      await pass('light curve merged, fit not stored')
      return object
    },
    async create(name, data, metadata) {
      await drag()
      const created = await inner.create(name, data, metadata)
      await pass(name.endsWith('.json') ? 'fit stored, no plot' : 'plot stored, no row')
      return created
    },
  }
}

function closing(inner: Store): Store {
  return {
    ...inner,
    async create(name, data, metadata) {
      if (name.startsWith('audit/')) await pass('close record about to be stored')
      const created = await inner.create(name, data, metadata)
      if (name.startsWith('audit/')) await pass('close record stored')
      return created
    },
  }
}
