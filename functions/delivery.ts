/** A push request of Pub/Sub, as functions-framework hands it to a function, as a delivery. */
import { NightjarError } from '../core/errors.ts'
import type { Delivery } from '../core/ports.ts'

/** Pub/Sub's PubsubMessage in JSON, as far as it is read ("Receive push messages"). */
interface Pushed {
  data?: unknown
  attributes?: unknown
  messageId?: unknown
  publishTime?: unknown
}

/**
 * Read a delivery from an event. A message comes as `data.message` of a CloudEvent, or, where it has no
 * data of its own (a claim) and the framework does not know it for one, as the request's bare body.
 * `attempt` is 1 where Pub/Sub does not count: it does where the subscription has a dead-letter policy.
 * Throws `input_invalid` for what is no push request.
 */
export function parseDelivery(event: unknown): Delivery {
  const outer = record(event)
  const body = record(outer['message']) === nothing ? record(outer['data']) : outer
  const message: Pushed = record(body['message'])
  const { data = '', attributes = {}, messageId, publishTime } = message
  if (typeof messageId !== 'string' || messageId === '') {
    throw invalid('it carries no message with a messageId')
  }
  if (typeof data !== 'string') throw invalid(`the data of message ${messageId} is no text`)
  const bytes = Buffer.from(data, 'base64')
  // Buffer skips what is not base64; then less comes out than went in.
  if (bytes.length < Math.floor((data.replace(/=+$/, '').length * 3) / 4)) {
    throw invalid(`the data of message ${messageId} is not base64`)
  }
  const entries = Object.entries(record(attributes))
  const published = new Date(typeof publishTime === 'string' ? publishTime : NaN)
  const attempt = Number(body['deliveryAttempt'])
  return {
    id: messageId,
    data: bytes,
    attributes: Object.fromEntries(entries.map(([key, value]) => [key, String(value)])),
    publishedAt: Number.isNaN(published.getTime()) ? new Date(0) : published,
    attempt: Number.isInteger(attempt) && attempt > 0 ? attempt : 1,
  }
}

const nothing: Record<string, unknown> = {}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : nothing
}

function invalid(why: string): NightjarError {
  return new NightjarError('input_invalid', `Cannot read a push request: ${why}`)
}
