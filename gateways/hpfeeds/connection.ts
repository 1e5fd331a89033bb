/**
 * One connection to the broker: INFO out, AUTH in, then whatever the credential allows. Messages are
 * handled one after the other in the order they came; while one waits (for a credential, for a
 * subscription to stand, for room), nothing more is read.
 *
 * hpfeeds acknowledges nothing. Two things here stand for it: what comes back to a subscriber is
 * durable on its topic, and where the client ends its side, the broker ends its own only when all that
 * the client published is durable; otherwise it says an ERROR first.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import type { Socket } from 'node:net'

import { findCredential, type Credential, type CredentialSource } from '../../core/credential.ts'
import { NightjarError, sentenceOf } from '../../core/errors.ts'
import type { Log } from '../../core/log.ts'
import { createFrameReader } from '../frames.ts'
import type { Channels, Feed, Member } from './channels.ts'
import {
  digestOf,
  formatError,
  formatInfo,
  hpfeedsFrames,
  opcodeOf,
  opcodes,
  parseMessage,
  type Publish,
} from './protocol.ts'
import type { Room } from './room.ts'
import { add, type Buffered, type Fault, type IdentTally, type Tally } from './tally.ts'

export interface Limits {
  /** A client that has not authenticated by then is let go. */
  authMs: number
  /** A subscriber with more than this to be sent is slow. */
  highBytes: number
  /** It is so no longer below this. */
  lowBytes: number
  /** One that stays slow for this long is let go. */
  slowMs: number
  /** What a client is given to take the last word. */
  lingerMs: number
  /** Bytes that one client may have published that are not durable yet. */
  inFlightBytes: number
}

export interface ConnectionOptions {
  socket: Socket
  /** The broker's name. */
  name: string
  sources: readonly CredentialSource[]
  channels: Channels
  tally: Tally
  limits: Limits
  /** Room for what all connections together have published that is not durable yet. */
  room: Room
  log: Log
  onPublish(ident: string, channel: string, bytes: number): void
  onClose(connection: Connection): void
}

export interface Connection extends Buffered {
  /** Finish what was published and end. */
  finish(): void
  /** End at once, with no last word. */
  destroy(): void
  /** Let go for being slow, at once. */
  dropSlow(): void
}

/** A message of this little counts as so much: it takes room beside its payload. */
const messageBytes = 256
const slowText = 'Backpressure deadline timer expired'
const notAuth = new NightjarError('input_invalid', 'First message was not AUTH')

