/**
 * A subscriber's own subscription: made in the subscriber's project, of a topic that may be another
 * project's (Pub/Sub docs, "Cross-project subscriptions": the topic's owner grants
 * `roles/pubsub.subscriber` on the topic, the subscriber pays for deliveries).
 */
import type { Subscription } from '../core/ports.ts'
import { fault, kindOfFault } from './faults.ts'
import { openSubscription } from './subscription.ts'
import { checkResourceName, type Topics } from './topics.ts'

export interface ReaderOptions {
  topics: Topics
  topic: string
  /** The project of the topic, where it is not the subscriber's own. */
  topicProject?: string
  name: string
  filter?: string
  /** True: deleted when it is closed. */
  passing?: boolean
  /** True: what was rejected comes again after a second, and later each time. */
  backOff?: boolean
}

/** Pub/Sub deletes a subscription that nobody has read for so long; a day is the least. */
const expireDays = 31

/** Open the subscription, made where there is none. */
export async function openReader(options: ReaderOptions): Promise<Subscription> {
  const { topics, topic, topicProject = topics.project, name, filter } = options
  const { passing = false, backOff = false } = options
  const attempted = {
    deed: `subscribe to topic "${topic}" as "${name}"`,
    thing: `topic "${topic}"`,
    project: topicProject,
    role: 'roles/pubsub.subscriber',
  }
  const path = `projects/${topicProject}/topics/${checkResourceName('topic', topic)}`
  try {
    await topics.pubsub.createSubscription(path, checkResourceName('subscription', name), {
      ackDeadlineSeconds: 60,
      expirationPolicy: { ttl: { seconds: (passing ? 1 : expireDays) * 86_400 } },
      ...(filter !== undefined && { filter }),
      ...(backOff && {
        retryPolicy: { minimumBackoff: { seconds: 1 }, maximumBackoff: { seconds: 60 } },
      }),
    })
  } catch (error) {
    if (kindOfFault(error) !== 'exists') throw fault('source_failed', error, attempted)
  }
  const subscription = await openSubscription({ topics, name })
  return {
    ...subscription,
    async close() {
      await subscription.close()
      if (passing)
        await topics.pubsub
          .subscription(name)
          .delete()
          .catch(() => {})
    },
  }
}
