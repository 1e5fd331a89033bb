/**
 * The broadcaster: subscribers connect and are sent every event that passes their filters. VTP has no
 * second try: what a subscriber misses it misses, so a peer that does not answer or does not read is let
 * go, for the others' sake, and may come back.
 */
import type { Socket } from 'node:net'

import { sentenceOf } from '../../core/errors.ts'
import type { Log } from '../../core/log.ts'
import { readDocuments } from './conversation.ts'
import { parseDocument, type Document } from './document.ts'
import { createFilters, noFilters, type Filters } from './filters.ts'
import { formatFrame, mostDocumentBytes } from './frame.ts'
import { countedRole, formatTransport } from './transport.ts'

export interface BroadcasterOptions {
  localIvo: string
  log: Log
  /** Filters that hold for every subscriber, beside its own. */
  serverFilters?: readonly string[]
  /** Between two signs of life; VTP 2.0 asks for at most 90 s. */
  aliveMs?: number
  /** Bytes that may wait for a subscriber that reads slowly. */
  mostWaiting?: number
}

export interface Broadcaster {
  accept(socket: Socket, peer: string): void
  /** Send an event to all whom it concerns. Never waits for anybody. */
  send(bytes: Uint8Array): void
  subscribers(): number
  close(): Promise<void>
}

interface Peer {
  name: string
  socket: Socket
  filters: Filters
  /** Signs of life that were sent and not answered. */
  alive: number
  /** Events that were sent and not acknowledged. */
  owed: number
  /** Acknowledgements since the last tick. */
  acked: number
}

/**
 * A peer with so many unacknowledged events at a tick is let go, as Comet does; but not one that has
 * acknowledged others since the last: in a burst, many are on their way to a peer in the best of health.
 */
const mostOwed = 10

export function createBroadcaster(options: BroadcasterOptions): Broadcaster {
  const { localIvo, log, aliveMs = 60_000, mostWaiting = 8 << 20 } = options
  const peers = new Set<Peer>()
  const { filters: serverFilters } = createFilters(options.serverFilters ?? [])

  function drop(peer: Peer, reason: string): void {
    if (!peers.delete(peer)) return
    log('subscriber_left', { peer: peer.name, reason })
    peer.filters[Symbol.dispose]()
    peer.socket.destroy()
  }

  function write(peer: Peer, frame: Buffer): void {
    peer.socket.write(frame)
    if (peer.socket.writableLength > mostWaiting) drop(peer, 'it does not read what it is sent')
  }

  function tick(): void {
    const frame = formatFrame(
      formatTransport({ role: 'iamalive', origin: localIvo, at: new Date() }),
    )
    for (const peer of peers) {
      if (peer.alive > 0) drop(peer, 'it appears to be dead')
      else if (peer.owed >= mostOwed && peer.acked === 0)
        drop(peer, 'it does not acknowledge events')
      else {
        peer.alive++
        peer.acked = 0
        write(peer, frame)
      }
    }
  }

  /** Take one off what a peer has not answered yet. */
  function count(peer: Peer, role: 'ack' | 'iamalive'): void {
    if (role === 'iamalive') peer.alive = Math.max(0, peer.alive - 1)
    else {
      peer.owed = Math.max(0, peer.owed - 1)
      peer.acked++
    }
  }

  function hear(peer: Peer, bytes: Buffer): void {
    const plain = countedRole(bytes)
    if (plain !== undefined) return count(peer, plain)
    let document: Document
    try {
      document = parseDocument(bytes)
    } catch (error) {
      log('voevent_refused', { peer: peer.name, reason: sentenceOf(error) })
      return
    }
    using heard = document
    const { head } = heard
    if (head.kind === 'event') {
      log('voevent_refused', { peer: peer.name, reason: 'a subscriber sends no events' })
      return
    }
    switch (head.role) {
      case 'iamalive':
      case 'ack':
        count(peer, head.role)
        break
      case 'nak':
        drop(peer, `it refused an event: ${head.result ?? 'it does not say why'}`)
        break
      case 'authenticate': {
        const { filters, refused } = createFilters(head.filters)
        for (const expression of refused) {
          log('voevent_refused', {
            peer: peer.name,
            reason: `filter left out: ${expression.slice(0, 200)}`,
          })
        }
        peer.filters[Symbol.dispose]()
        peer.filters = filters
      }
    }
  }

  const timer = setInterval(tick, aliveMs)
  timer.unref()

  return {
    accept(socket, name) {
      const peer: Peer = { name, socket, filters: noFilters, alive: 0, owed: 0, acked: 0 }
      peers.add(peer)
      log('subscriber_came', { peer: name })
      socket.on('error', () => drop(peer, 'its connection broke'))
      const hello = formatTransport({ role: 'authenticate', origin: localIvo, at: new Date() })
      write(peer, formatFrame(hello))
      readDocuments(socket, (bytes) => hear(peer, bytes)).then(
        () => drop(peer, 'it went'),
        (error: unknown) => drop(peer, sentenceOf(error)),
      )
    },
    send(bytes) {
      if (bytes.length > mostDocumentBytes) {
        log('voevent_withheld', { bytes: bytes.length, reason: `above ${mostDocumentBytes} bytes` })
        return
      }
      const filtered =
        serverFilters !== noFilters || [...peers].some(({ filters }) => filters !== noFilters)
      using document = filtered ? parseDocument(bytes) : undefined
      if (document !== undefined && !serverFilters.match(document)) return
      const frame = formatFrame(bytes)
      const verdicts = new Map<string, boolean>()
      for (const peer of peers) {
        if (document !== undefined && !peer.filters.match(document, verdicts)) continue
        peer.owed++
        write(peer, frame)
      }
    },
    subscribers: () => peers.size,
    async close() {
      clearInterval(timer)
      for (const peer of peers) drop(peer, 'the gateway ends')
      serverFilters[Symbol.dispose]()
    },
  }
}
