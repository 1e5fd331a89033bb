/** The ground that an embedded broker stands on: a survey's topics and buckets, and who reads them. */
import { existsSync } from 'node:fs'

import { stageFilter } from '../core/alert.ts'
import { NightjarError, sentenceOf } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import {
  bucketName,
  subscriptionName,
  topicName,
  type BucketWord,
  type Instance,
  type TopicWord,
} from '../core/names.ts'
import { isFilterStage, noticeTopics, stages, stagesOf, topicsOf } from '../core/pipeline.ts'
import type { Delivery, Store, Subscription, Topic } from '../core/ports.ts'
import { homeAt, makeHome, type Home } from './home.ts'
import type { Journal } from './journal.ts'
import type { Messages } from './messages.ts'
import { openStore } from './store.ts'
import { openSubscription } from './subscription.ts'
import { openTopic } from './topic.ts'
import { openTopics } from './topics.ts'

/** The answers of a home directory to the ports, by the words of the pipeline. */
export interface Ground {
  home: Home
  at: Instance
  journal: Journal
  messages: Messages
  topic(word: TopicWord): Promise<Topic>
  subscription(word: TopicWord, reader: string): Promise<Subscription>
  bucket(word: BucketWord): Promise<Store>
  close(): Promise<void>
}

/** Open the topics, subscriptions and buckets of a home; all stages' subscriptions come to exist. */
export async function openGround(path: string, at: Instance): Promise<Ground> {
  const home = makeHome(path)
  const topics = await openTopics(home)
  const { journal, messages } = topics
  const ground: Ground = {
    home,
    at,
    journal,
    messages,
    topic: (word) => openTopic(messages, topicName(at, word)),
    subscription: (word, reader) =>
      openSubscription({
        journal,
        messages,
        topic: topicName(at, word),
        name: subscriptionName(at, word, reader),
        filter: reader in stages || isFilterStage(reader) ? stageFilter(reader) : '',
      }),
    bucket: (word) =>
      openStore({
        journal,
        messages,
        folder: home.buckets,
        bucket: bucketName(at, word),
        ...(noticeTopics[word] && { noticeTopic: topicName(at, noticeTopics[word]) }),
      }),
    close: topics.close,
  }
  for (const word of topicsOf(at.survey)) await ground.topic(word)
  for (const stage of stagesOf(at.survey)) await ground.subscription(stages[stage].reads, stage)
  await ground.subscription('ledger', 'table')
  await ground.subscription('dead_letter', 'replay')
  return ground
}

/** Open a home that is there already: a mistyped one is an error, not a new home. */
export function openKnownGround(path: string, at: Instance): Promise<Ground> {
  const { journal, path: full } = homeAt(path)
  if (existsSync(journal)) return openGround(path, at)
  throw new NightjarError(
    'home_unusable',
    `Cannot find a home in "${full}": no broker has run there; see --home, or run "nightjar run" first`,
  )
}

/** Someone who receives from a subscription; resolving acks. */
export interface Reader {
  name: string
  subscription: Subscription
  onDelivery: (delivery: Delivery) => Promise<unknown>
  maxMessages?: number
  maxBytes?: number
}

export interface Running {
  /** Rejects if a reader can go on no more. */
  failed: Promise<never>
  /** Stop the readers, in their order, each when what it has under way is done. */
  close(): Promise<void>
}

/** Let readers receive until they are closed. */
export function startReaders(readers: readonly Reader[], log: Log): Running {
  let fail: (error: unknown) => void = () => {}
  const failed = new Promise<never>((_, reject) => (fail = reject))
  failed.catch(() => {})
  const running = readers.map(({ name, subscription, onDelivery, ...limits }) => {
    const stop = new AbortController()
    const handle = async (delivery: Delivery): Promise<void> => void (await onDelivery(delivery))
    const options = { signal: stop.signal, ...limits }
    const done = subscription.receive(handle, options).catch((error: unknown) => {
      log('stage_failed', { stage: name, reason: sentenceOf(error) })
      fail(error)
    })
    return { stop, done }
  })
  return {
    failed,
    async close() {
      for (const { stop, done } of running) {
        stop.abort()
        await done
      }
    },
  }
}

const sweepMs = 1000
const sweepMost = 4000

/** Forget, again and again, what every subscription has acked; answers how to stop. */
export function startSweeping({ messages }: Ground): () => void {
  const sweep = (): void => void messages.sweep(sweepMost).catch(() => {})
  const timer = setInterval(sweep, sweepMs)
  return () => clearInterval(timer)
}

/** Every subscription that a broker of a survey reads, in the order of the pipeline, ledger last. */
export async function brokerSubscriptions(
  ground: Ground,
): Promise<{ name: string; subscription: Subscription }[]> {
  const found = []
  for (const name of stagesOf(ground.at.survey)) {
    found.push({ name, subscription: await ground.subscription(stages[name].reads, name) })
  }
  return [...found, { name: 'ledger', subscription: await ground.subscription('ledger', 'table') }]
}
