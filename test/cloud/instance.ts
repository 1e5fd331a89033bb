/** What infra/ makes of an instance, made on emulators: topics, subscriptions, buckets, the data set. */
import { openDatasets } from '../../cloud/datasets.ts'
import { openStores } from '../../cloud/stores.ts'
import { openTopics } from '../../cloud/topics.ts'
import { stageFilter } from '../../core/alert.ts'
import {
  bucketName,
  datasetName,
  subscriptionName,
  topicName,
  type BucketWord,
  type Instance,
  type TopicWord,
} from '../../core/names.ts'
import { filterReadersOf, readersOf, topicsOf } from '../../core/pipeline.ts'
import { startBigquery, startGcs, startPubsub, type Emulator } from './emulators.ts'

export interface Emulated {
  pubsub: Emulator
  gcs: Emulator
  bigquery: Emulator & { grpc: string }
  /** The environment that leads programs to them. */
  env: Record<string, string>
  /** Make topics and subscriptions, anew after the Pub/Sub emulator has forgotten them. */
  makeTopics(): Promise<void>
  /** End them all. */
  kill(): Promise<void>
}

const buckets: readonly BucketWord[] = ['alert_avro_bucket', 'broker_files', 'sncosmo']

export interface InstanceOptions {
  /** What the Pub/Sub emulator may keep: it has all messages in memory until they are acked. */
  pubsubMb?: number
  /** The stack's is 60; a shorter one has a killed reader's messages come again sooner. */
  ackDeadlineSeconds?: number
  /** Where the BigQuery emulator keeps what it has stored; absent: in memory. */
  bigqueryFolder?: string
  /** Whether the named filters have their readers. */
  filters?: boolean
}

/** Start the three emulators with an instance on them. */
export async function startInstance(
  at: Instance,
  { pubsubMb = 1024, ackDeadlineSeconds = 10, bigqueryFolder, filters }: InstanceOptions = {},
): Promise<Emulated> {
  const pubsub = await startPubsub(pubsubMb)
  const gcs = await startGcs()
  const bigquery = await startBigquery(bigqueryFolder)
  const env = {
    GOOGLE_CLOUD_PROJECT: at.project,
    NIGHTJAR_SURVEY: at.survey,
    NIGHTJAR_INSTANCE: at.instance ?? '',
    PUBSUB_EMULATOR_HOST: pubsub.host,
    STORAGE_EMULATOR_HOST: gcs.host,
    BIGQUERY_EMULATOR_HOST: bigquery.host,
    BIGQUERY_STORAGE_EMULATOR_HOST: bigquery.grpc,
  }

  async function makeTopics(): Promise<void> {
    const topics = await openTopics({ project: at.project, emulator: pubsub.host })
    const subscribe = async (word: TopicWord, reader: string, filter = ''): Promise<void> => {
      const name = subscriptionName(at, word, reader)
      const options = { ackDeadlineSeconds, ...(filter !== '' && { filter }) }
      await topics.pubsub.topic(topicName(at, word)).createSubscription(name, options)
    }
    for (const word of topicsOf(at.survey)) await topics.pubsub.createTopic(topicName(at, word))
    const readers = [...readersOf(at.survey), ...(filters ? filterReadersOf(at.survey) : [])]
    for (const { name, reads, stages } of readers) {
      await subscribe(reads, name, stageFilter(...stages))
    }
    await subscribe('ledger', 'table')
    await subscribe('dead_letter', 'replay')
    await topics.close()
  }

  await makeTopics()
  const { storage } = openStores({ project: at.project, emulator: gcs.host })
  for (const word of buckets) await storage.createBucket(bucketName(at, word))
  const emulator = { rest: bigquery.host, grpc: bigquery.grpc }
  const datasets = openDatasets({ project: at.project, emulator })
  await datasets.bigquery.createDataset(datasetName(at))
  await datasets.close()

  return {
    pubsub,
    gcs,
    bigquery,
    env,
    makeTopics,
    async kill() {
      for (const emulator of [pubsub, gcs, bigquery]) await emulator.kill()
    },
  }
}
