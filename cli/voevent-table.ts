/** What lands VOEvents in the table `voevents` of a home, as the ledger lands in its own. */
import { deadLetter } from '../core/dead-letter.ts'
import { isPermanent } from '../core/errors.ts'
import { channelTopicName } from '../core/names.ts'
import type { Subscription, Table } from '../core/ports.ts'
import type { Ground, Reader } from '../local/broker.ts'
import { openSubscription } from '../local/subscription.ts'
import { openTopic } from '../local/topic.ts'

/** The topic that gateways publish on, unless they are told another. */
export const voeventTopic = 'voevent'

/** What the table is yet to take in: there from the first gateway or the first broker of a home on. */
export async function tableSubscription({ at, journal, messages }: Ground): Promise<Subscription> {
  const topic = channelTopicName(at, '', voeventTopic)
  await openTopic(messages, topic)
  return openSubscription({ journal, messages, topic, name: `${topic}-table`, filter: '' })
}

/** The reader of it. What reads XML is loaded with the first event. */
export async function voeventReader(ground: Ground, table: Table): Promise<Reader> {
  const deadLetters = await ground.topic('dead_letter')
  return {
    name: 'voevents',
    subscription: await tableSubscription(ground),
    async onDelivery(delivery) {
      const { voeventRow } = await import('../gateways/voevent/row.ts')
      try {
        await table.append(voeventRow(delivery))
      } catch (error) {
        if (!isPermanent(error)) throw error
        const at = new Date()
        await deadLetters.publish(deadLetter(delivery, { stage: 'voevents', error, at }))
      }
    },
    maxMessages: 1000,
  }
}
