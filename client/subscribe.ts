/**
 * A subscription to a broker's topic, on one machine or in the cloud: whoever makes the client says
 * where. `nightjar subscribe` is made of this.
 */
import { parseFilter } from '../core/filter.ts'
import type { Store, Subscription } from '../core/ports.ts'
import type { SchemaSource } from '../schemas/registry.ts'
import { openAlert, type Alert } from './alert.ts'

/** How a client reaches a broker. */
export interface Connection {
  /**
   * Open a subscription of a topic, made where there is none yet. One with a name keeps what is published
   * until its reader comes back; one without is forgotten soon after its reader has gone.
   */
  open(wanted: { topic: string; filter?: string; name?: string }): Promise<Subscription>
  /** Where messages above Pub/Sub's 10 MB wait; without it their alerts come without data. */
  claims?: Store
  schemas?: SchemaSource
}

export interface SubscribeOptions {
  topic: string
  /** Pub/Sub's filter language on attributes: `attributes.is_pure = "1"`. */
  filter?: string
  name?: string
  /** Alerts that it does not select are acked and never handed out; it looks where a filter cannot. */
  selects?: (alert: Alert) => boolean
  /** Resolving acks the alert; rejecting has it come again. */
  onAlert: (alert: Alert) => void | Promise<void>
  /** Ends it: what is under way is finished and acked. */
  signal?: AbortSignal
  /** End after so many; 0 makes the subscription and ends. */
  max?: number
  /** End when nothing waits. */
  drain?: boolean
  /** Alerts handled at once. */
  concurrency?: number
}

export interface Client {
  /** Hand alerts to `onAlert` until the end; answers how many it has taken. */
  subscribe(options: SubscribeOptions): Promise<number>
}

const drainEveryMs = 50

/** Make a client of a connection. */
export function createClient(connection: Connection): Client {
  return {
    async subscribe({ topic, filter, name, onAlert, ...options }) {
      const { selects, signal, max = Infinity, drain = false, concurrency = 64 } = options
      // A filter that Pub/Sub would not take either is told before anything is made.
      if (filter !== undefined) parseFilter(filter)
      const subscription = await connection.open({
        topic,
        ...(filter !== undefined && { filter }),
        ...(name !== undefined && { name }),
      })
      const enough = new AbortController()
      if (max === 0) enough.abort()
      const ends = signal === undefined ? [enough.signal] : [signal, enough.signal]
      const timer = drain ? setInterval(() => void endIfEmpty(), drainEveryMs) : undefined
      async function endIfEmpty(): Promise<void> {
        // What this reader has under way still counts as waiting.
        if ((await subscription.backlog()).messages === 0) enough.abort()
      }
      let begun = 0
      let taken = 0
      try {
        await subscription.receive(
          async (delivery) => {
            if (begun >= max) throw new Error('more than was asked for')
            const alert = await openAlert(delivery, connection.claims, connection.schemas)
            if (selects !== undefined && !selects(alert)) return
            // While this one was fetched another may have been the last.
            if (begun >= max) throw new Error('more than was asked for')
            begun++
            try {
              await onAlert(alert)
              taken++
            } catch (error) {
              begun--
              throw error
            }
            if (taken === max) enough.abort()
          },
          { signal: AbortSignal.any(ends), maxMessages: concurrency },
        )
      } finally {
        clearInterval(timer)
        await subscription.close()
      }
      return taken
    },
  }
}
