/**
 * The whole broker in one process: every topic, bucket and table of a survey in one home directory,
 * and every stage of the pipeline subscribed to what it reads.
 */
import { stageFilter } from '../core/alert.ts'
import { sentenceOf } from '../core/errors.ts'
import { ledgerRow } from '../core/ledger.ts'
import type { Log } from '../core/log.ts'
import {
  bucketName,
  datasetName,
  subscriptionName,
  topicName,
  type BucketWord,
  type Instance,
  type TopicWord,
} from '../core/names.ts'
import { noticeTopics, stages, stagesOf, topicsOf, type StageName } from '../core/pipeline.ts'
import type { Delivery, Store, Subscription, Table, Topic } from '../core/ports.ts'
import { makeHome, takeHome, type Home } from './home.ts'
import type { Journal } from './journal.ts'
import type { Messages } from './messages.ts'
import { openStore } from './store.ts'
import { openSubscription } from './subscription.ts'
import { openTable } from './table.ts'
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
        filter: reader in stages ? stageFilter(reader) : '',
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

/** What a stage does with a delivery; resolving acks it. */
export type OnDelivery = (delivery: Delivery) => Promise<unknown>

export interface BrokerOptions {
  ground: Ground
  /** Answers what a stage does, given the table of the survey. */
  handlerOf: (stage: StageName, table: Table) => Promise<OnDelivery>
  log: Log
}

export interface Broker {
  table: Table
  /** Messages that wait or are under way, by subscription. */
  backlog(): Promise<Record<string, { messages: number; bytes: number }>>
  /** Resolves when every stage has done what there was and the ledger has landed. */
  idle(signal: AbortSignal): Promise<void>
  /** Rejects if a stage can go on no more. */
  failed: Promise<never>
  /** Finish what is under way and close. */
  close(): Promise<void>
}

const sweepMs = 1000
const sweepMost = 4000

/** Run every stage of a survey in a home directory that no other broker uses. */
export async function startBroker({ ground, handlerOf, log }: BrokerOptions): Promise<Broker> {
  const { home, at, messages } = ground
  const release = takeHome(home)
  const stop = new AbortController()
  const table = await openTable({ file: home.warehouse, dataset: datasetName(at) })
  const readers = new Map<string, { subscription: Subscription; onDelivery: OnDelivery }>()
  for (const stage of stagesOf(at.survey)) {
    const subscription = await ground.subscription(stages[stage].reads, stage)
    readers.set(stage, { subscription, onDelivery: await handlerOf(stage, table) })
  }
  readers.set('ledger', {
    subscription: await ground.subscription('ledger', 'table'),
    onDelivery: ({ data }) => table.append(ledgerRow(data)),
  })

  let fail: (error: unknown) => void = () => {}
  const failed = new Promise<never>((_, reject) => (fail = reject))
  failed.catch(() => {})
  // Stages end before the ledger's reader, so that their last events land.
  const stopLedger = new AbortController()
  const running = [...readers].map(async ([name, { subscription, onDelivery }]) => {
    const { signal } = name === 'ledger' ? stopLedger : stop
    const limits = name === 'ledger' ? { maxMessages: 4000 } : {}
    try {
      await subscription.receive(async (delivery) => void (await onDelivery(delivery)), {
        signal,
        ...limits,
      })
    } catch (error) {
      log('stage_failed', { stage: name, reason: sentenceOf(error) })
      fail(error)
    }
  })
  const sweeper = setInterval(() => {
    messages.sweep(sweepMost).catch((error: unknown) => fail(error))
  }, sweepMs)
  log('broker_started', { home: home.path, survey: at.survey, stages: [...readers.keys()] })

  async function backlog(): Promise<Record<string, { messages: number; bytes: number }>> {
    const found: Record<string, { messages: number; bytes: number }> = {}
    for (const [name, { subscription }] of readers) found[name] = await subscription.backlog()
    return found
  }

  return {
    table,
    backlog,
    failed,
    async idle(signal) {
      while (!signal.aborted) {
        const waiting = Object.values(await backlog())
        if (waiting.every(({ messages: count }) => count === 0)) return
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    },
    async close() {
      clearInterval(sweeper)
      stop.abort()
      await Promise.all(running.slice(0, -1))
      stopLedger.abort()
      await Promise.all(running)
      await table.close()
      release()
    },
  }
}
