/**
 * A VOEvent broker: receivers and subscriptions publish what they accept on one topic, and what comes back
 * from the topic goes to broadcasters and handlers. So an event takes the same way whatever its source,
 * gateways at the same topic are one broker, and nobody is shown what a crash could still take away.
 */
import type { Socket } from 'node:net'

import { isPermanent, NightjarError, sentenceOf } from '../../core/errors.ts'
import { attributeValue } from '../../core/limits.ts'
import type { Log } from '../../core/log.ts'
import type { Delivery, Message, Subscription, Topic } from '../../core/ports.ts'
import { formatEndpoint, type Endpoint } from '../endpoint.ts'
import { listen, type Listening } from '../listen.ts'
import { createAdmission, type AcceptedEvent, type Admission } from './admission.ts'
import { createBroadcaster, type Broadcaster } from './broadcaster.ts'
import { parseDocument } from './document.ts'
import { handleByAll, type Handler } from './handlers/handler.ts'
import type { IdentityRule } from './identity.ts'
import { createReceiver } from './receiver.ts'
import type { SeenStore } from './seen.ts'
import { subscribeTo } from './subscriber.ts'
import { testEvent } from './test-event.ts'
import type { Whitelist } from './whitelist.ts'

export interface GatewayOptions {
  /** Needed to receive and to broadcast. */
  localIvo?: string
  receive: readonly Endpoint[]
  receiveWhitelist: Whitelist
  broadcast: readonly Endpoint[]
  broadcastWhitelist: Whitelist
  /** Seconds between two test events of each broadcaster; 0: none. */
  testInterval: number
  subscribe: readonly Endpoint[]
  /** What every broker that we subscribe to is asked for. */
  filters: readonly string[]
  /** What all our subscribers are sent at most. */
  serverFilters: readonly string[]
  /** Beginnings of the IVORNs that authors may use; none: all. */
  allowedPrefixes: readonly string[]
  onDuplicate: 'nak' | 'ack'
  identity: IdentityRule
  topic: Topic
  /** This gateway's own, of the same topic. */
  subscription: Subscription
  handlers: readonly Handler[]
  seen: SeenStore
  log: Log
}

export interface Gateway {
  listening: readonly string[]
  /** The same way in that authors and other brokers take, for bridges. */
  admission: Admission
  /** Rejects where the gateway can go on no more. */
  failed: Promise<never>
  close(): Promise<void>
}

/** Handlers of so many events may be under way at a time. */
const mostUnderWay = 1000

/** Open the doors. Rejects with `source_failed` where one of them cannot be had. */
export async function openGateway(options: GatewayOptions): Promise<Gateway> {
  const { localIvo = '', topic, subscription, handlers, seen, log } = options
  const admission = createAdmission({
    seen,
    rule: options.identity,
    allowedPrefixes: options.allowedPrefixes,
    publish: async (event) => void (await topic.publish(messageOf(event))),
  })
  const receiver = createReceiver({ admission, localIvo, onDuplicate: options.onDuplicate, log })
  const broadcasters: Broadcaster[] = []
  const listening: Listening[] = []
  const stop = new AbortController()

  async function open(
    endpoint: Endpoint,
    whitelist: Whitelist,
    accept: (socket: Socket, peer: string) => void,
  ): Promise<void> {
    if (endpoint.kind === 'unix') log('whitelist_bypassed', { endpoint: formatEndpoint(endpoint) })
    const door = await listen({
      endpoint,
      log,
      accept(socket) {
        const { remoteAddress, remotePort } = socket
        const peer = remoteAddress === undefined ? 'unix' : `${remoteAddress}:${remotePort}`
        if (whitelist.admits(remoteAddress)) return accept(socket, peer)
        log('voevent_refused', { peer, reason: 'its address is not on the whitelist' })
        socket.destroy()
      },
    })
    listening.push(door)
  }

  async function close(): Promise<void> {
    stop.abort()
    const closed = listening.map((door) => door.close())
    await receiver.close()
    await receiving
    for (const broadcaster of broadcasters) await broadcaster.close()
    await Promise.all([...closed, ...links])
  }

  async function deliver({ data, attributes }: Delivery): Promise<void> {
    for (const broadcaster of broadcasters) {
      try {
        broadcaster.send(data)
      } catch (error) {
        // Whoever else published it on the topic: what is no VOEvent goes to nobody.
        if (!isPermanent(error)) throw error
        log('voevent_refused', { peer: 'topic', reason: sentenceOf(error) })
        return
      }
    }
    const { ivorn = '', role = 'observation' } = attributes
    await handleByAll(handlers, { bytes: data, ivorn, role }, log)
  }

  let receiving: Promise<void> = Promise.resolve()
  const links: Promise<void>[] = []
  const timers: NodeJS.Timeout[] = []
  let fail: (error: unknown) => void = () => {}
  const failed = new Promise<never>((_, reject) => (fail = reject))
  failed.catch(() => {})
  try {
    for (const endpoint of options.broadcast) {
      const { serverFilters } = options
      const broadcaster = createBroadcaster({ localIvo, log, serverFilters })
      broadcasters.push(broadcaster)
      await open(endpoint, options.broadcastWhitelist, broadcaster.accept)
      if (options.testInterval === 0) continue
      const test = (): void => broadcaster.send(testEvent(localIvo, new Date()))
      test()
      timers.push(setInterval(test, options.testInterval * 1000))
    }
    for (const endpoint of options.receive) {
      await open(endpoint, options.receiveWhitelist, receiver.accept)
    }
  } catch (error) {
    await close()
    throw error
  }
  receiving = subscription
    .receive(deliver, { signal: stop.signal, maxMessages: mostUnderWay })
    .catch(fail)
  for (const endpoint of options.subscribe) {
    const { filters } = options
    const link = subscribeTo({
      endpoint,
      admission,
      filters,
      log,
      signal: stop.signal,
      ...(localIvo !== '' && { localIvo }),
    })
    links.push(link)
  }
  return {
    listening: listening.map(({ endpoint }) => formatEndpoint(endpoint)),
    admission,
    failed,
    async close() {
      for (const timer of timers) clearInterval(timer)
      await close()
    },
  }
}

/** An event as a message: its bytes as they came, and what readers can filter by. */
export function messageOf({ bytes, ivorn, role, source, peer, identity }: AcceptedEvent): Message {
  return {
    data: bytes,
    attributes: {
      ivorn: attributeValue(ivorn),
      role,
      source,
      peer: attributeValue(peer),
      identity,
      received_at: new Date().toISOString(),
    },
  }
}

/** Take in an event of our own making, such as an alert that was written as one. Rejects to be tried again. */
export async function bridge(admission: Admission, bytes: Uint8Array, from: string): Promise<void> {
  using document = parseDocument(bytes)
  const verdict = await admission.author(bytes, document, from)
  if (!verdict.ok && verdict.retry) throw new NightjarError('publish_failed', verdict.reason)
}
