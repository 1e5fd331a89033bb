/** `nightjar doctor` at a project as the stack makes it, with one thing amiss at a time. */
import assert from 'node:assert/strict'
import { after, afterEach, before, suite, test } from 'node:test'

import { regionsFinding } from '../../cloud/checkup.ts'
import { checkBuckets } from '../../cloud/checkup/buckets.ts'
import type { Finding, Place } from '../../cloud/checkup/finding.ts'
import { checkFunctions } from '../../cloud/checkup/functions.ts'
import { checkTables } from '../../cloud/checkup/tables.ts'
import { checkTopics } from '../../cloud/checkup/topics.ts'
import { openDatasets } from '../../cloud/datasets.ts'
import { openStores } from '../../cloud/stores.ts'
import { openTopics } from '../../cloud/topics.ts'
import { packagesFinding } from '../../cli/doctor.ts'
import { stageFilter } from '../../core/alert.ts'
import { functionName, subscriptionName, topicName, type TopicWord } from '../../core/names.ts'
import { countedTopics, readersOf, topicsOf } from '../../core/pipeline.ts'
import { routinesOf } from '../../core/routines.ts'
import { startProjectDouble, type ProjectDouble } from './doubles/project.ts'

const at = { survey: 'ztf', project: 'p' } as const
const region = 'us-central1'

// Not on Google's machines there is nobody to ask for credentials, and asking takes seconds.
process.env['METADATA_SERVER_DETECTION'] ??= 'none'

const zip = 'packets-0123456789abcdef.zip'

