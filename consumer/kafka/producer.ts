/** A producer to one topic of Kafka: what is sent is on every replica that is in step when `send` resolves. */
import type { Kafka } from 'kafkajs'

import { NightjarError, sentenceOf } from '../../core/errors.ts'

export interface Outgoing {
  key: string
  value: Uint8Array
  headers: Readonly<Record<string, string>>
}

export interface Producer {
  /** Rejects with `publish_failed`, to be tried again. */
  send(record: Outgoing): Promise<void>
  close(): Promise<void>
}

/** Connect. Rejects with `source_failed` where no broker answers. */
export async function openProducer(kafka: Kafka, topic: string): Promise<Producer> {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  try {
    await producer.connect()
  } catch (cause) {
    throw new NightjarError('source_failed', `Cannot produce to "${topic}": ${sentenceOf(cause)}`, {
      cause,
    })
  }
  return {
    async send({ key, value, headers }) {
      try {
        const bytes = Buffer.from(value)
        await producer.send({
          topic,
          acks: -1,
          messages: [{ key, value: bytes, headers: { ...headers } }],
        })
      } catch (cause) {
        const why = `Cannot produce to "${topic}": ${sentenceOf(cause)}`
        throw new NightjarError('publish_failed', why, { cause })
      }
    },
    close: () => producer.disconnect(),
  }
}
