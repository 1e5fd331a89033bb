/**
 * The ground that the pipeline stands on in Google Cloud: topics, subscriptions, buckets and tables of
 * one instance by the pipeline's words. Each SDK is loaded when something of it is first asked for, so that
 * a function that needs Pub/Sub alone starts without the others.
 */
import { variables, type Environment } from '../core/environment.ts'
import { NightjarError } from '../core/errors.ts'
import {
  bucketName,
  datasetName,
  machineName,
  subscriptionName,
  topicName,
  type BucketWord,
  type Instance,
  type TopicWord,
} from '../core/names.ts'
import type { AnyReader, FilterReader } from '../core/pipeline.ts'
import type { Store, Subscription, Table, Topic } from '../core/ports.ts'
import type { CloudMachine } from './machine.ts'
import type { Pushing } from './pausing.ts'
import type { Queries } from './queries.ts'

export interface CloudGround {
  at: Instance
  topic(word: TopicWord): Promise<Topic>
  /** A topic of the project by its own name. */
  topicNamed(name: string): Promise<Topic>
  subscription(word: TopicWord, reader: string): Promise<Subscription>
  bucket(word: BucketWord): Promise<Store>
  /** Whether the instance was deployed with a reader: not every one has those of the named filters. */
  hasReader(reader: AnyReader): Promise<boolean>
  /** Make a filter's topic, on which its reader may publish; answers its name. */
  makeFilterTopic(filter: string, reader: FilterReader): Promise<string>
  /** The survey's data set. */
  table(): Promise<Table>
  /** Let a subscription push again, or have it keep what comes; answers how it stands then. */
  setPush(word: TopicWord, reader: string, on: boolean): Promise<Pushing>
  /** Forget what a subscription holds from before an instant. */
  seek(word: TopicWord, reader: string, instant: Date): Promise<void>
  machine(which: 'consumer' | 'conductor', signal: AbortSignal): Promise<CloudMachine>
  /** The same for questions alone, bounded by what they read. */
  queries(): Promise<Queries>
  /** Send what waits and let go of the connections. */
  close(): Promise<void>
}

/** Stand on an instance. Nothing is asked of Google yet; what is missing is told when it is used. */
export function openCloudGround({ at, emulators, zone }: Environment): CloudGround {
  const opened = new Map<string, Promise<unknown>>()
  const closers: (() => Promise<void>)[] = []

  /** Open a thing once; a failure is forgotten, so that the next one to ask tries again. */
  function once<T>(name: string, open: () => Promise<T>): Promise<T> {
    const known = opened.get(name) as Promise<T> | undefined
    if (known !== undefined) return known
    const opening = open()
    opened.set(name, opening)
    opening.catch(() => opened.delete(name))
    return opening
  }

  const pubsub = () =>
    once('pubsub', async () => {
      const { openTopics } = await import('./topics.ts')
      const { project } = at
      const { pubsub: emulator, monitoring } = emulators
      const topics = await openTopics({
        project,
        ...(emulator !== undefined && { emulator }),
        ...(monitoring !== undefined && { monitoring }),
      })
      closers.unshift(() => topics.close())
      return topics
    })

  const storage = () =>
    once('storage', async () => {
      const { openStores } = await import('./stores.ts')
      const emulator = emulators.storage
      // The SDK reads it, too, and then asks for other paths than the service has.
      delete process.env[variables.storage]
      return openStores({ project: at.project, ...(emulator !== undefined && { emulator }) })
    })

  const datasets = () =>
    once('datasets', async () => {
      const { openDatasets } = await import('./datasets.ts')
      const { bigquery: rest, bigqueryStorage: grpc } = emulators
      delete process.env[variables.bigquery]
      const connection = openDatasets({
        project: at.project,
        ...(rest !== undefined && grpc !== undefined && { emulator: { rest, grpc } }),
      })
      closers.unshift(() => connection.close())
      return connection
    })

  const topicNamed = (name: string) =>
    once(`topic ${name}`, async () => {
      const [{ openTopic }, topics] = await Promise.all([import('./topic.ts'), pubsub()])
      const topic = await openTopic(topics, name)
      closers.push(() => topic.close())
      return topic
    })

  const bucket = (word: BucketWord) =>
    once(`bucket ${word}`, async () => {
      const [{ openStore }, stores] = await Promise.all([import('./store.ts'), storage()])
      return openStore(stores, bucketName(at, word))
    })

  return {
    at,
    topic: (word) => topicNamed(topicName(at, word)),
    topicNamed,
    subscription: (word, reader) =>
      once(`subscription ${word} ${reader}`, async () => {
        const [{ openSubscription }, topics] = await Promise.all([
          import('./subscription.ts'),
          pubsub(),
        ])
        const name = subscriptionName(at, word, reader)
        const subscription = await openSubscription({ topics, name })
        closers.push(() => subscription.close())
        return subscription
      }),
    bucket,
    async hasReader(reader) {
      const { hasReader } = await import('./filter-topics.ts')
      return hasReader(await pubsub(), at, reader)
    },
    async makeFilterTopic(filter, reader) {
      const { makeFilterTopic } = await import('./filter-topics.ts')
      return makeFilterTopic(await pubsub(), at, filter, reader)
    },
    table: () =>
      once('table', async () => {
        const [{ openTable }, data] = await Promise.all([import('./table.ts'), datasets()])
        const table = await openTable({ datasets: data, dataset: datasetName(at) })
        closers.push(() => table.close())
        return table
      }),
    async setPush(word, reader, on) {
      const { pausePush, resumePush } = await import('./pausing.ts')
      const name = subscriptionName(at, word, reader)
      const options = { topics: await pubsub(), store: await bucket('broker_files'), name }
      return on ? resumePush(options) : pausePush(options)
    },
    async seek(word, reader, instant) {
      const { seekTo } = await import('./pausing.ts')
      await seekTo({ topics: await pubsub(), name: subscriptionName(at, word, reader) }, instant)
    },
    async machine(which, signal) {
      const { openMachine } = await import('./machine.ts')
      const name = machineName(at, which)
      const { compute: emulator } = emulators
      if (zone === undefined) {
        throw new NightjarError(
          'config_invalid',
          `Cannot find machine "${name}": ${variables.zone} is not set; it is the zone of infra/, such as us-central1-a`,
        )
      }
      const { project } = at
      return openMachine({ project, zone, name, signal, ...(emulator && { emulator }) })
    },
    queries: () =>
      once('queries', async () => {
        const [{ openQueries }, data] = await Promise.all([import('./queries.ts'), datasets()])
        return openQueries(data, datasetName(at))
      }),
    async close() {
      for (const close of closers.reverse()) await close()
    },
  }
}
