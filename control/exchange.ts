/**
 * Sending and receiving events. A topic gives every receiver a copy of what is sent after the receiver
 * was made; a queue keeps each event until one dequeuer takes it. A consumer holds one message at a time
 * and acks it as it hands it over: what nobody asked for stays where it is, and a crash may repeat the
 * one that was being handed over, never lose another.
 */
import { randomUUID } from 'node:crypto'

import { NightjarError } from '../core/errors.ts'
import type { Delivery, Subscription, Topic } from '../core/ports.ts'
import {
  eventOfMessage,
  filterableOf,
  messageOfEvent,
  publishedEvent,
  type ControlEvent,
} from './event.ts'
import { propertySelector } from './selector/properties.ts'

/** Where events are exchanged: the ports, by names of topics and queues. */
export interface Exchange {
  topic(name: string): Promise<Topic>
  queue(name: string): Promise<Topic>
  /** A new subscription of one receiver, forgotten when nobody receives from it any more. */
  receiver(topic: string, receiver: string): Promise<Subscription>
  /** The one subscription that all dequeuers of a queue share. */
  dequeuer(queue: string): Promise<Subscription>
  nowNs(): bigint
}

export interface EventSender {
  /** Resolves when the event is durable. Throws `input_invalid` for an illegal header. */
  publishEvent(event: ControlEvent): Promise<void>
  close(): Promise<void>
}

export interface EventConsumer {
  /**
   * The next event, or null if none came in so many milliseconds; without, or with -1, wait for ever.
   * Throws `input_invalid` for a message that is no event; it is consumed.
   */
  receiveEvent(timeoutMs?: number): Promise<ControlEvent | null>
  /** Hand over event after event until the signal fires: one is acked when it was handed over. */
  receiveEvents(handlers: EventHandlers, signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

export interface EventHandlers {
  /** Throwing leaves the event where it is. */
  onEvent(event: ControlEvent): void
  /** A message that is no event; it is consumed. */
  onFault(error: NightjarError): void
}

/** Send events to a topic. */
export async function openTransmitter(exchange: Exchange, name: string): Promise<EventSender> {
  return senderTo(await exchange.topic(name), { topic: name }, exchange)
}

/** Send events to a queue, which keeps them from now on. */
export async function openEnqueuer(exchange: Exchange, name: string): Promise<EventSender> {
  const topic = await exchange.queue(name)
  // Without a subscription there would be nobody to keep them for.
  const kept = await exchange.dequeuer(name)
  await kept.close()
  return senderTo(topic, { queue: name }, exchange)
}

function senderTo(
  topic: Topic,
  where: { topic: string } | { queue: string },
  { nowNs }: Exchange,
): EventSender {
  return {
    async publishEvent(event) {
      await topic.publish(messageOfEvent(publishedEvent(event, where, nowNs())))
    },
    close: () => topic.close(),
  }
}

/** Receive what is sent to a topic from now on. A selector that is none is refused here. */
export async function openReceiver(
  exchange: Exchange,
  name: string,
  selector = '',
): Promise<EventConsumer> {
  const selects = selection(selector)
  const topic = await exchange.topic(name)
  await topic.close()
  return consumerOf(await exchange.receiver(name, randomUUID()), selects, 'drop')
}

/** Take events from a queue. What the selector does not choose stays there for others. */
export async function openDequeuer(
  exchange: Exchange,
  name: string,
  selector = '',
): Promise<EventConsumer> {
  const selects = selection(selector)
  const topic = await exchange.queue(name)
  await topic.close()
  return consumerOf(await exchange.dequeuer(name), selects, 'leave')
}

type Selects = (event: ControlEvent) => boolean

function selection(text: string): Selects {
  if (text.trim() === '') return () => true
  const selector = propertySelector(text)
  return (event) => selector.selects(filterableOf(event))
}

/** How many events back a repeated one is known again. */
const maxSeen = 1000

function consumerOf(
  subscription: Subscription,
  selects: Selects,
  unselected: 'drop' | 'leave',
): EventConsumer {
  const closing = new AbortController()
  const seen = new Set<string>()
  let last: Promise<unknown> = Promise.resolve()

  function remember(id: string): void {
    seen.add(id)
    const [oldest] = seen
    if (seen.size > maxSeen && oldest !== undefined) seen.delete(oldest)
  }

  async function each({ onEvent, onFault }: EventHandlers, wanted: AbortSignal): Promise<void> {
    const signal = AbortSignal.any([closing.signal, wanted])
    async function handle(delivery: Delivery): Promise<void> {
      if (seen.has(delivery.id)) return
      if (signal.aborted) throw leftForLater()
      const event = readEvent(delivery, onFault)
      if (event !== undefined) {
        if (selects(event)) onEvent(event)
        else if (unselected === 'leave') throw leftForLater()
        else return
      }
      remember(delivery.id)
    }
    if (!signal.aborted) await subscription.receive(handle, { signal, maxMessages: 1 })
  }

  async function next(timeoutMs: number): Promise<ControlEvent | null> {
    const taken = new AbortController()
    const signals = [taken.signal]
    if (timeoutMs >= 0) signals.push(AbortSignal.timeout(timeoutMs))
    let result: { event: ControlEvent } | { fault: NightjarError } | undefined
    function take(found: { event: ControlEvent } | { fault: NightjarError }): void {
      result = found
      taken.abort()
    }
    const handlers = {
      onEvent: (event: ControlEvent) => take({ event }),
      onFault: (fault: NightjarError) => take({ fault }),
    }
    await each(handlers, AbortSignal.any(signals))
    return resultOf(result)
  }

  function inTurn<Done>(work: () => Promise<Done>): Promise<Done> {
    const turn = last.then(work)
    last = turn.catch(() => {})
    return turn
  }

  return {
    receiveEvent: (timeoutMs = -1) => inTurn(() => next(timeoutMs)),
    receiveEvents: (handlers, signal) => inTurn(() => each(handlers, signal)),
    async close() {
      closing.abort()
      await last
      await subscription.close()
    },
  }
}

function readEvent(
  delivery: Delivery,
  onFault: EventHandlers['onFault'],
): ControlEvent | undefined {
  try {
    return eventOfMessage(delivery)
  } catch (error) {
    if (!(error instanceof NightjarError && error.code === 'input_invalid')) throw error
    onFault(error)
    return undefined
  }
}

function resultOf(
  result: { event: ControlEvent } | { fault: NightjarError } | undefined,
): ControlEvent | null {
  if (result === undefined) return null
  if ('fault' in result) throw result.fault
  return result.event
}

const leftForLater = (): NightjarError =>
  new NightjarError('source_failed', 'Cannot take the event now: it is for another time or reader')
