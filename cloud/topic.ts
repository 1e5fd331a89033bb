/**
 * Google's answer to the Topic port. Batches are our own, not the SDK's: what counts against the limit
 * is the request as it goes over the wire, and one message that Pub/Sub refuses fails its whole request,
 * so a refused batch is halved until the bad one is alone.
 *
 * No ordering keys: alerts are independent, and a key takes 1 MB/s and stands still after an error.
 */
import { NightjarError } from '../core/errors.ts'
import { checkMessage, messageBytes } from '../core/limits.ts'
import type { Message, Topic } from '../core/ports.ts'
import { createBatches } from './batches.ts'
import { fault, kindOfFault, saidBy, type Attempted } from './faults.ts'
import { retryPassing } from './retry.ts'
import { checkResourceName, type Topics } from './topics.ts'

export interface TopicOptions {
  /** How long a message waits for company while nothing is under way. */
  lingerMs?: number
  /** Requests under way at once; what is published beyond waits its turn. */
  maxRequests?: number
  /** When an attempt counts as unanswered. */
  attemptMs?: number
  /** How long a message is tried before `publish_failed`; its publisher may try again. */
  giveUpMs?: number
}

/** Pub/Sub takes requests of 10 MB and 1,000 messages (its quotas page); a tenth is kept as margin. */
const maxRequestBytes = 9_000_000
const maxRequestMessages = 1000
/** Requests of this size go without waiting for the one before: latency would bound them, not size. */
const fullBytes = 1_000_000

interface Pending {
  message: Message
  bytes: number
  until: number
  resolve(id: string): void
  reject(error: NightjarError): void
}

/** Open a topic, which must exist: infra/ makes it. A missing one is told at the first publish. */
export async function openTopic(
  { publisher, project, ready }: Topics,
  name: string,
  options: TopicOptions = {},
): Promise<Topic> {
  const { lingerMs = 5, maxRequests = 8, attemptMs = 15_000, giveUpMs = 60_000 } = options
  const topic = `projects/${project}/topics/${checkResourceName('topic', name)}`
  const attempted: Attempted = {
    deed: `publish to topic "${name}"`,
    thing: `topic "${name}"`,
    project,
    role: 'roles/pubsub.publisher',
  }
  let closed = false
  const batches = createBatches<Pending>({
    send: publishBatch,
    bytesOf: ({ bytes }) => bytes,
    maxItems: maxRequestMessages,
    maxBytes: maxRequestBytes,
    fullBytes,
    lingerMs,
    maxRequests,
  })

  /** Settle every message of a batch; never rejects. */
  async function publishBatch(batch: readonly Pending[]): Promise<void> {
    try {
      const ids = await send(batch)
      if (ids.length !== batch.length) {
        throw new Error(`Pub/Sub answered ${ids.length} ids for ${batch.length} messages`)
      }
      for (const [at, { resolve }] of batch.entries()) resolve(ids[at] as string)
    } catch (error) {
      if (kindOfFault(error) !== 'invalid') {
        for (const { reject } of batch) reject(fault('publish_failed', error, attempted))
      } else if (batch.length > 1) {
        const half = batch.length >> 1
        await Promise.all([publishBatch(batch.slice(0, half)), publishBatch(batch.slice(half))])
      } else {
        batch[0]?.reject(refusal(error, attempted))
      }
    }
  }

  async function send(batch: readonly Pending[]): Promise<string[]> {
    const messages = batch.map(({ message: { data, attributes } }) => ({ data, attributes }))
    const until = Math.max(...batch.map((pending) => pending.until))
    await ready()
    return retryPassing(async (leftMs) => {
      const options = { timeout: Math.min(attemptMs, leftMs), retry: null }
      const [{ messageIds }] = await publisher.publish({ topic, messages }, options)
      return messageIds ?? []
    }, until)
  }

  return {
    async publish(message) {
      checkMessage(message)
      if (closed) {
        throw new NightjarError('publish_failed', `Cannot ${attempted.deed}: it is closed`)
      }
      return new Promise((resolve, reject) => {
        const bytes = wireBytes(message)
        batches.add({ message, bytes, until: performance.now() + giveUpMs, resolve, reject })
      })
    },
    async close() {
      closed = true
      await batches.drain()
    },
  }
}

/**
 * The most that a message takes in a request: each attribute is an entry of a map with two lengths and
 * three tags, a message has its own (protobuf.dev, "Encoding").
 */
function wireBytes(message: Message): number {
  let attributes = 0
  for (const _ in message.attributes) attributes++
  return messageBytes(message) + 12 * attributes + 12
}

/** Pub/Sub will never take this message. */
function refusal(error: unknown, { deed }: Attempted): NightjarError {
  const said = saidBy(error)
  // Attributes were checked before; what is left is what only Pub/Sub knows, such as a topic's schema.
  const code = /too large|exceeds/i.test(said) ? 'message_too_large' : 'input_invalid'
  return new NightjarError(code, `Cannot ${deed}: Pub/Sub refuses the message: ${said}`, {
    cause: error,
  })
}
