/**
 * What goes wrong around a stage: each is one sentence with a code, the resource and the remedy; the message is
 * not acked, and when the fault is mended it comes again and is stored, once.
 */
import assert from 'node:assert/strict'
import { after, afterEach, before, suite, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { openDatasets, type Datasets } from '../../cloud/datasets.ts'
import { openStore } from '../../cloud/store.ts'
import { openStores } from '../../cloud/stores.ts'
import { openSubscription } from '../../cloud/subscription.ts'
import { openTable } from '../../cloud/table.ts'
import { openTopic } from '../../cloud/topic.ts'
import { openTopics, type Topics } from '../../cloud/topics.ts'
import { NightjarError } from '../../core/errors.ts'
import type { Store } from '../../core/ports.ts'
import { handlers } from '../../functions/handlers.ts'
import { createStage } from '../../functions/stage.ts'
import { bundledSchemas } from '../../schemas/registry.ts'
import { cameFrom, exampleRecord, fakeLog, fakeStore, packetOf } from '../functions/fakes.ts'
import { startBigqueryDouble, type BigqueryDouble } from './doubles/bigquery.ts'
import { status } from './doubles/grpc.ts'
import { standBetween, type Between } from './doubles/http.ts'
import { startPubsubDouble, type PubsubDouble } from './doubles/pubsub.ts'
import { skipWithoutGcs, startGcs, type Emulator } from './emulators.ts'

const packet = packetOf(exampleRecord())
/** Long enough for a second attempt of what may pass, short enough for a test. */
const hasty = { attemptMs: 400, giveUpMs: 600 }

suite('a stage whose surroundings are at fault', { skip: skipWithoutGcs }, () => {
  let pubsub: PubsubDouble
  let bigquery: BigqueryDouble
  let gcs: Emulator
  let between: Between
  let topics: Topics
  let datasets: Datasets
  let bucket: Store
  let count = 0
  before(async () => {
    pubsub = await startPubsubDouble()
    bigquery = await startBigqueryDouble()
    gcs = await startGcs()
    between = await standBetween(gcs.host)
    topics = await openTopics({ project: 'p', emulator: pubsub.host })
    const emulator = { rest: bigquery.rest, grpc: bigquery.grpc }
    datasets = openDatasets({ project: 'p', emulator })
    const stores = openStores({ project: 'p', emulator: between.host })
    await stores.storage.createBucket('archive')
    bucket = await openStore(stores, 'archive', hasty)
  })
  after(async () => {
    await topics.close()
    await datasets.close()
    between.stop()
    await gcs.kill()
    bigquery.stop()
    pubsub.stop()
  })
  afterEach(mend)

  function mend(): void {
    pubsub.fault = () => undefined
    bigquery.fault = () => undefined
    bigquery.restFault = () => undefined
    bigquery.hasDataset = true
    between.fault = () => undefined
  }

  interface Stood {
    /** What was said of the message that was tried again, or of the subscription. */
    failure: () => { code: string; reason: string } | undefined
    /** Acks, rows and objects so far. */
    acked: () => boolean
    stored: () => Promise<number>
    /** Receive until `done`; by another project's connection where one is given. */
    run: (done: () => boolean, connected?: Topics) => Promise<void>
  }

  /** A stage on an alert that waits for it. */
  async function stand(stage: 'archive' | 'warehouse'): Promise<Stood> {
    const own = ++count
    const [input, ledgerName, deadName] = [`alerts_${own}`, `ledger_${own}`, `dead_${own}`]
    const night = `ztf_20261121_programid${own}`
    for (const name of [input, ledgerName, deadName]) pubsub.makeTopic(name)
    pubsub.makeSubscription(input, `${input}-reader`)
    const topic = await openTopic(topics, input)
    const id = await topic.publish({
      data: packet,
      attributes: { ...cameFrom(0, own), 'kafka.topic': night },
    })
    const ledger = await openTopic(topics, ledgerName, hasty)
    const table = await openTable({ datasets, dataset: 'd', ...hasty })
    const { log } = fakeLog()
    let failure: { code: string; reason: string } | undefined
    const note = (error: unknown): void => {
      assert.ok(error instanceof NightjarError, String(error))
      failure ??= { code: error.code, reason: error.message }
    }
    const handle = await handlers[stage]({
      at: { survey: 'ztf' },
      schemas: bundledSchemas(),
      topic: () => Promise.resolve(ledger),
      bucket: () => Promise.resolve(bucket),
      table: () => Promise.resolve(table),
    })
    const deadLetters = await openTopic(topics, deadName, hasty)
    const onDelivery = createStage({
      ...{ stage, handle, ledger, deadLetters, log },
      claims: fakeStore(),
      maxAttempts: 100_000,
    })
    return {
      failure: () => failure,
      acked: () => pubsub.acked.includes(id),
      async stored() {
        if (stage === 'warehouse') {
          return [...bigquery.rows.values()].reduce((sum, rows) => sum + rows.length, 0)
        }
        let objects = 0
        for await (const _ of bucket.list(`${night}/`)) objects++
        return objects
      },
      async run(done, connected = topics) {
        const stop = new AbortController()
        const name = `${input}-reader`
        const subscription = await openSubscription({ topics: connected, name })
        const receiving = subscription.receive(
          async (delivery) => {
            try {
              await onDelivery(delivery)
            } catch (error) {
              note(error)
              // As Pub/Sub's retry policy has it; the double has none.
              await pause(100)
              throw error
            }
          },
          { signal: stop.signal },
        )
        receiving.catch(note)
        const until = performance.now() + 60_000
        while (!done() && performance.now() < until) await pause(20)
        stop.abort()
        await receiving.catch(() => {})
        assert.ok(done(), 'it came to it within a minute')
      },
    }
  }

  const refused = (code: number, reason: string, message: string) => (): void => {
    between.fault = (method) => (method === 'POST' ? { status: code, reason, message } : undefined)
  }
  const rows: {
    what: string
    stage: 'archive' | 'warehouse'
    spoil: () => void
    code: string
    says: RegExp
    project?: string
  }[] = [
    {
      what: 'the project is the wrong one',
      stage: 'archive',
      spoil: () => {},
      project: 'wrong',
      code: 'source_failed',
      says: /receive from subscription "alerts_\d+-reader": project "wrong" has no subscription .*name the right project/,
    },
    {
      what: 'the subscription may not be read',
      stage: 'archive',
      spoil: () =>
        (pubsub.fault = (call) => (call === 'pull' ? status(7, 'not authorized') : undefined)),
      code: 'source_failed',
      says: /grant it roles\/pubsub\.subscriber on subscription "alerts_\d+-reader" of project "p"/,
    },
    {
      what: 'Pub/Sub takes no credentials',
      stage: 'archive',
      spoil: () =>
        (pubsub.fault = (call) => (call === 'pull' ? status(16, 'no credentials') : undefined)),
      code: 'source_failed',
      says: /subscription "alerts_\d+-reader": there are no credentials for project "p".*gcloud auth/,
    },
    ...(
      [
        ['the ledger’s topic is missing', 5, /project "p" has no topic "ledger_\d+"; make it/],
        [
          'the ledger may not be told',
          7,
          /grant it roles\/pubsub\.publisher on topic "ledger_\d+"/,
        ],
        [
          'the quota of publishing is used up',
          8,
          /to topic "ledger_\d+": a quota of project "p" is used up/,
        ],
      ] as const
    ).map(([what, code, says]) => ({
      what,
      stage: 'archive' as const,
      spoil: () =>
        void (pubsub.fault = (call) => (call === 'publish' ? status(code, 'so it is') : undefined)),
      code: 'publish_failed',
      says,
    })),
    {
      what: 'the bucket is missing',
      stage: 'archive',
      spoil: refused(404, 'notFound', 'The specified bucket does not exist.'),
      code: 'store_failed',
      says: /project "p" has no bucket "archive"; make it with the stack/,
    },
    {
      what: 'the bucket is forbidden',
      stage: 'archive',
      spoil: refused(403, 'forbidden', 'me does not have storage.objects.create access'),
      code: 'store_failed',
      says: /grant it roles\/storage\.objectUser on bucket "archive" of project "p"/,
    },
    {
      what: 'Cloud Storage takes no credentials',
      stage: 'archive',
      spoil: refused(401, 'authError', 'Invalid Credentials'),
      code: 'store_failed',
      says: /to bucket "archive": there are no credentials for project "p".*gcloud auth/,
    },
    {
      what: 'the bucket’s rate is used up',
      stage: 'archive',
      spoil: refused(429, 'rateLimitExceeded', 'Too many requests'),
      code: 'store_failed',
      says: /to bucket "archive": a quota of project "p" is used up; wait, or ask for more/,
    },
    {
      what: 'the data set is missing',
      stage: 'warehouse',
      spoil: () => (bigquery.hasDataset = false),
      code: 'table_failed',
      says: /project "p" has no data set "d"; make it with the stack/,
    },
    {
      what: 'tables may not be made',
      stage: 'warehouse',
      spoil: () =>
        (bigquery.restFault = () => ({
          status: 403,
          reason: 'accessDenied',
          message: 'Access Denied: bigquery.tables.create',
        })),
      code: 'table_failed',
      says: /grant it roles\/bigquery\.dataEditor on data set "d" of project "p"/,
    },
    {
      what: 'rows may not be written',
      stage: 'warehouse',
      spoil: () => (bigquery.fault = () => ({ end: status(7, 'TABLES_UPDATE_DATA denied') })),
      code: 'table_failed',
      says: /grant it roles\/bigquery\.dataEditor on table "d\.alerts_v4_02" of project "p"/,
    },
    {
      what: 'the quota of rows is used up',
      stage: 'warehouse',
      spoil: () => (bigquery.fault = () => ({ error: status(8, 'Exceeds quota') })),
      code: 'table_failed',
      says: /table "d\.alerts_v4_02": a quota of project "p" is used up/,
    },
    {
      what: 'the table is gone',
      stage: 'warehouse',
      spoil: () => (bigquery.fault = () => ({ end: status(5, 'Requested entity was not found') })),
      code: 'table_failed',
      says: /project "p" has no table "d\.alerts_v4_02"; make it|has no table/,
    },
    {
      what: 'the table’s columns are not the rows’',
      stage: 'warehouse',
      spoil: () =>
        (bigquery.fault = () => ({
          error: status(3, "Input schema has more fields than BigQuery schema, extra fields: 'x'"),
        })),
      code: 'table_failed',
      says: /table "d\.alerts_v4_02": it lacks columns .*compare its schema .*more fields than BigQuery schema/,
    },
  ]
  for (const { what, stage, spoil, code, says, project } of rows) {
    test(`${what}: one sentence, nothing acked, stored once mended`, async (t) => {
      const connected =
        project === undefined ? topics : await openTopics({ project, emulator: pubsub.host })
      if (project !== undefined) t.after(() => connected.close())
      bigquery.tables.clear()
      bigquery.rows.clear()
      const stood = await stand(stage)
      spoil()
      await stood.run(() => stood.failure() !== undefined, connected)
      const { code: found, reason } = stood.failure() ?? { code: '', reason: '' }
      assert.equal(found, code, reason)
      assert.match(reason, /^Cannot [^\n]+[^.\n]$/)
      assert.match(reason, says)
      assert.equal(stood.acked(), false, 'nothing is acked')

      mend()
      await stood.run(stood.acked)
      assert.equal(await stood.stored(), 1)
    })
  }
})
