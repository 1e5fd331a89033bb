/**
 * The ground that the pipeline stands on in Google Cloud: topics, subscriptions and buckets of one
 * instance by the pipeline's words. Each SDK is loaded when something of it is first asked for, so that
 * a function that needs Pub/Sub alone starts without the others.
 */
import { variables, type Environment } from '../core/environment.ts'
import {
  bucketName,
  subscriptionName,
  topicName,
  type BucketWord,
  type Instance,
  type TopicWord,
} from '../core/names.ts'
import type { Store, Subscription, Topic } from '../core/ports.ts'

export interface CloudGround {
  at: Instance
  topic(word: TopicWord): Promise<Topic>
  subscription(word: TopicWord, reader: string): Promise<Subscription>
  bucket(word: BucketWord): Promise<Store>
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

  return {
    at,
    topic: (word) =>
      once(`topic ${word}`, async () => {
        const [{ openTopic }, topics] = await Promise.all([import('./topic.ts'), pubsub()])
        const topic = await openTopic(topics, topicName(at, word))
        closers.push(() => topic.close())
        return topic
      }),
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
    async close() {
      for (const close of closers.reverse()) await close()
    },
  }
}
