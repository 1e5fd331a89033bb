/** An hpfeeds broker over topics: connections, what they share, and what they may take together. */
import type { Socket } from 'node:net'

import type { CredentialSource } from '../../core/credential.ts'
import type { Log } from '../../core/log.ts'
import { createChannels, type FeedOf } from './channels.ts'
import { serveConnection, type Connection, type Limits } from './connection.ts'
import { maxDataBytes, headerBytes } from './protocol.ts'
import { createRoom } from './room.ts'
import { createTally, type Tally } from './tally.ts'

export interface BrokerOptions {
  /** What the broker calls itself in INFO. */
  name: string
  /** The first that knows an ident is believed. */
  sources: readonly CredentialSource[]
  feedOf: FeedOf
  log: Log
  limits?: Partial<BrokerLimits>
  onPublish?(ident: string, channel: string, bytes: number): void
}

export interface BrokerLimits extends Limits {
  /** Bytes that all together have published that are not durable yet. */
  allInFlightBytes: number
  /** Bytes that wait for slow subscribers, all together; above it the slowest is let go at once. */
  heldBytes: number
}

export interface HpfeedsBroker {
  accept(socket: Socket): void
  tally: Tally
  /** Let all finish what they published, end them, and give up the subscriptions. */
  close(): Promise<void>
}

const highBytes = 50 * (headerBytes + maxDataBytes)

/** The original's marks and deadlines, and bounds where it has none. */
const usual: BrokerLimits = {
  authMs: 20_000,
  highBytes,
  lowBytes: highBytes / 4,
  slowMs: 60_000,
  lingerMs: 5_000,
  inFlightBytes: 4 << 20,
  allInFlightBytes: 64 << 20,
  heldBytes: 256 << 20,
}

/** Make a broker; it listens to nothing itself: give its `accept` to whoever does. */
export function createHpfeedsBroker(options: BrokerOptions): HpfeedsBroker {
  const { name, sources, feedOf, log, onPublish = () => {} } = options
  const limits = { ...usual, ...options.limits }
  const tally = createTally()
  const room = createRoom(limits.allInFlightBytes)
  const connections = new Set<Connection>()
  let onEmpty = (): void => {}

  function dropSlowest(): void {
    if (channels.held() <= limits.heldBytes) return
    let slowest: Connection | undefined
    for (const connection of connections) {
      if (connection.sendBuffer() > (slowest?.sendBuffer() ?? 0)) slowest = connection
    }
    slowest?.dropSlow()
  }

  const channels = createChannels({ feedOf, log, onDelivered: dropSlowest })
  return {
    tally,
    accept(socket) {
      connections.add(
        serveConnection({
          ...{ socket, name, sources, channels, tally, limits, room, log, onPublish },
          onClose(connection) {
            connections.delete(connection)
            if (connections.size === 0) onEmpty()
          },
        }),
      )
    },
    async close() {
      for (const connection of connections) connection.finish()
      if (connections.size > 0) {
        const late = setTimeout(() => {
          for (const connection of connections) connection.destroy()
        }, limits.lingerMs)
        await new Promise<void>((resolve) => (onEmpty = resolve))
        clearTimeout(late)
      }
      await channels.close()
    },
  }
}
