/**
 * The messages of a journal, in the order of their commits. What was just published is kept in memory
 * for the readers of this process, up to a bound, so that a reader who keeps up never reads the disk.
 */
import { NightjarError, sentenceOf } from '../core/errors.ts'
import { messageBytes } from '../core/limits.ts'
import type { Message } from '../core/ports.ts'
import type { Journal } from './journal.ts'
import type { Place, Segments } from './segments.ts'

export interface StoredMessage extends Message {
  seq: number
  size: number
  at: number
}

export interface Messages {
  /** The number of a topic, made if it is new. */
  topicId(name: string): Promise<number>
  /** The number of a topic that exists. Throws `home_unusable` where it does not. */
  knownTopicId(name: string): number
  topicNames(): string[]
  /** Make a message durable. Nothing is kept of one that no subscription would see. */
  publish(topic: number, message: Message): Promise<number>
  /** Messages of a topic with a number above `after`, ascending, until one exceeds the room. */
  after(topic: number, after: number, room: { messages: number; bytes: number }): StoredMessage[]
  /** Call back when there may be something new: after own publishes, or when others have written. */
  onArrival(topic: number, callback: () => void): () => void
  /** Add a publish to a transaction that is under way: for effects that belong together. */
  publishWithin(topic: number, message: Message): number
  /** Forget messages that every subscription has acked; answers how many, at most `most`. */
  sweep(most: number): Promise<number>
  close(): void
}

interface Cache {
  /** The cache holds every message of its topic with a number above this. */
  floor: number
  messages: StoredMessage[]
  bytes: number
}

const pollMs = 100
/** Per topic; a reader further behind than this reads from the disk. */
const cacheBytes = 16 << 20

/** Data above this goes to a segment. */
const inlineBytes = 4096

