/** Senders and consumers of events by the names of their topics and queues. */
import { NightjarError } from '../core/errors.ts'
import type { ControlEvent, LocationId } from './event.ts'
import {
  openDequeuer,
  openEnqueuer,
  openReceiver,
  openTransmitter,
  type EventConsumer,
  type EventHandlers,
  type EventSender,
  type Exchange,
} from './exchange.ts'

export interface EventSystem {
  createTransmitter(exchange: Exchange, topic: string): Promise<void>
  createEnqueuer(exchange: Exchange, queue: string): Promise<void>
  createReceiver(exchange: Exchange, topic: string, selector?: string): Promise<void>
  createDequeuer(exchange: Exchange, queue: string, selector?: string): Promise<void>
  publishEvent(name: string, event: ControlEvent): Promise<void>
  receiveEvent(name: string, timeoutMs?: number): Promise<ControlEvent | null>
  receiveEvents(name: string, handlers: EventHandlers, signal: AbortSignal): Promise<void>
  /** Who makes the next event: the process, and a number from 0 that no other in it has. */
  createOriginatorId(): LocationId
  close(): Promise<void>
}

/** Make a registry, usually one a process, by the place of the process. */
export function createEventSystem(place: { hostname: string; processId: number }): EventSystem {
  const senders = new Map<string, Promise<EventSender>>()
  const consumers = new Map<string, Promise<EventConsumer>>()
  let localId = 0

  async function register<Opened>(
    registry: Map<string, Promise<Opened>>,
    what: 'topic' | 'queue',
    name: string,
    open: () => Promise<Opened>,
  ): Promise<void> {
    if (registry.has(name)) {
      throw new NightjarError(
        'config_invalid',
        `Cannot register ${what} "${name}": it is already registered with this event system`,
      )
    }
    const opening = open()
    registry.set(name, opening)
    try {
      await opening
    } catch (error) {
      registry.delete(name)
      throw error
    }
  }

  function registered<Opened>(
    registry: Map<string, Promise<Opened>>,
    name: string,
  ): Promise<Opened> {
    const found = registry.get(name)
    if (found !== undefined) return found
    throw new NightjarError(
      'config_invalid',
      `Cannot use destination "${name}": it is not registered with this event system`,
    )
  }

  return {
    createTransmitter: (exchange, topic) =>
      register(senders, 'topic', topic, () => openTransmitter(exchange, topic)),
    createEnqueuer: (exchange, queue) =>
      register(senders, 'queue', queue, () => openEnqueuer(exchange, queue)),
    createReceiver: (exchange, topic, selector) =>
      register(consumers, 'topic', topic, () => openReceiver(exchange, topic, selector)),
    createDequeuer: (exchange, queue, selector) =>
      register(consumers, 'queue', queue, () => openDequeuer(exchange, queue, selector)),
    publishEvent: async (name, event) => (await registered(senders, name)).publishEvent(event),
    receiveEvent: async (name, timeoutMs) =>
      (await registered(consumers, name)).receiveEvent(timeoutMs),
    receiveEvents: async (name, handlers, signal) =>
      (await registered(consumers, name)).receiveEvents(handlers, signal),
    createOriginatorId: () => ({ ...place, localId: localId++ }),
    async close() {
      const opened = await Promise.allSettled([...consumers.values(), ...senders.values()])
      for (const one of opened) if (one.status === 'fulfilled') await one.value.close()
    },
  }
}
