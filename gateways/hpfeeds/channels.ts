/**
 * The channels of a gateway, over topics. A publish is durable on its topic first; what comes back from
 * the topic goes to the subscribers, so that all gateways at the same topics share their channels and
 * nobody is shown what a crash could still take away. A channel that has a subscriber here has a
 * subscription of this gateway's own; the subscribers share each message's bytes.
 */
import { isPermanent, NightjarError, sentenceOf } from '../../core/errors.ts'
import type { Log } from '../../core/log.ts'
import type { Delivery, Message, Subscription } from '../../core/ports.ts'
import { formatPublish } from './protocol.ts'

/** What stands behind a channel. */
export interface Feed {
  /** Resolves when the message is durable. Absent: a feed that nobody publishes to from here. */
  publish?(message: Message): Promise<unknown>
  /** A subscription of this gateway's own, from now on; it is closed when nobody listens any more. */
  subscribe(): Promise<Subscription>
  /** What subscribers are told of a delivery. */
  tell(delivery: Delivery): Told | Promise<Told>
}

export interface Told {
  /** Who published it. */
  ident: string
  payload: Uint8Array
}

/** What a channel's name stands for; `undefined` if for nothing. */
export type FeedOf = (channel: string) => Promise<Feed | undefined>

/** A connection that is subscribed. */
export interface Member {
  /** Send whole frames, with this many bytes of payload in them; `done` when they are sent or lost. */
  deliver(frames: Buffer, payloadBytes: number, done: () => void): void
}

export interface Channels {
  feedOf: FeedOf
  /** Resolves when all that is published from then on will be delivered. */
  join(channel: string, member: Member): Promise<void>
  leave(channel: string, member: Member): void
  /** Bytes that wait for at least one subscriber; bytes that several wait for count once. */
  held(): number
  close(): Promise<void>
}

interface Channel {
  name: string
  members: Set<Member>
  opened: Promise<void>
  stop: AbortController
  ended: Promise<void>
  idle: NodeJS.Timeout | undefined
  frames: Buffer[]
  frameBytes: number
  payloadBytes: number
  flushing: NodeJS.Immediate | undefined
}

export interface ChannelsOptions {
  feedOf: FeedOf
  log: Log
  /** Told after each delivery, so that somebody can see to it that not too much is held. */
  onDelivered?(): void
  /** How long a subscription is kept when its last subscriber has gone: it may come back. */
  idleMs?: number
}

/** Frames are sent together up to this, so that a burst costs few writes. */
const batchBytes = 256 << 10
const reopenMs = 1000

/** Make the channels of a gateway. */
export function createChannels(options: ChannelsOptions): Channels {
  const { feedOf, log, onDelivered, idleMs = 5000 } = options
  const channels = new Map<string, Channel>()
  const closing = new Set<Promise<void>>()
  let held = 0

  function flush(channel: Channel): void {
    clearImmediate(channel.flushing)
    const { frames, payloadBytes, members } = channel
    const bytes = frames.length === 1 && frames[0] ? frames[0] : Buffer.concat(frames)
    Object.assign(channel, { frames: [], frameBytes: 0, payloadBytes: 0, flushing: undefined })
    let left = members.size
    if (left === 0) return
    held += bytes.length
    const done = (): void => {
      if (--left === 0) held -= bytes.length
    }
    for (const member of members) member.deliver(bytes, payloadBytes, done)
    onDelivered?.()
  }

  function queue(channel: Channel, { ident, payload }: Told): void {
    const frame = formatPublish(ident, channel.name, payload)
    channel.frames.push(frame)
    channel.frameBytes += frame.length
    channel.payloadBytes += payload.length
    if (channel.frameBytes >= batchBytes) flush(channel)
    else channel.flushing ??= setImmediate(flush, channel)
  }

  async function deliver(channel: Channel, feed: Feed, delivery: Delivery): Promise<void> {
    try {
      const told = feed.tell(delivery)
      queue(channel, told instanceof Promise ? await told : told)
    } catch (error) {
      // What hpfeeds cannot carry will not become smaller; all else may pass, and comes again.
      if (!isPermanent(error)) throw error
      log('feed_withheld', { channel: channel.name, reason: sentenceOf(error) })
    }
  }

  /** Receive until told to stop; a subscription that breaks is made anew. */
  async function receive(channel: Channel, feed: Feed, first: Subscription): Promise<void> {
    const { signal } = channel.stop
    let subscription: Subscription | undefined = first
    while (!signal.aborted) {
      try {
        subscription ??= await feed.subscribe()
        await subscription.receive((delivery) => deliver(channel, feed, delivery), {
          signal,
          maxMessages: 4096,
        })
      } catch (error) {
        log('feed_retried', { channel: channel.name, reason: sentenceOf(error) })
        await new Promise((resolve) => setTimeout(resolve, reopenMs))
      }
      await subscription?.close().catch(() => {})
      subscription = undefined
    }
  }

  async function open(channel: Channel): Promise<void> {
    const feed = await feedOf(channel.name)
    if (feed === undefined) {
      throw new NightjarError(
        'input_invalid',
        `Cannot subscribe to "${channel.name}": there is no such feed`,
      )
    }
    const subscription = await feed.subscribe()
    channel.ended = receive(channel, feed, subscription)
  }

  function channelOf(name: string): Channel {
    const known = channels.get(name)
    if (known !== undefined) return known
    const channel: Channel = {
      name,
      members: new Set(),
      opened: Promise.resolve(),
      stop: new AbortController(),
      ended: Promise.resolve(),
      idle: undefined,
      frames: [],
      frameBytes: 0,
      payloadBytes: 0,
      flushing: undefined,
    }
    channels.set(name, channel)
    channel.opened = open(channel)
    channel.opened.catch(() => {
      // The next who asks may have better luck.
      if (channels.get(name) === channel) channels.delete(name)
    })
    return channel
  }

  function shut(channel: Channel): void {
    channels.delete(channel.name)
    clearTimeout(channel.idle)
    channel.stop.abort()
    const ended = channel.opened.then(
      () => channel.ended,
      () => {},
    )
    closing.add(ended)
    void ended.finally(() => closing.delete(ended))
  }

  return {
    feedOf,
    async join(name, member) {
      const channel = channelOf(name)
      clearTimeout(channel.idle)
      channel.members.add(member)
      await channel.opened
    },
    leave(name, member) {
      const channel = channels.get(name)
      if (channel?.members.delete(member) !== true || channel.members.size > 0) return
      channel.idle = setTimeout(shut, idleMs, channel)
      channel.idle.unref()
    },
    held: () => held,
    async close() {
      for (const channel of channels.values()) shut(channel)
      await Promise.allSettled(closing)
    },
  }
}
