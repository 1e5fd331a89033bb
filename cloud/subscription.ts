/**
 * Google's answer to the Subscription port: streaming pull. The SDK extends leases and gives back what
 * it holds; how much is out with handlers is counted here, since its own limit lets one message pass
 * beyond the bytes that are left.
 */
import { Duration, type Message as Pulled } from '@google-cloud/pubsub'

import { NightjarError } from '../core/errors.ts'
import { parseFilter, type AttributeFilter } from '../core/filter.ts'
import type { Delivery, Subscription } from '../core/ports.ts'
import { readBacklog } from './backlog.ts'
import { fault, type Attempted } from './faults.ts'
import { checkResourceName, type Topics } from './topics.ts'

export interface SubscriptionOptions {
  topics: Topics
  name: string
  /**
   * A handler that takes longer has its message delivered again. Until then its lease is extended, so
   * this may be longer than Pub/Sub's own ack deadline, and shorter.
   */
  ackDeadlineMs?: number
}

/** A message on its way to its ack. */
interface Lease {
  message: Pulled
  size: number
  state: 'waiting' | 'out' | 'done'
  until: number
}

/** One stream carries 10 MB/s (Pub/Sub's quotas page); few messages need no more than one. */
const mostStreams = 4
/** What is remembered where Pub/Sub does not count attempts: messages that failed in this process. */
const mostRemembered = 10_000
/** The SDK keeps this much of the closing time for its last acks and nacks. */
const closingMs = 30_000

/** Open a subscription, which must exist: infra/ makes it. A missing one is told by `receive`. */
export async function openSubscription(options: SubscriptionOptions): Promise<Subscription> {
  const { topics, name, ackDeadlineMs = 600_000 } = options
  const subscription = topics.pubsub.subscription(checkResourceName('subscription', name))
  const attempted: Attempted = {
    deed: `receive from subscription "${name}"`,
    thing: `subscription "${name}"`,
    project: topics.project,
    role: 'roles/pubsub.subscriber',
  }
  /** Only where there is no dead-letter policy, without which Pub/Sub counts no attempts. */
  const failures = new Map<string, number>()

  /** The emulator hands out what the filter should drop. */
  async function openingFilter(): Promise<AttributeFilter | undefined> {
    await topics.ready()
    if (!topics.emulated) return undefined
    const [{ filter }] = await subscription.getMetadata()
    return filter ? parseFilter(filter) : undefined
  }

  async function receive(
    handle: (delivery: Delivery) => Promise<void>,
    { signal, maxBytes = 16 << 20, maxMessages = 256 }: Parameters<Subscription['receive']>[1],
  ): Promise<void> {
    if (signal.aborted) return
    const matches = await openingFilter().catch((error: unknown) => {
      throw fault('source_failed', error, attempted)
    })
    const waiting: Lease[] = []
    const out = new Set<Lease>()
    let outBytes = 0
    let failure: NightjarError | undefined
    const settling = new Set<Promise<unknown>>()
    let wakeUp = (): void => {}

    const puller = topics.pubsub.subscription(name, {
      flowControl: { maxBytes, maxMessages, allowExcessMessages: true },
      streamingOptions: { maxStreams: Math.min(mostStreams, Math.ceil(maxMessages / 32)) },
      maxExtensionTime: Duration.from({ milliseconds: ackDeadlineMs + 2 * closingMs }),
      closeOptions: {
        behavior: 'WAIT',
        timeout: Duration.from({ milliseconds: ackDeadlineMs + closingMs }),
      },
    })

    const fits = (size: number): boolean =>
      out.size < maxMessages && (out.size === 0 || outBytes + size <= maxBytes)

    function free(lease: Lease): void {
      if (!out.delete(lease)) return
      outBytes -= lease.size
      lease.state = 'done'
    }

    /** Whatever confirms an ack or a nack is waited for at the end; where it fails it comes again. */
    function settle(answer: Promise<unknown>): void {
      const settled: Promise<unknown> = answer
        .catch(() => {})
        .finally(() => settling.delete(settled))
      settling.add(settled)
    }

    function giveBack({ message, state }: Lease): void {
      // What no handler had has not failed.
      if (state === 'done' && !message.deliveryAttempt) countFailure(failures, message.id)
      settle(message.nackWithResponse())
    }

    function handOut(lease: Lease): void {
      const { message, size } = lease
      lease.state = 'out'
      lease.until = performance.now() + ackDeadlineMs
      out.add(lease)
      outBytes += size
      deliver(handle, message, failures)
        .then(
          () => {
            // After the deadline it is with somebody else: an ack would promise what it cannot.
            if (lease.state !== 'out') return
            free(lease)
            failures.delete(message.id)
            settle(message.ackWithResponse())
          },
          () => {
            if (lease.state !== 'out') return
            free(lease)
            giveBack(lease)
          },
        )
        .finally(pump)
    }

    function pump(): void {
      while (!signal.aborted && failure === undefined) {
        const [next] = waiting
        if (next === undefined || !fits(next.size)) break
        waiting.shift()
        handOut(next)
      }
      wakeUp()
    }

    function lapse(): void {
      const now = performance.now()
      for (const lease of out) {
        if (lease.until > now) continue
        free(lease)
        giveBack(lease)
      }
      pump()
    }

    function stop(): void {
      for (const lease of waiting.splice(0)) giveBack(lease)
      wakeUp()
    }

    puller.on('message', (message) => {
      const size = message.length
      const lease: Lease = { message, size, state: 'waiting', until: 0 }
      if (matches !== undefined && !matches(message.attributes)) {
        settle(message.ackWithResponse())
      } else if (signal.aborted || failure !== undefined) {
        giveBack(lease)
      } else {
        waiting.push(lease)
        pump()
      }
    })
    puller.on('error', (error) => {
      failure ??= fault('source_failed', error, attempted)
      stop()
    })
    signal.addEventListener('abort', stop)
    const timer = setInterval(lapse, Math.min(1000, ackDeadlineMs / 4))
    try {
      while (!signal.aborted && failure === undefined) {
        await new Promise<void>((resolve) => (wakeUp = resolve))
      }
      // Closes the stream at once, so that nothing more comes, and waits for what is out.
      const closing = puller.close()
      while (out.size > 0) await new Promise<void>((resolve) => (wakeUp = resolve))
      await closing
      while (settling.size > 0) await Promise.all(settling)
    } finally {
      clearInterval(timer)
      signal.removeEventListener('abort', stop)
      puller.removeAllListeners('message')
    }
    if (failure !== undefined) throw failure
  }

  return {
    receive,
    backlog: () => readBacklog(topics, name),
    async close() {
      await subscription.close()
    },
  }
}

async function deliver(
  handle: (delivery: Delivery) => Promise<void>,
  message: Pulled,
  failures: ReadonlyMap<string, number>,
): Promise<void> {
  const { data, attributes, id, publishTime, deliveryAttempt } = message
  await handle({
    data,
    attributes,
    id,
    publishedAt: new Date(publishTime.getTime()),
    attempt: deliveryAttempt || (failures.get(id) ?? 0) + 1,
  })
}

function countFailure(failures: Map<string, number>, id: string): void {
  const count = (failures.get(id) ?? 0) + 1
  failures.delete(id)
  failures.set(id, count)
  if (failures.size <= mostRemembered) return
  const [oldest] = failures.keys()
  if (oldest !== undefined) failures.delete(oldest)
}
