/** What the channels of a gateway stand for in a home: topics by prefix, and its alert topics. */
import { openAlert } from '../client/alert.ts'
import { NightjarError } from '../core/errors.ts'
import { redeem } from '../core/claim.ts'
import { channelTopicName, isFilterTopic, topicName } from '../core/names.ts'
import { topicsOf } from '../core/pipeline.ts'
import type { Delivery, Store, Subscription } from '../core/ports.ts'
import type { Feed, FeedOf, Told } from '../gateways/hpfeeds/channels.ts'
import type { Ground } from '../local/broker.ts'
import { openSubscription } from '../local/subscription.ts'
import { openTopic } from '../local/topic.ts'
import { toJson } from './query.ts'
import { describe } from './subscribe.ts'

/** Channels of this kind carry the home's own topics; no key lets anybody publish to them. */
const ours = 'nightjar.'
const asIs = '.avro'

/** The subscription of a gateway that was killed is forgotten after this. */
const expireMs = 60_000

/** Make the look-up of channels in a home. */
export async function homeFeeds(ground: Ground, prefix: string): Promise<FeedOf> {
  const { at, journal, messages } = ground
  const claims = await ground.bucket('broker_files')
  const topics = new Set(topicsOf(at.survey).map((word) => topicName(at, word)))
  let made = 0

  const subscribeTo = (topic: string): Promise<Subscription> =>
    openSubscription({
      journal,
      messages,
      topic,
      name: `${topic}-gateway-${process.pid}-${Date.now()}-${++made}`,
      filter: '',
      expireMs,
    })

  return async function feedOf(channel): Promise<Feed | undefined> {
    if (channel.startsWith(ours)) {
      const name = channel.slice(ours.length)
      const whole = name.endsWith(asIs)
      const topic = whole ? name.slice(0, -asIs.length) : name
      const named = isFilterTopic(at, topic) && messages.topicNames().includes(topic)
      if (!topics.has(topic) && !named) return undefined
      return {
        subscribe: () => subscribeTo(topic),
        tell: (delivery) => tellAlert(delivery, claims, whole),
      }
    }
    const name = channelTopicName(at, prefix, channel)
    if (topics.has(name) || isFilterTopic(at, name)) {
      throw new NightjarError(
        'config_invalid',
        `Cannot use channel "${channel}": with prefix "${prefix}" it would be topic "${name}"`,
      )
    }
    const topic = await openTopic(messages, name)
    return {
      publish: topic.publish,
      subscribe: () => subscribeTo(name),
      // What other programs publish on the topic has no ident.
      tell: ({ data, attributes }) => ({ ident: attributes['ident'] ?? 'nightjar', payload: data }),
    }
  }
}

async function tellAlert(delivery: Delivery, claims: Store, whole: boolean): Promise<Told> {
  const payload = whole
    ? (await redeem(delivery, claims)).data
    : Buffer.from(toJson(describe(await openAlert(delivery, claims), false)))
  return { ident: 'nightjar', payload }
}
