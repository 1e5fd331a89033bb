/**
 * A Pub/Sub that is as strict as its documentation, where Google's emulator is not. Each rule says where it
 * is written:
 *
 * - Limits ("Quotas and limits", resource limits): a message of 10 MB, a publish request of 10 MB and 1,000
 *   messages, 100 attributes, keys of 256 bytes, values of 1,024 bytes, no empty message.
 * - One message that breaks a rule fails its whole request (REST reference, projects.topics.publish).
 * - Filters ("Filter messages from a subscription"): what does not match is acked by the service.
 * - Leases ("Lease management"): what is not acked before its deadline comes again; a deadline of 0 is a
 *   nack; an ack after the deadline does nothing here, which the documentation allows.
 * - Flow control (StreamingPullRequest): no more outstanding messages and bytes than the client asked for.
 * - Attempts ("Handle message failures"): 1 plus the nacks and lapsed deadlines, where there is a
 *   dead-letter policy, else 0.
 */
import type { ServerDuplexStream } from '@grpc/grpc-js'

import { parseFilter, type AttributeFilter } from '../../../core/filter.ts'
import { serve, status } from './grpc.ts'

interface Published {
  data: Uint8Array
  attributes: Record<string, string>
  messageId: string
  publishTime: { seconds: string; nanos: number }
}

interface PublishRequest {
  topic: string
  messages: Published[]
}

interface PullRequest {
  subscription?: string
  streamAckDeadlineSeconds?: number
  maxOutstandingMessages?: string
  maxOutstandingBytes?: string
  ackIds?: string[]
}

interface AckRequest {
  subscription: string
  ackIds: string[]
  ackDeadlineSeconds?: number
}

type Answer = (error: Error | null, response?: unknown) => void

interface Item {
  message: Published
  attempt: number
  ackId: string
  until: number
  stream: Stream | undefined
}

interface Stream {
  call: ServerDuplexStream<PullRequest, unknown>
  deadlineMs: number
  mostMessages: number
  mostBytes: number
  messages: number
  bytes: number
}

interface Reader {
  topic: string
  matches: AttributeFilter
  counted: boolean
  waiting: Item[]
  out: Map<string, Item>
  streams: Set<Stream>
}

/** What to do with a call instead: throw, or never answer. */
export type Fault = (method: 'publish' | 'pull' | 'acknowledge') => Error | 'silence' | undefined

export interface PubsubDouble {
  host: string
  makeTopic(name: string): void
  makeSubscription(
    topic: string,
    name: string,
    options?: { filter?: string; counted?: boolean },
  ): void
  /** Asked before each call; by default nothing goes wrong. */
  fault: Fault
  /** Publish requests that came, by their number of messages; refused ones, too. */
  requests: number[]
  acked: string[]
  stop(): void
}

const mostRequestBytes = 10_000_000
const mostMessageBytes = 10_000_000