/** Speak hpfeeds on a socket until it closes. */
export function serveConnection(options: ConnectionOptions): Connection {
  const { socket, sources, channels, tally, limits, room, log } = options
  const nonce = randomBytes(4)
  /** Channels that were subscribed to, and whether the subscription stands already. */
  const joined = new Map<string, boolean>()
  /** Feeds that were published to. */
  const feeds = new Map<string, Feed>()
  let credential: Credential | undefined
  let own: IdentTally = tally.of('')
  let phase: 'greeting' | 'open' | 'ending' = 'greeting'
  /** A message is being handled that others have to wait for. */
  let busy = false
  /** The client has ended its side. */
  let ended = false
  let inFlight = 0
  let inFlightBytes = 0
  let hasRoom: (() => void) | undefined
  let slowTimer: NodeJS.Timeout | undefined
  let lingerTimer: NodeJS.Timeout | undefined
  const authTimer = setTimeout(refuse, limits.authMs, 'No AUTH in time', 'auth-timer-expired')

  const frames = createFrameReader({
    ...hpfeedsFrames,
    bounds(header) {
      const found = hpfeedsFrames.bounds(header)
      // Before the client has proved itself, no more than an AUTH is taken in.
      if (credential === undefined && opcodeOf(header) !== opcodes.auth) throw notAuth
      return found
    },
  })

  function work(): void {
    while (!busy && phase !== 'ending') {
      let pending: Promise<void> | undefined
      try {
        const frame = frames.next()
        if (frame === undefined) break
        pending = handle(parseMessage(frame))
      } catch (error) {
        return fail(error)
      }
      if (pending === undefined) continue
      busy = true
      socket.pause()
      pending.catch(fail).finally(() => {
        busy = false
        socket.resume()
        work()
      })
    }
    if (ended && !busy && inFlight === 0) end()
  }

  function handle(message: ReturnType<typeof parseMessage>): Promise<void> | undefined {
    if (credential === undefined) {
      if (message.op !== 'auth') throw notAuth
      return authenticate(message.ident, message.digest)
    }
    switch (message.op) {
      case 'publish':
        return publish(credential, message)
      case 'subscribe':
        return subscribe(credential, message.channel)
      case 'unsubscribe':
        leave(message.channel)
        return undefined
      case 'auth':
        refuse('Already authenticated', 'invalid-message')
        return undefined
      default:
        throw new NightjarError('input_invalid', `Cannot take ${message.op} from a client`)
    }
  }

  async function authenticate(ident: string, digest: Buffer): Promise<void> {
    const refused = `Authentication failed for ${ident}`
    let found: Credential | undefined
    try {
      found = await findCredential(sources, ident)
    } catch (error) {
      log('credential_failed', { ident, reason: sentenceOf(error) })
      return refuse(refused, 'error-checking-ident')
    }
    if (phase !== 'greeting') return
    if (found === undefined) return refuse(refused, 'invalid-ident')
    const wanted = digestOf(nonce, found.secret)
    if (digest.length !== wanted.length || !timingSafeEqual(digest, wanted)) {
      return refuse(refused, 'invalid-secret', tally.of(ident, found.owner))
    }
    clearTimeout(authTimer)
    phase = 'open'
    credential = found
    own = tally.of(ident, found.owner)
    own.owner = found.owner
    own.ready++
    own.connections.add(connection)
  }

  function publish(who: Credential, message: Publish): Promise<void> | undefined {
    const { ident, channel } = message
    if (ident !== who.ident) {
      refuse(`Invalid authkey in message, ident=${ident}`, 'ident-mismatch-pub')
      return undefined
    }
    const feed = feeds.get(channel)
    if (feed !== undefined) return send(feed, message)
    return openFeed(who, message)
  }

  async function openFeed(who: Credential, message: Publish): Promise<void> {
    const { ident, channel } = message
    const feed = who.publish.includes(channel) ? await channels.feedOf(channel) : undefined
    if (feed?.publish === undefined) {
      return refuse(
        `Authkey not allowed to pub here. ident=${ident}, chan=${channel}`,
        'no-pub-permission',
      )
    }
    feeds.set(channel, feed)
    await send(feed, message)
  }

  /** Hand a message to its topic; a promise only where the client has to wait for room. */
  function send(feed: Feed, { ident, channel, payload }: Publish): Promise<void> | undefined {
    const bytes = payload.length + messageBytes
    add(own.published, channel, 1)
    options.onPublish(ident, channel, payload.length)
    inFlight++
    inFlightBytes += bytes
    room.take(bytes)
    const sent = feed.publish?.({ data: payload, attributes: { ident, channel } })
    void Promise.resolve(sent)
      .catch((error: unknown) => {
        log('feed_failed', { channel, reason: sentenceOf(error) })
        refuse(sentenceOf(error), 'publish-failed')
      })
      .finally(() => {
        inFlight--
        inFlightBytes -= bytes
        room.give(bytes)
        if (hasRoom !== undefined && inFlightBytes <= limits.inFlightBytes / 2) hasRoom()
        if (inFlight === 0 && ended && !busy) work()
      })
    if (inFlightBytes > limits.inFlightBytes) {
      return new Promise((resolve) => {
        hasRoom = () => {
          hasRoom = undefined
          resolve()
        }
      })
    }
    return room.full() ? room.wait() : undefined
  }

  async function subscribe(who: Credential, channel: string): Promise<void> {
    if (joined.has(channel)) return
    const feed = who.subscribe.includes(channel) ? await channels.feedOf(channel) : undefined
    if (feed === undefined) {
      return refuse(
        `Authkey not allowed to sub here. ident=${who.ident}, chan=${channel}`,
        'no-sub-permission',
      )
    }
    if (phase === 'ending') return
    joined.set(channel, false)
    try {
      await channels.join(channel, member)
      if (!joined.has(channel)) return
      joined.set(channel, true)
      add(own.subscriptions, channel, 1)
    } catch (error) {
      log('feed_failed', { channel, reason: sentenceOf(error) })
      refuse(sentenceOf(error), 'no-sub-permission')
    }
  }

  function leave(channel: string): void {
    const stands = joined.get(channel)
    if (stands === undefined) return
    joined.delete(channel)
    if (stands) add(own.subscriptions, channel, -1)
    channels.leave(channel, member)
  }

  const member: Member = {
    deliver(bytes, payloadBytes, done) {
      own.queued += payloadBytes
      socket.write(bytes, (error) => {
        done()
        if (error) return
        own.sent += bytes.length
        if (slowTimer !== undefined && socket.writableLength <= limits.lowBytes) recover()
      })
      if (slowTimer === undefined && socket.writableLength > limits.highBytes) {
        own.deadlinesStarted++
        slowTimer = setTimeout(refuse, limits.slowMs, slowText, 'deadline-timer-expired')
      }
    },
  }

  function recover(): void {
    own.deadlinesRecovered++
    clearTimeout(slowTimer)
    slowTimer = undefined
  }

  /** Say why, and end. */
  function refuse(text: string, fault: Fault, of = own): void {
    if (phase === 'ending') return
    add(of.faults, fault, 1)
    log('client_refused', { ident: of.ident, fault, reason: text })
    if (!socket.destroyed) socket.write(formatError(text))
    end()
  }

  function fail(error: unknown): void {
    if (error === notAuth) return refuse(notAuth.message, 'invalid-first-message')
    if (phase === 'ending') return
    add(own.faults, 'invalid-message', 1)
    log('client_refused', {
      ident: own.ident,
      fault: 'invalid-message',
      reason: sentenceOf(error),
    })
    end()
  }

  /** End our side. What still comes is thrown away: a reset could take our last word along. */
  function end(): void {
    if (phase === 'ending') return
    phase = 'ending'
    clearTimeout(authTimer)
    clearTimeout(slowTimer)
    slowTimer = undefined
    for (const channel of [...joined.keys()]) leave(channel)
    hasRoom?.()
    socket.end()
    socket.resume()
    lingerTimer = setTimeout(() => socket.destroy(), limits.lingerMs)
  }

  const connection: Connection = {
    sendBuffer: () => socket.writableLength,
    receiveBuffer: () => frames.held(),
    finish() {
      ended = true
      work()
    },
    destroy: () => socket.destroy(),
    dropSlow() {
      refuse(slowText, 'deadline-timer-expired')
      socket.destroy()
    },
  }

  socket.on('data', (bytes: Buffer) => {
    if (phase === 'ending') return
    if (phase === 'open') own.received += bytes.length
    frames.feed(bytes)
    work()
  })
  socket.on('end', () => {
    if (phase === 'ending') socket.destroy()
    else connection.finish()
  })
  socket.on('error', () => socket.destroy())
  socket.on('close', () => {
    end()
    clearTimeout(lingerTimer)
    tally.connections--
    own.lost++
    own.connections.delete(connection)
    options.onClose(connection)
  })

  tally.made++
  tally.connections++
  // Peers that vanish without a word are found as the original finds them: 10 s, then 3 times 5 s.
  socket.setKeepAlive(true, 10_000, 5_000, 3)
  socket.write(formatInfo(options.name, nonce))
  return connection
}
