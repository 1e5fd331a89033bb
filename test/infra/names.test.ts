/** What programs open at run time, by their own code, against what the stack makes and grants. */
import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { ledgerReader, relayTo, sharedReaders, type Pipeline } from '../../cli/wiring.ts'
import {
  bucketName,
  datasetName,
  subscriptionName,
  surveys,
  topicName,
  type Instance,
} from '../../core/names.ts'
import { counter, countedTopics } from '../../core/pipeline.ts'
import type { Store, Subscription, Table, Topic } from '../../core/ports.ts'
import { everyReaderOf } from '../../infra/context.ts'
import { production, skipWithoutPackages, synthesised, type Fields } from './stacks.ts'

const options = { skip: skipWithoutPackages }
const config = { ...production, instance: 'rc1' }

interface Opened {
  topics: Set<string>
  subscriptions: Set<string>
  buckets: Set<string>
  table: boolean
}

/** A ground on which nothing happens but that the names of what is opened are written down. */
function recording(at: Instance): { ground: Pipeline; table: Table; opened: Opened } {
  const opened: Opened = {
    ...{ topics: new Set(), subscriptions: new Set(), buckets: new Set(), table: false },
  }
  const topic: Topic = { publish: async () => '1', close: async () => {} }
  const subscription: Subscription = {
    receive: async () => {},
    backlog: async () => ({ messages: 0, bytes: 0 }),
    close: async () => {},
  }
  const store: Store = {
    create: () => Promise.reject(new Error('nothing is stored here')),
    replace: () => Promise.reject(new Error('nothing is stored here')),
    read: async () => null,
    async *list() {},
  }
  const table: Table = { append: async () => 'stored', async *query() {}, close: async () => {} }
  return {
    opened,
    table,
    ground: {
      at,
      home: { schemas: join(tmpdir(), 'nightjar-no-schemas') },
      async topic(word) {
        opened.topics.add(topicName(at, word))
        return topic
      },
      async subscription(word, reader) {
        opened.subscriptions.add(subscriptionName(at, word, reader))
        return subscription
      },
      async bucket(word) {
        opened.buckets.add(bucketName(at, word))
        return store
      },
    },
  }
}

const instanceOf = (survey: Instance['survey']): Instance => ({
  ...{ survey, project: config.project, instance: config.instance },
})

/** Names of the stack's resources of a kind, with their ids there. */
async function made(type: string, key: string): Promise<Map<string, string>> {
  const { resources } = await synthesised(config)
  const found = Object.entries(resources[type] ?? {})
  return new Map(found.map(([id, fields]) => [String(fields[key]), id]))
}

test('each reader finds what it opens, and may do with it what it does', options, async () => {
  const { resources } = await synthesised(config)
  const topics = await made('google_pubsub_topic', 'name')
  const buckets = await made('google_storage_bucket', 'name')
  const subscriptions = await made('google_pubsub_subscription', 'name')
  const holds = (type: string, on: string, account: string): Fields[] =>
    Object.values(resources[type] ?? {}).filter((grant) => {
      const { member, topic, bucket, dataset_id: dataset } = grant
      const thing = String(topic ?? bucket ?? dataset)
      return thing.includes(`.${on}.`) && String(member).includes(`.${account}.email`)
    })
  for (const survey of surveys) {
    const at = instanceOf(survey)
    for (const reader of everyReaderOf(survey, config)) {
      const { ground, table, opened } = recording(at)
      await sharedReaders(ground, [reader], () => {}, {}, table)
      const account = `account-${survey}-${reader.name}`
      for (const name of opened.topics) {
        const [grant] = holds('google_pubsub_topic_iam_member', topics.get(name) ?? name, account)
        assert.equal(grant?.['role'], 'roles/pubsub.publisher', `${account} on ${name}`)
      }
      for (const name of opened.buckets) {
        const found = holds('google_storage_bucket_iam_member', buckets.get(name) ?? name, account)
        assert.ok(found.length > 0, `${account} on ${name}`)
      }
      for (const name of opened.subscriptions) assert.ok(subscriptions.has(name), name)
    }
  }
})

test('what exists and what the programs open are the same names', options, async () => {
  const topics = new Set<string>()
  const subscriptions = new Set<string>()
  const buckets = new Set<string>()
  for (const survey of surveys) {
    const at = instanceOf(survey)
    const { ground, table, opened } = recording(at)
    await sharedReaders(ground, everyReaderOf(survey, config), () => {}, {}, table)
    await relayTo(ground, () => {})
    await ledgerReader(ground, table)
    // The bucket announces its objects, the conductor its nights, and replay takes up the dead letters.
    await ground.topic('alert_avro_bucket')
    await ground.topic('night')
    await ground.subscription('dead_letter', 'replay')
    // What is for people and other programs, and nobody of ours reads.
    for (const word of countedTopics(survey)) await ground.subscription(word, counter)
    // LSST's stages draw nothing yet; the bucket stands for the day they do.
    await ground.bucket('sncosmo')
    for (const name of opened.topics) topics.add(name)
    for (const name of opened.subscriptions) subscriptions.add(name)
    for (const name of opened.buckets) buckets.add(name)
  }
  const sorted = (names: Iterable<string>): string[] => [...names].sort()
  const found = async (type: string, key = 'name'): Promise<string[]> =>
    sorted((await made(type, key)).keys())
  assert.deepEqual(await found('google_pubsub_topic'), sorted(topics))
  assert.deepEqual(await found('google_pubsub_subscription'), sorted(subscriptions))
  assert.deepEqual(await found('google_storage_bucket'), sorted(buckets))
  assert.deepEqual(
    await found('google_bigquery_dataset', 'dataset_id'),
    sorted(surveys.map((survey) => datasetName(instanceOf(survey)))),
  )
})

test(
  'a function is told the survey, the instance and the project that it serves',
  options,
  async () => {
    const { resources } = await synthesised(config)
    const functions = Object.entries(resources['google_cloudfunctions2_function'] ?? {})
    // Every reader of each survey, and the conductor of one.
    assert.equal(
      functions.length,
      surveys.flatMap((survey) => everyReaderOf(survey, config)).length + 1,
    )
    for (const [id, { service_config: service }] of functions) {
      const { environment_variables: told } = service as { environment_variables: Fields }
      assert.equal(told['GOOGLE_CLOUD_PROJECT'], config.project, id)
      assert.equal(told['NIGHTJAR_INSTANCE'], config.instance, id)
      assert.ok(
        surveys.some(
          (survey) => id.startsWith(`function-${survey}-`) && told['NIGHTJAR_SURVEY'] === survey,
        ),
        id,
      )
    }
  },
)