/** Start one, in this process. */
export async function startPubsubDouble(): Promise<PubsubDouble> {
  const topics = new Set<string>()
  const readers = new Map<string, Reader>()
  let ids = 0
  let acks = 0

  function publish({ request }: { request: PublishRequest }, answer: Answer): void {
    double.requests.push(request.messages.length)
    const fault = double.fault('publish')
    if (fault === 'silence') return
    if (fault !== undefined) return answer(fault)
    if (!topics.has(request.topic)) {
      return answer(status(5, `Resource not found (resource=${nameOf(request.topic)}).`))
    }
    const refusal = refusalOf(request)
    if (refusal !== undefined) return answer(status(3, refusal))
    const messageIds = request.messages.map((message) => {
      const messageId = String(++ids)
      const now = Date.now()
      const seconds = String(Math.floor(now / 1000))
      const whole = { ...message, messageId, publishTime: { seconds, nanos: (now % 1000) * 1e6 } }
      for (const reader of readers.values()) {
        if (reader.topic !== request.topic || !reader.matches(message.attributes)) continue
        reader.waiting.push({
          message: whole,
          attempt: 1,
          ackId: '',
          until: 0,
          stream: undefined,
        })
        send(reader)
      }
      return messageId
    })
    answer(null, { messageIds })
  }

  function streamingPull(call: ServerDuplexStream<PullRequest, unknown>): void {
    let reader: Reader | undefined
    let stream: Stream | undefined
    call.on('data', (request: PullRequest) => {
      if (stream !== undefined) {
        if (request.streamAckDeadlineSeconds) {
          stream.deadlineMs = request.streamAckDeadlineSeconds * 1000
        }
        return
      }
      const fault = double.fault('pull')
      if (fault === 'silence') return
      reader = readers.get(request.subscription ?? '')
      if (fault !== undefined || reader === undefined) {
        const name = nameOf(request.subscription ?? '')
        call.emit('error', fault ?? status(5, `Resource not found (resource=${name}).`))
        return
      }
      stream = {
        call,
        deadlineMs: Math.max(request.streamAckDeadlineSeconds ?? 0, 10) * 1000,
        mostMessages: Number(request.maxOutstandingMessages) || Infinity,
        mostBytes: Number(request.maxOutstandingBytes) || Infinity,
        messages: 0,
        bytes: 0,
      }
      reader.streams.add(stream)
      send(reader)
    })
    const leave = (): void => {
      if (stream !== undefined) reader?.streams.delete(stream)
    }
    call.on('end', () => {
      leave()
      call.end()
    })
    call.on('cancelled', leave)
    call.on('error', leave)
  }

  function send(reader: Reader): void {
    for (const stream of reader.streams) {
      for (let at = 0; at < reader.waiting.length && stream.messages < stream.mostMessages;) {
        const item = reader.waiting[at] as Item
        const size = item.message.data.length
        if (stream.messages > 0 && stream.bytes + size > stream.mostBytes) {
          at++
          continue
        }
        reader.waiting.splice(at, 1)
        stream.messages++
        stream.bytes += size
        Object.assign(item, {
          stream,
          ackId: `ack-${++acks}`,
          until: Date.now() + stream.deadlineMs,
        })
        reader.out.set(item.ackId, item)
        const { ackId, message, attempt } = item
        const deliveryAttempt = reader.counted ? attempt : 0
        stream.call.write({ receivedMessages: [{ ackId, message, deliveryAttempt }] })
      }
    }
  }

  function takeBack(reader: Reader, item: Item): void {
    reader.out.delete(item.ackId)
    if (item.stream !== undefined) {
      item.stream.messages--
      item.stream.bytes -= item.message.data.length
    }
  }

  function again(reader: Reader, item: Item): void {
    takeBack(reader, item)
    item.attempt++
    reader.waiting.push(item)
  }

  function acknowledge({ request }: { request: AckRequest }, answer: Answer): void {
    const fault = double.fault('acknowledge')
    if (fault === 'silence') return
    if (fault !== undefined) return answer(fault)
    const reader = readers.get(request.subscription)
    for (const ackId of request.ackIds) {
      const item = reader?.out.get(ackId)
      if (reader === undefined || item === undefined || item.until < Date.now()) continue
      takeBack(reader, item)
      double.acked.push(item.message.messageId)
    }
    if (reader !== undefined) send(reader)
    answer(null, {})
  }

  function modifyAckDeadline({ request }: { request: AckRequest }, answer: Answer): void {
    const reader = readers.get(request.subscription)
    const seconds = request.ackDeadlineSeconds ?? 0
    for (const ackId of request.ackIds) {
      const item = reader?.out.get(ackId)
      if (reader === undefined || item === undefined) continue
      if (seconds === 0) again(reader, item)
      else item.until = Date.now() + seconds * 1000
    }
    if (reader !== undefined) send(reader)
    answer(null, {})
  }

  const lapsing = setInterval(() => {
    const now = Date.now()
    for (const reader of readers.values()) {
      for (const item of reader.out.values()) if (item.until < now) again(reader, item)
      send(reader)
    }
  }, 100)

  const path = '@google-cloud/pubsub-api'
  const { host, stop } = await serve(
    [
      { package: path, path: 'google.pubsub.v1.Publisher', handlers: { publish } },
      {
        package: path,
        path: 'google.pubsub.v1.Subscriber',
        handlers: { streamingPull, acknowledge, modifyAckDeadline, getSubscription },
      },
    ],
    64 << 20,
  )

  function getSubscription(
    { request }: { request: { subscription: string } },
    answer: Answer,
  ): void {
    // The filter is kept here, so that the client has none to apply.
    if (readers.has(request.subscription)) return answer(null, { name: request.subscription })
    answer(status(5, `Resource not found (resource=${nameOf(request.subscription)}).`))
  }

  const double: PubsubDouble = {
    host,
    fault: () => undefined,
    requests: [],
    acked: [],
    makeTopic: (name) => void topics.add(`projects/p/topics/${name}`),
    makeSubscription(topic, name, { filter = '', counted = true } = {}) {
      readers.set(`projects/p/subscriptions/${name}`, {
        topic: `projects/p/topics/${topic}`,
        matches: parseFilter(filter),
        counted,
        waiting: [],
        out: new Map(),
        streams: new Set(),
      })
    },
    stop() {
      clearInterval(lapsing)
      stop()
    },
  }
  return double
}

/** Why a publish request is refused, if it is. */
function refusalOf({ messages }: PublishRequest): string | undefined {
  if (messages.length > 1000) {
    return `The value for message_count is too large. You passed ${messages.length} in the request, but the maximum value is 1000.`
  }
  let bytes = 0
  for (const { data, attributes } of messages) {
    const entries = Object.entries(attributes)
    if (data.length === 0 && entries.length === 0) {
      return 'One or more messages in the publish request is empty. Each message must contain either non-empty data, or at least one attribute.'
    }
    if (entries.length > 100) return 'The request contains a message with too many attributes.'
    let size = data.length
    for (const [key, value] of entries) {
      const [keyBytes, valueBytes] = [Buffer.byteLength(key), Buffer.byteLength(value)]
      if (keyBytes === 0 || keyBytes > 256)
        return 'The request contains an attribute key that is not valid.'
      if (valueBytes > 1024) return 'The request contains an attribute value that is not valid.'
      size += keyBytes + valueBytes
    }
    if (size > mostMessageBytes) {
      return `The value for message_size is too large. You passed ${size} in the request, but the maximum value is ${mostMessageBytes}.`
    }
    bytes += size
  }
  // A lone message of the greatest size goes through; a batch has no such leave.
  if (messages.length > 1 && bytes > mostRequestBytes) {
    return `Request payload size exceeds the limit: ${mostRequestBytes} bytes.`
  }
  return undefined
}

const nameOf = (path: string): string => path.split('/').at(-1) ?? ''
