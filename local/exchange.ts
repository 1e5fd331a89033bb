/**
 * Events of the control plane on the topics of a home, as `control/exchange.ts` wants them. What nobody
 * takes is not kept for ever: a receiver that was not closed is forgotten after a day, a queue after 31
 * days in which nobody took from it, both as Pub/Sub does.
 */
import { setTimeout as pause } from 'node:timers/promises'

import { NightjarError } from '../core/errors.ts'
import { eventTopicName, type Instance } from '../core/names.ts'
import type { Subscription, Topic } from '../core/ports.ts'
import { openSubscription } from './subscription.ts'
import { openTopic } from './topic.ts'
import type { Topics } from './topics.ts'

const dayMs = 86_400_000

/** A dequeuer has the subscription for so long, and then leaves it to others of this machine. */
const turnMs = 500
/** How often it looks whether it is its turn, and how long it stands back after one. */
const betweenMs = 20

export interface ExchangeOptions {
  topics: Pick<Topics, 'journal' | 'messages'>
  at: Instance
  /** How long a receiver, or a queue, may go without anybody receiving. */
  receiverIdleMs?: number
  queueIdleMs?: number
}

/** Topics, queues and who reads them, by their names. */
export function openExchange(options: ExchangeOptions): {
  topic(name: string): Promise<Topic>
  queue(name: string): Promise<Topic>
  receiver(topic: string, receiver: string): Promise<Subscription>
  dequeuer(queue: string): Promise<Subscription>
} {
  const { topics, at, receiverIdleMs = dayMs, queueIdleMs = 31 * dayMs } = options
  const topicOf = (name: string): string => eventTopicName(at, 'topic', name)
  const queueOf = (name: string): string => eventTopicName(at, 'queue', name)
  return {
    topic: (name) => openTopic(topics.messages, topicOf(name)),
    queue: (name) => openTopic(topics.messages, queueOf(name)),
    receiver: (name, receiver) =>
      openSubscription({
        ...topics,
        topic: topicOf(name),
        name: `${topicOf(name)}-${receiver}`,
        expireMs: receiverIdleMs,
      }),
    async dequeuer(name) {
      const topic = queueOf(name)
      const subscription = await openSubscription({
        ...topics,
        ...{ topic, name: `${topic}-dequeuer`, expireMs: queueIdleMs },
      })
      return {
        ...subscription,
        receive: (handle, options) => receiveInTurns(subscription, handle, options),
        // The queue goes on without whoever took from it.
        async close() {},
      }
    },
  }
}

/** Only one may receive from a subscription of a home at a time: take turns with other dequeuers. */
async function receiveInTurns(
  subscription: Subscription,
  handle: Parameters<Subscription['receive']>[0],
  options: Parameters<Subscription['receive']>[1],
): Promise<void> {
  const { signal } = options
  while (!signal.aborted) {
    const turn = AbortSignal.any([signal, AbortSignal.timeout(turnMs)])
    try {
      await subscription.receive(handle, { ...options, signal: turn })
      // Longer than others take to look.
      await pause(2 * betweenMs, undefined, { signal }).catch(() => {})
    } catch (error) {
      if (!(error instanceof NightjarError && error.code === 'home_busy')) throw error
      await pause(betweenMs, undefined, { signal }).catch(() => {})
    }
  }
}
