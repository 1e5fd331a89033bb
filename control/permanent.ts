/** A conversation that is taken up again whenever its connection breaks. */
import type { Duplex } from 'node:stream'

import { NightjarError } from '../core/errors.ts'
import { converse, type Conversation, type ConversationOptions } from './conversation.ts'
import type { ControlMessage } from './message.ts'

/** At once, then after 1, 2, 4 … seconds, at most an hour; at once again when a link that lived is lost. */
export const permanentSchedule = {
  firstMs: 1000,
  factor: 2,
  mostMs: 3_600_000,
  stableMs: 10_000,
  afterStableMs: 0,
} as const

export interface PermanentOptions extends Omit<ConversationOptions, 'socket' | 'admit'> {
  /** Keep a link, and give each new connection of it to `use`; resolves when it is given up. */
  keep(use: (socket: Duplex) => Promise<void>): Promise<void>
  /** Told of each new connection, before what was cached is sent. */
  onConnected?(conversation: Conversation): void
}

export interface PermanentConversation {
  /** Send; while there is no connection, keep it for the next one where that is asked for. */
  send(message: ControlMessage, options?: { cache?: boolean }): boolean
  request: Conversation['request']
  /** Messages that wait for a connection. */
  cached(): number
  /** Resolves when the link is given up. */
  closed: Promise<void>
  /** Take it up no more: what is cached is dropped. */
  done(): void
}

/** Most messages kept for a peer that is away. */
const maxCached = 1000

/** Converse over a link that is kept. */
export function conversePermanently(options: PermanentOptions): PermanentConversation {
  const { keep, onConnected, ...rest } = options
  let cache: ControlMessage[] = []
  let current: Conversation | undefined
  let isDone = false

  const closed = keep(async (socket) => {
    if (isDone) return
    const conversation = converse({ ...rest, socket })
    current = conversation
    onConnected?.(conversation)
    const kept = cache
    cache = []
    cache.push(...kept.filter((message) => !conversation.send(message)))
    try {
      await conversation.closed
    } finally {
      current = undefined
    }
  })

  return {
    closed,
    cached: () => cache.length,
    send(message, { cache: keeps = false } = {}) {
      if (isDone) return false
      if (current?.send(message) === true) return true
      if (!keeps || cache.length >= maxCached) return false
      cache.push(message)
      return true
    },
    request(message, how) {
      if (current !== undefined) return current.request(message, how)
      return Promise.reject(
        new NightjarError(
          'source_failed',
          `Cannot have an answer to ${message.command}: there is no connection`,
        ),
      )
    },
    done() {
      isDone = true
      cache = []
      current?.close()
    },
  }
}
