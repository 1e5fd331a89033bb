/**
 * The ground that the pipeline stands on in Google Cloud: topics, subscriptions, buckets and tables of
 * one instance by the pipeline's words. Each SDK is loaded when something of it is first asked for, so that
 * a function that needs Pub/Sub alone starts without the others.
 */
import { variables, type Environment } from '../core/environment.ts'
import {
  bucketName,
  datasetName,
  subscriptionName,
  topicName,
  type BucketWord,
  type Instance,
  type TopicWord,
} from '../core/names.ts'
import type { Store, Subscription, Table, Topic } from '../core/ports.ts'

export interface CloudGround {
  at: Instance
  topic(word: TopicWord): Promise<Topic>
  /** A topic of the project by its own name. */
  topicNamed(name: string): Promise<Topic>
  subscription(word: TopicWord, reader: string): Promise<Subscription>
  bucket(word: BucketWord): Promise<Store>
  /** The survey's data set. */
  table(): Promise<Table>
  /** Send what waits and let go of the connections. */
  close(): Promise<void>
}

/** Stand on an instance. Nothing is asked of Google yet; what is missing is told when it is used. */
export function openCloudGround({ at, emulators }: Environment): CloudGround {
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
      const emulator = emulators.pubsub
      const topics = await openTopics({ project, ...(emulator !== undefined && { emulator }) })
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

  const topicNamed = (name: string) =>
    once(`topic ${name}`, async () => {
      const [{ openTopic }, topics] = await Promise.all([import('./topic.ts'), pubsub()])
      const topic = await openTopic(topics, name)
      closers.push(() => topic.close())
      return topic
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
    bucket: (word) =>
      once(`bucket ${word}`, async () => {
        const [{ openStore }, stores] = await Promise.all([import('./store.ts'), storage()])
        return openStore(stores, bucketName(at, word))
      }),
    table: () =>
      once('table', async () => {
        const [{ openTable }, { openDatasets }] = await Promise.all([
          import('./table.ts'),
          import('./datasets.ts'),
        ])
        const { bigquery: rest, bigqueryStorage: grpc } = emulators
        delete process.env[variables.bigquery]
        const datasets = openDatasets({
          project: at.project,
          ...(rest !== undefined && grpc !== undefined && { emulator: { rest, grpc } }),
        })
        const table = await openTable({ datasets, dataset: datasetName(at) })
        closers.push(
          () => datasets.close(),
          () => table.close(),
        )
        return table
      }),
    async close() {
      for (const close of closers.reverse()) await close()
    },
  }
}
