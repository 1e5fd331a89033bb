/** The other side of the protocol: a client of any hpfeeds broker. */
import type { Socket } from 'node:net'

import { NightjarError, sentenceOf } from '../../core/errors.ts'
import { createFrameReader } from '../frames.ts'
import {
  digestOf,
  formatAuth,
  formatPublish,
  formatSubscribe,
  formatUnsubscribe,
  hpfeedsFrames,
  parseMessage,
  type Publish,
} from './protocol.ts'

export interface FeedClient {
  /** What the broker calls itself. */
  broker: string
  /** Resolves when the socket has room for more; not when the broker has it: see `finish`. */
  publish(channel: string, payload: Uint8Array): Promise<void>
  subscribe(channel: string): void
  unsubscribe(channel: string): void
  /**
   * End our side, and wait for the broker to end its own. Nightjar's does so when all that was
   * published is durable. Rejects with the broker's ERROR, if one came; gives up waiting after `ms`.
   */
  finish(ms: number): Promise<void>
  /** Rejects with the broker's ERROR, or with whatever else ended the connection. */
  failed: Promise<never>
  /** Resolves when the connection has ended without an ERROR. */
  ended: Promise<void>
}

export interface FeedClientOptions {
  socket: Socket
  ident: string
  secret: string
  onMessage?(message: Publish): void
}

/** An ERROR that the same ident would meet again. */
const isLasting = (text: string): boolean =>
  /^(Authentication failed|Authkey not allowed|Invalid authkey)/.test(text)

/** A broker that has not greeted in this time is none. */
const greetMs = 10_000

/**
 * Greet a broker and prove the ident. hpfeeds has no word for success, so this resolves when the proof
 * is sent. A refusal comes by `failed`: `input_invalid` where it would come again, `source_failed` where
 * it may pass.
 */
export function openFeedClient(options: FeedClientOptions): Promise<FeedClient> {
  const { socket, ident, secret, onMessage } = options
  const frames = createFrameReader(hpfeedsFrames)
  let fail: (error: unknown) => void = () => {}
  const failed = new Promise<never>((_, reject) => (fail = reject))
  failed.catch(() => {})
  const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()))

  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      over(new NightjarError('source_failed', `Cannot use the broker: no INFO in ${greetMs} ms`))
    }, greetMs)
    let greeted = false

    function over(error: unknown): void {
      clearTimeout(timer)
      fail(error)
      reject(error)
      socket.destroy()
    }

    function take(message: ReturnType<typeof parseMessage>): void {
      if (message.op === 'error') {
        return over(
          new NightjarError(
            isLasting(message.text) ? 'input_invalid' : 'source_failed',
            `Cannot go on: got error from server: ${message.text}`,
          ),
        )
      }
      if (message.op === 'info' && !greeted) {
        greeted = true
        clearTimeout(timer)
        socket.write(formatAuth(ident, digestOf(message.nonce, secret)))
        return resolve(clientOf(message.name))
      }
      if (message.op === 'publish' && greeted) return onMessage?.(message)
      throw new NightjarError('input_invalid', `Cannot take ${message.op} from a broker here`)
    }

    const clientOf = (broker: string): FeedClient => ({
      broker,
      async publish(channel, payload) {
        if (socket.write(formatPublish(ident, channel, payload))) return
        const drained = new Promise<void>((done) => socket.once('drain', done))
        await Promise.race([drained, failed, ended])
      },
      subscribe: (channel) => void socket.write(formatSubscribe(ident, channel)),
      unsubscribe: (channel) => void socket.write(formatUnsubscribe(ident, channel)),
      async finish(ms) {
        socket.end()
        const late = setTimeout(() => socket.destroy(), ms)
        await Promise.race([ended, failed]).finally(() => clearTimeout(late))
      },
      failed,
      ended,
    })

    socket.on('data', (bytes: Buffer) => {
      try {
        frames.feed(bytes)
        for (let frame = frames.next(); frame; frame = frames.next()) take(parseMessage(frame))
      } catch (error) {
        over(error)
      }
    })
    socket.on('error', (cause) => {
      over(
        new NightjarError('source_failed', `Cannot keep the connection: ${sentenceOf(cause)}`, {
          cause,
        }),
      )
    })
    socket.once('close', () => {
      clearTimeout(timer)
      reject(new NightjarError('source_failed', 'Cannot use the broker: it closed at once'))
    })
  })
}
