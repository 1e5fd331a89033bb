/**
 * Events of the control plane on Pub/Sub, as `control/exchange.ts` wants them. A topic of events is made
 * where there is none; a receiver is a subscription of its own that is deleted when it is closed (a day
 * after its last reader where it never is), a queue one that all its dequeuers share. Pub/Sub deletes it
 * after 31 days without any.
 */
import { eventTopicName, type Instance } from '../core/names.ts'
import type { Subscription, Topic } from '../core/ports.ts'
import { fault, kindOfFault } from './faults.ts'
import { openReader } from './reader.ts'
import { openTopic } from './topic.ts'
import { checkResourceName, type Topics } from './topics.ts'

export interface ExchangeOptions {
  topics: Topics
  at: Instance
}

/** Topics, queues and who reads them, by their names. */
export function openExchange({ topics, at }: ExchangeOptions): {
  topic(name: string): Promise<Topic>
  queue(name: string): Promise<Topic>
  receiver(topic: string, receiver: string): Promise<Subscription>
  dequeuer(queue: string): Promise<Subscription>
} {
  const topicOf = (name: string): string => eventTopicName(at, 'topic', name)
  const queueOf = (name: string): string => eventTopicName(at, 'queue', name)

  async function made(topic: string): Promise<Topic> {
    try {
      await topics.ready()
      await topics.pubsub.createTopic(checkResourceName('topic', topic))
    } catch (error) {
      if (kindOfFault(error) !== 'exists') {
        throw fault('source_failed', error, {
          deed: `make topic "${topic}"`,
          thing: `topic "${topic}"`,
          project: topics.project,
          role: 'roles/pubsub.editor',
        })
      }
    }
    return openTopic(topics, topic)
  }

  return {
    topic: (name) => made(topicOf(name)),
    queue: (name) => made(queueOf(name)),
    receiver: (name, receiver) =>
      openReader({
        topics,
        topic: topicOf(name),
        name: `${topicOf(name)}-${receiver}`,
        passing: true,
      }),
    dequeuer: (name) =>
      // What a selector leaves for others comes again, and not at once.
      openReader({
        topics,
        topic: queueOf(name),
        name: `${queueOf(name)}-dequeuer`,
        backOff: true,
      }),
  }
}
