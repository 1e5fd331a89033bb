/**
 * Claim check: bytes too large for a message wait in a bucket, and the message carries their name.
 * Kafka lets 10,485,760 bytes through, Pub/Sub 10,000,000: without this the difference would be lost.
 */
import { NightjarError } from './errors.ts'
import { maxMessageBytes, messageBytes } from './limits.ts'
import type { Message, Store, Topic } from './ports.ts'

const claimAttribute = 'nightjar_claim'

/** The largest packet that is taken at all: it must be held in memory whole. */
export const maxPacketBytes = 64 << 20

/** Publish a message; one that is too large leaves its data in the bucket under `name` first. */
export async function publishWithClaim(
  topic: Topic,
  claims: Store,
  name: string,
  message: Message,
): Promise<string> {
  if (messageBytes(message) <= maxMessageBytes) return topic.publish(message)
  await claims.create(`claims/${name}`, message.data)
  return topic.publish({
    data: new Uint8Array(),
    attributes: { ...message.attributes, [claimAttribute]: `claims/${name}` },
  })
}

/** The message whole: its data fetched from the bucket where only a claim came. */
export async function redeem(message: Message, claims: Store): Promise<Message> {
  const { [claimAttribute]: name, ...attributes } = message.attributes
  if (name === undefined) return { data: message.data, attributes }
  const found = await claims.read(name)
  if (found === null) {
    throw new NightjarError('store_failed', `Cannot redeem claim "${name}": no such object`)
  }
  return { data: found.data, attributes }
}