/** Open the messages of a journal. */
export function openMessages(
  journal: Journal,
  segments: Segments,
  now: () => number = Date.now,
): Messages {
  const ids = new Map<string, number>()
  const caches = new Map<number, Cache>()
  const readers = new Map<number, Set<() => void>>()
  /** Topics known to have a subscription. That there is none is never remembered: one may come. */
  const subscribed = new Set<number>()
  let seen = journal.version()

  const insert = journal.statement(
    `INSERT INTO message (topic, at, size, attributes, data, segment, place, length)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const select = journal.statement(
    `SELECT seq, at, size, attributes, data, segment, place, length FROM message
     WHERE topic = ? AND seq > ? ORDER BY seq`,
  )
  const anySubscription = journal.statement('SELECT 1 FROM subscription WHERE topic = ? LIMIT 1')
  const selectId = journal.statement('SELECT id FROM topic WHERE name = ?')
  const highest = journal.statement("SELECT seq FROM sqlite_sequence WHERE name = 'message'")

  // Others may have published between our messages: what is cached no longer is the whole tail.
  function dropCaches(): void {
    const top = Number(highest.get()?.['seq'] ?? 0)
    for (const cache of caches.values())
      Object.assign(cache, { floor: top, messages: [], bytes: 0 })
  }
  function notice(version: number): void {
    subscribed.clear()
    if (version === seen) return
    seen = version
    dropCaches()
  }
  // Other threads of this process hear at once that there is something new; other processes poll.
  const channel = new BroadcastChannel(`nightjar ${journal.file}`)
  channel.onmessage = look
  channel.unref()
  const dirty = new Set<number>()
  journal.observe({
    begun: notice,
    committed() {
      for (const topic of dirty) {
        trim(topic)
        for (const callback of readers.get(topic) ?? []) callback()
      }
      if (dirty.size > 0) channel.postMessage('published')
      dirty.clear()
    },
    rolledBack() {
      dirty.clear()
      dropCaches()
    },
  })
  /** See whether others have written, and wake whoever may care. */
  function look(): void {
    const version = journal.version()
    if (version === seen) return
    notice(version)
    for (const callbacks of readers.values()) for (const callback of callbacks) callback()
  }
  const poll = setInterval(look, pollMs)
  poll.unref()

  function cacheOf(topic: number): Cache {
    let cache = caches.get(topic)
    if (cache === undefined) {
      cache = { floor: Number(highest.get()?.['seq'] ?? 0), messages: [], bytes: 0 }
      caches.set(topic, cache)
    }
    return cache
  }

  function isSubscribed(topic: number): boolean {
    if (subscribed.has(topic)) return true
    const found = anySubscription.get(topic) !== undefined
    if (found) subscribed.add(topic)
    return found
  }

  function publishWithin(topic: number, message: Message, place?: Place): number {
    if (!isSubscribed(topic)) return 0
    const size = messageBytes(message)
    const at = now()
    const cache = cacheOf(topic)
    const { lastInsertRowid } = insert.run(
      topic,
      at,
      size,
      JSON.stringify(message.attributes),
      place === undefined ? message.data : null,
      place?.segment ?? null,
      place?.at ?? null,
      message.data.length,
    )
    const seq = Number(lastInsertRowid)
    const { data, attributes } = message
    cache.messages.push({ data, attributes, seq, size, at })
    cache.bytes += size
    dirty.add(topic)
    return seq
  }

  function trim(topic: number): void {
    const cache = caches.get(topic)
    if (cache === undefined || cache.bytes <= cacheBytes) return
    // Down to half at once, so that the array is not shifted at every message.
    let drop = 0
    while (cache.bytes > cacheBytes / 2) cache.bytes -= cache.messages[drop++]?.size ?? Infinity
    cache.floor = cache.messages[drop - 1]?.seq ?? cache.floor
    cache.messages.splice(0, drop)
  }

  function dataOf(row: Record<string, unknown>): Uint8Array {
    const { seq, data, segment, place, length } = row
    if (data instanceof Uint8Array) return data
    try {
      return segments.read({ segment: String(segment), at: Number(place) }, Number(length))
    } catch (cause) {
      throw new NightjarError(
        'home_unusable',
        `Cannot read message ${String(seq)} from segment "${String(segment)}": ${sentenceOf(cause)}`,
        { cause },
      )
    }
  }

  async function removeSegments(): Promise<void> {
    const used = journal.statement('SELECT 1 FROM message WHERE segment = ? LIMIT 1')
    for (const segment of segments.closed()) {
      if (used.get(segment) === undefined) segments.remove(segment)
    }
  }

  return {
    async topicId(name) {
      const known = ids.get(name)
      if (known !== undefined) return known
      const found = selectId.get(name)?.['id']
      const id =
        found !== undefined
          ? Number(found)
          : await journal.write((db) => {
              db.prepare('INSERT OR IGNORE INTO topic (name) VALUES (?)').run(name)
              return Number(selectId.get(name)?.['id'])
            })
      ids.set(name, id)
      return id
    },
    knownTopicId(name) {
      const id = ids.get(name) ?? selectId.get(name)?.['id']
      if (id !== undefined) return Number(id)
      throw new NightjarError(
        'home_unusable',
        `Cannot find topic "${name}" in "${journal.file}": there are ${this.topicNames().join(', ') || 'none'}`,
      )
    },
    topicNames: () =>
      journal
        .statement('SELECT name FROM topic ORDER BY name')
        .all()
        .map((row) => String(row['name'])),
    publishWithin,
    async publish(topic, message) {
      const bytes = message.data.length
      if (bytes <= inlineBytes) {
        return journal.write(() => publishWithin(topic, message), bytes + 200)
      }
      // A topic that nobody reads keeps nothing, so nothing need be written for it.
      if (!isSubscribed(topic)) return 0
      const place = await segments.append(message.data)
      try {
        return await journal.write(() => publishWithin(topic, message, place), 500)
      } finally {
        segments.settle(place)
      }
    },
    after(topic, after, room) {
      const cache = cacheOf(topic)
      const found: StoredMessage[] = []
      let bytes = 0
      const fits = (size: number): boolean =>
        found.length < room.messages && (bytes + size <= room.bytes || found.length === 0)
      if (journal.version() === seen && after >= cache.floor) {
        const { messages } = cache
        for (let i = firstAbove(messages, after); i < messages.length; i++) {
          const message = messages[i] as StoredMessage
          if (!fits(message.size)) break
          bytes += message.size
          found.push(message)
        }
        return found
      }
      for (const row of select.iterate(topic, after)) {
        const size = Number(row['size'])
        if (!fits(size)) break
        bytes += size
        found.push({
          seq: Number(row['seq']),
          at: Number(row['at']),
          size,
          attributes: JSON.parse(String(row['attributes'])) as Record<string, string>,
          data: dataOf(row),
        })
      }
      return found
    },
    onArrival(topic, callback) {
      const callbacks = readers.get(topic) ?? new Set()
      readers.set(topic, callbacks.add(callback))
      return () => callbacks.delete(callback)
    },
    async sweep(most) {
      const swept = await journal.write((db) => {
        db.prepare('DELETE FROM subscription WHERE expires < ?').run(now())
        const { changes } = db
          .prepare(
            `DELETE FROM message WHERE seq IN (
               SELECT seq FROM message JOIN (
                 SELECT topic.id AS topic, min(cursor) AS done FROM topic
                 LEFT JOIN subscription ON subscription.topic = topic.id GROUP BY topic.id
               ) USING (topic) WHERE seq <= coalesce(done, seq) LIMIT ?)`,
          )
          .run(most)
        return Number(changes)
      })
      if (swept > 0) await removeSegments()
      return swept
    },
    close() {
      clearInterval(poll)
      channel.close()
    },
  }
}

/** The first index whose message has a number above `seq`. */
function firstAbove(messages: readonly StoredMessage[], seq: number): number {
  let low = 0
  let high = messages.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((messages[middle] as StoredMessage).seq <= seq) low = middle + 1
    else high = middle
  }
  return low
}
