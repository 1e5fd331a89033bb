/** Messages both ways over a connection, one a line: TCP, TLS or a Unix socket. */
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'

import { NightjarError, sentenceOf } from '../core/errors.ts'
import type { Admit } from './admission.ts'
import { createLineReader } from './lines.ts'
import { formatMessage, maxMessageBytes, parseMessage, type ControlMessage } from './message.ts'

export interface Conversation {
  /** False where the connection has gone, or the peer reads so little that too much waits for it. */
  send(message: ControlMessage): boolean
  /** Send, and wait for the answer, which then nobody else sees. Rejects with `source_failed`. */
  request(message: ControlMessage, options: RequestOptions): Promise<ControlMessage>
  /** Resolves when the connection is over. */
  closed: Promise<void>
  /** Send what is to be sent, and end. */
  close(): void
}

export interface RequestOptions {
  timeoutMs: number
  /** Which message is the answer; the next one, if not said. */
  isReply?(message: ControlMessage): boolean
}

export interface ConversationOptions {
  socket: Duplex
  onMessage(message: ControlMessage, conversation: Conversation): void | Promise<void>
  /** Told of each line that is no message, or not allowed; the connection goes on. */
  onInvalid(why: string): void
  /** If given, only messages that it lets in are taken. */
  admit?: Admit
}

/** So many in a row, then the others have their turn. */
const mostInARow = 5

/** More than this is not kept for a peer that does not read. */
const maxWaitingBytes = 4 * 1024 * 1024

/** Converse over a connection until it ends. */
export function converse(options: ConversationOptions): Conversation {
  const { socket, onMessage, onInvalid, admit } = options
  const waiting = new Set<{
    isReply(message: ControlMessage): boolean
    settle(reply?: ControlMessage): void
  }>()

  const conversation: Conversation = {
    send(message) {
      if (socket.destroyed || socket.writableEnded) return false
      if (socket.writableLength > maxWaitingBytes) return false
      socket.write(`${formatMessage(message)}\n`)
      return true
    },
    request(message, { timeoutMs, isReply = () => true }) {
      return new Promise((resolve, reject) => {
        const refuse = (why: string): void =>
          reject(
            new NightjarError(
              'source_failed',
              `Cannot have an answer to ${message.command}: ${why}`,
            ),
          )
        const timer = setTimeout(() => {
          waiting.delete(asked)
          refuse(`none came in ${timeoutMs} ms`)
        }, timeoutMs)
        const asked = {
          isReply,
          settle(reply?: ControlMessage) {
            clearTimeout(timer)
            waiting.delete(asked)
            if (reply === undefined) refuse('the connection ended')
            else resolve(reply)
          },
        }
        waiting.add(asked)
        if (!conversation.send(message)) asked.settle()
      })
    },
    closed: read(),
    close: () => void socket.end(),
  }
  return conversation

  async function read(): Promise<void> {
    // An error ends the reading, which is all that there is to be done about it.
    socket.on('error', () => socket.destroy())
    const feed = createLineReader(maxMessageBytes)
    let inARow = 0
    try {
      for await (const piece of socket) {
        for (const line of feed(piece as Buffer)) {
          if (inARow++ % mostInARow === mostInARow - 1) await turn()
          if ('fault' in line) onInvalid(line.fault)
          else if (line.text.trim() !== '') await take(line.text)
        }
      }
    } catch {
      // The peer went away in the middle: the same as at the end.
    } finally {
      for (const asked of waiting) asked.settle()
      socket.end()
      if (!socket.destroyed && !socket.writableFinished) {
        await once(socket, 'close', { signal: AbortSignal.timeout(lingerMs) }).catch(() => {})
      }
      socket.destroy()
    }
  }

  async function take(text: string): Promise<void> {
    try {
      const message = parseMessage(text)
      const why = await admit?.(message)
      if (why !== undefined) return onInvalid(why)
      for (const asked of waiting) {
        if (asked.isReply(message)) return asked.settle(message)
      }
      await onMessage(message, conversation)
    } catch (error) {
      onInvalid(sentenceOf(error))
    }
  }
}

/** How long a peer has to take what was last said to it. */
const lingerMs = 2000