suite('nightjar doctor at a project that is strict about permissions', () => {
  let double: ProjectDouble
  before(async () => {
    double = await startProjectDouble()
  })
  after(() => double.stop())
  afterEach(() => {
    double.things.clear()
    double.lacks.clear()
    double.asked.length = 0
  })

  /** What the stack makes. */
  function make(): void {
    const { things } = double
    for (const word of topicsOf('ztf')) {
      things.set(`projects/p/topics/${topicName(at, word)}`, {
        messageStoragePolicy: { allowedPersistenceRegions: [region] },
        ...(word !== 'alert_data' && { messageRetentionDuration: { seconds: 604_800 } }),
      })
    }
    const subscribe = (word: TopicWord, reader: string, rest: object = {}): void => {
      things.set(`projects/p/subscriptions/${subscriptionName(at, word, reader)}`, {
        topic: `projects/p/topics/${topicName(at, word)}`,
        ackDeadlineSeconds: 60,
        state: 'ACTIVE',
        messageRetentionDuration: { seconds: 604_800 },
        deadLetterPolicy: {
          deadLetterTopic: `projects/p/topics/${topicName(at, 'dead_letter')}`,
          maxDeliveryAttempts: 100,
        },
        retryPolicy: { minimumBackoff: { seconds: 1 }, maximumBackoff: { seconds: 600 } },
        ...rest,
      })
    }
    for (const { name, reads, stages } of readersOf('ztf')) {
      const uri = `https://${functionName(at, name)}-abc.run.app`
      subscribe(reads, name, {
        filter: stageFilter(...stages),
        pushConfig: {
          pushEndpoint: `${uri}/projects/p/topics/${topicName(at, reads)}`,
          oidcToken: { serviceAccountEmail: 'caller@p', audience: uri },
        },
      })
      things.set(`functions/${functionName(at, name)}`, {
        name: `projects/p/locations/${region}/functions/${functionName(at, name)}`,
        state: 'ACTIVE',
        buildConfig: {
          runtime: 'nodejs24',
          source: { storageSource: { object: `functions/ztf/${name}-0123456789abcdef.zip` } },
        },
        serviceConfig: {
          maxInstanceCount: 40,
          maxInstanceRequestConcurrency: 16,
          availableMemory: '512Mi',
          ingressSettings: 'ALLOW_INTERNAL_ONLY',
          environmentVariables: { GOOGLE_CLOUD_PROJECT: 'p', NIGHTJAR_SURVEY: 'ztf' },
        },
      })
    }
    const table = 'p.ztf_alerts.ledger'
    subscribe('ledger', 'table', {
      bigqueryConfig: { table, useTableSchema: true, state: 'ACTIVE' },
    })
    subscribe('dead_letter', 'replay', { deadLetterPolicy: null, retryPolicy: null })
    for (const word of countedTopics('ztf')) subscribe(word, 'counter')
    for (const name of ['p_ztf_alert_avro_bucket', 'p-broker_files', 'p_ztf-sncosmo']) {
      const iamConfiguration = { publicAccessPrevention: 'enforced' }
      things.set(`buckets/${name}`, { name, location: region.toUpperCase(), iamConfiguration })
    }
    const topic = '//pubsub.googleapis.com/projects/p/topics/ztf_alert_avro_bucket'
    things.set('notices of buckets/p_ztf_alert_avro_bucket/1', { id: '1', topic })
    things.set('datasets/ztf_alerts', { location: region })
    const tables: Record<string, object> = {
      alerts: { type: 'VIEW' },
      alerts_v4_02: {
        type: 'TABLE',
        timePartitioning: { field: 'obs_date' },
        clustering: { fields: ['objectId', 'healpix29', 'candid'] },
      },
      ledger: { type: 'TABLE', timePartitioning: { field: 'recorded_at' } },
      salt2: { type: 'TABLE' },
    }
    for (const [tableId, rest] of Object.entries(tables)) {
      things.set(`datasets/ztf_alerts/tables/${tableId}`, { tableReference: { tableId }, ...rest })
    }
    for (const { name: routineId } of routinesOf('ztf', 'bigquery')) {
      const routine = { routineReference: { routineId } }
      things.set(`datasets/ztf_alerts/routines/${routineId}`, routine)
    }
  }

  async function look(): Promise<Finding[]> {
    const places: Place[] = []
    const findings: Finding[] = []
    const connected = await openTopics({ project: 'p', emulator: double.grpc })
    const stores = openStores({ project: 'p', emulator: double.rest })
    const emulator = { rest: double.rest, grpc: double.grpc }
    const datasets = openDatasets({ project: 'p', emulator })
    const parts = [
      checkTopics({ ...connected, emulated: false }, at, places),
      checkBuckets(stores, at, false, places),
      checkTables(datasets, at, false, places),
      checkFunctions({ at, bundles: new Map([['packets', zip]]), emulator: double.rest }, places),
    ]
    for (const part of parts) for await (const finding of part) findings.push(finding)
    await datasets.close()
    await connected.close()
    return [...findings, regionsFinding(places)]
  }

  const illOf = (findings: readonly Finding[]): string[] =>
    findings.flatMap(({ thing, state, said }) =>
      state === 'ok' ? [] : [`${state} ${thing}: ${said}`],
    )

  test('a whole instance is well, and each thing was asked about', async () => {
    make()
    const findings = await look()
    assert.deepEqual(illOf(findings), [])
    for (const [name] of double.things) {
      if (!/\/topics\/|\/subscriptions\/|^buckets|\/tables\//.test(name)) continue
      assert.ok(
        double.asked.some((line) => line.endsWith(` on ${name}`)),
        name,
      )
    }
    assert.ok(findings.some(({ said }) => said.includes('pushes to ztf-packets-abc.run.app')))
  })

  const rows: [string, string, string][] = [
    [
      'pubsub.topics.publish on projects/p/topics/ztf_alert_data',
      'topic ztf_alert_data',
      'this account lacks pubsub.topics.publish: grant it roles/pubsub.publisher on topic "ztf_alert_data"',
    ],
    [
      'pubsub.subscriptions.consume on projects/p/subscriptions/ztf_alert_data-packets',
      'subscription ztf_alert_data-packets',
      'this account lacks pubsub.subscriptions.consume: grant it roles/pubsub.subscriber on subscription "ztf_alert_data-packets"',
    ],
    [
      'pubsub.topics.get on projects/p/topics/ztf_ledger',
      'topic ztf_ledger',
      'grant it roles/pubsub.viewer on topic "ztf_ledger" of project "p"',
    ],
    [
      'pubsub.subscriptions.get on projects/p/subscriptions/ztf_dead_letter-replay',
      'subscription ztf_dead_letter-replay',
      'grant it roles/pubsub.viewer on subscription "ztf_dead_letter-replay" of project "p"',
    ],
    ...['create', 'get', 'list'].map((verb): [string, string, string] => [
      `storage.objects.${verb} on buckets/p_ztf_alert_avro_bucket`,
      'bucket p_ztf_alert_avro_bucket',
      `this account lacks storage.objects.${verb}: grant it roles/storage.objectUser on bucket "p_ztf_alert_avro_bucket"`,
    ]),
    [
      'storage.objects.delete on buckets/p_ztf-sncosmo',
      'bucket p_ztf-sncosmo',
      'this account lacks storage.objects.delete: grant it roles/storage.objectUser on bucket "p_ztf-sncosmo"',
    ],
    [
      'storage.buckets.get on buckets/p-broker_files',
      'bucket p-broker_files',
      'grant it roles/storage.legacyBucketReader on bucket "p-broker_files" of project "p"',
    ],
    ...['getData', 'updateData', 'update'].map((verb): [string, string, string] => [
      `bigquery.tables.${verb} on datasets/ztf_alerts/tables/alerts_v4_02`,
      'table ztf_alerts.alerts_v4_02',
      `this account lacks bigquery.tables.${verb}: grant it roles/bigquery.dataEditor on table "ztf_alerts.alerts_v4_02"`,
    ]),
    [
      'bigquery.tables.get on datasets/ztf_alerts/tables/ledger',
      'table ztf_alerts.ledger',
      'grant it roles/bigquery.metadataViewer on table "ztf_alerts.ledger"',
    ],
    [
      'bigquery.datasets.get on datasets/ztf_alerts',
      'data set ztf_alerts',
      'grant it roles/bigquery.dataEditor on data set "ztf_alerts"',
    ],
    [
      'bigquery.jobs.create on project',
      'queries of ztf_alerts.alerts',
      'this account lacks bigquery.jobs.create: grant it roles/bigquery.jobUser on project "p"',
    ],
    [
      'cloudfunctions.functions.list on project',
      'functions',
      'grant it roles/cloudfunctions.viewer on functions of project "p"',
    ],
  ]
  for (const [lacked, thing, remedy] of rows) {
    test(`without ${lacked}: one fault, with the permission's resource and role`, async () => {
      make()
      double.lacks.add(lacked)
      const ill = illOf(await look())
      assert.equal(ill.length, 1, ill.join('\n'))
      assert.ok(ill[0]?.startsWith(`fault ${thing}: `), ill[0])
      assert.ok(ill[0]?.includes(remedy), ill[0])
    })
  }

  /** One thing is changed, or gone. */
  function change(name: string, rest: object | null): void {
    if (rest === null) double.things.delete(name)
    else double.things.set(name, { ...double.things.get(name), ...rest })
  }
  const serviceConfig = {
    availableMemory: '512Mi',
    ingressSettings: 'ALLOW_ALL',
    environmentVariables: { GOOGLE_CLOUD_PROJECT: 'other', NIGHTJAR_SURVEY: 'ztf' },
  }
  const amiss: [string, string, object | null, RegExp[]][] = [
    [
      'a routine is missing',
      'datasets/ztf_alerts/routines/cone_search',
      null,
      [
        /^fault routines of ztf_alerts: analysts miss cone_search: make it with the stack of infra\/$/,
      ],
    ],
    [
      'a topic keeps its messages anywhere, and none that is acked',
      'projects/p/topics/ztf_ledger',
      { messageStoragePolicy: null, messageRetentionDuration: null },
      [
        /^note topic ztf_ledger: keeps nothing .*; keeps its messages wherever .*message storage policy/,
      ],
    ],
    [
      'the ledger’s table has other columns',
      'projects/p/subscriptions/ztf_ledger-table',
      {
        bigqueryConfig: {
          table: 'p.ztf_alerts.ledger',
          useTableSchema: true,
          state: 'SCHEMA_MISMATCH',
        },
      },
      [
        /^fault subscription ztf_ledger-table: nothing arrives in p\.ztf_alerts\.ledger \(SCHEMA_MISMATCH\): its columns/,
      ],
    ],
    [
      'a counter is missing',
      'projects/p/subscriptions/ztf_salt2-counter',
      null,
      [
        /^note subscription ztf_salt2-counter: project "p" has no subscription .*: make it with the stack/,
      ],
    ],
    [
      'new objects are not announced',
      'notices of buckets/p_ztf_alert_avro_bucket/1',
      null,
      [
        /^fault notices of p_ztf_alert_avro_bucket: new objects are not announced on ztf_alert_avro_bucket: make/,
      ],
    ],
    [
      'a bucket is elsewhere, and open',
      'buckets/p_ztf-sncosmo',
      { location: 'EU', iamConfiguration: {} },
      [
        /^note bucket p_ztf-sncosmo: public access is not prevented/,
        /^note regions: most is in us-central1, but bucket p_ztf-sncosmo in eu: .*one region$/,
      ],
    ],
    [
      'a table is neither partitioned nor clustered',
      'datasets/ztf_alerts/tables/alerts_v4_02',
      { timePartitioning: undefined, clustering: undefined },
      [
        /^note table ztf_alerts\.alerts_v4_02: it is not partitioned, .*; it is clustered by nothing instead of objectId/,
      ],
    ],
    [
      'a table stands where the view should',
      'datasets/ztf_alerts/tables/alerts',
      { type: 'TABLE' },
      [/^fault table ztf_alerts\.alerts: it is a TABLE and must be the view/],
    ],
    [
      'a function is not deployed',
      'functions/ztf-packets',
      null,
      [/^note function ztf-packets: not deployed: .*nightjar run --cloud/],
    ],
    [
      'a function is of another bundle, unbounded, open and of another project',
      'functions/ztf-packets',
      {
        state: 'FAILED',
        buildConfig: {
          runtime: 'nodejs20',
          source: { storageSource: { object: 'functions/ztf/packets-ffffffffffffffff.zip' } },
        },
        serviceConfig,
      },
      [
        /its state is FAILED.*runs on nodejs20, .*made for nodejs24.*runs packets-f{16}\.zip, here is packets-0123456789abcdef\.zip: run "make bundle".*no maximum of instances.*one message at a time.*ALLOW_ALL.*GOOGLE_CLOUD_PROJECT is "other" and must be "p"/,
      ],
    ],
  ]
  for (const [what, name, rest, said] of amiss) {
    test(`where ${what}`, async () => {
      make()
      assert.ok(double.things.has(name), name)
      change(name, rest)
      const ill = illOf(await look())
      assert.equal(ill.length, said.length, ill.join('\n'))
      for (const [index, pattern] of said.entries()) assert.match(ill[index] ?? '', pattern)
    })
  }

  test('where the reader of named filters is deployed, it is looked at, too', async () => {
    make()
    const packets = `projects/p/subscriptions/${subscriptionName(at, 'alert_data', 'packets')}`
    const filter = `projects/p/subscriptions/${subscriptionName(at, 'alert_data', 'filter')}`
    double.things.set(filter, { ...double.things.get(packets) })
    const [fault, ...others] = illOf(await look())
    assert.match(fault ?? '', /^fault subscription ztf_alert_data-filter: .*filter/)
    assert.deepEqual(others, [])
    double.things.delete(filter)
  })

  test('the double refuses what Google refuses to be asked', async () => {
    make()
    const connected = await openTopics({ project: 'p', emulator: double.grpc })
    const topic = connected.pubsub.topic('ztf_alert_data')
    await assert.rejects(topic.iam.testPermissions(['pubsub.*']), { code: 3 })
    await assert.rejects(topic.iam.testPermissions(['pubsub.subscriptions.consume']), { code: 3 })
    const [none] = await connected.pubsub.topic('absent').iam.testPermissions(['pubsub.topics.get'])
    assert.deepEqual(none, { 'pubsub.topics.get': false })
    await connected.close()
    const { storage } = openStores({ project: 'p', emulator: double.rest })
    await assert.rejects(
      storage.bucket('p-broker_files').iam.testPermissions(['storage.buckets.list']),
    )
  })
})

test('packagesFinding() finds these packages as they are pinned', () => {
  assert.equal(packagesFinding(new URL('../..', import.meta.url).pathname)?.state, 'ok')
})
