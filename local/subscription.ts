/**
 * The answer of one machine to the Subscription port. The journal keeps, for each subscription, up to
 * where all is acked and what is acked beyond that; leases and back-off live in memory, since only one
 * receiver at a time may hold a subscription. What was handed out when a receiver died counts as an
 * attempt, so that a message which kills its receiver is told from one that never had its turn.
 */
import { NightjarError } from '../core/errors.ts'
import type { Delivery, Subscription } from '../core/ports.ts'
import { parseFilter } from './filter.ts'
import type { Journal } from './journal.ts'
import type { Messages, StoredMessage } from './messages.ts'

export interface SubscriptionOptions {
  journal: Journal
  messages: Messages
  topic: string
  name: string
  /** Pub/Sub's filter language; fixed when the subscription is made. */
  filter?: string
  /** A handler that takes longer has its message delivered again. */
  ackDeadlineMs?: number
  /** An ephemeral subscription is forgotten this long after its last receiver. */
  expireMs?: number
  /** For tests of the handlers: deliver this fraction twice, and out of order. */
  disorder?: { random: () => number; duplicates: number }
}

/** A fetched message on its way to its ack. */
interface Lease {
  message: StoredMessage
  attempt: number
  state: 'waiting' | 'out' | 'acked'
  /** When `out`: the ack deadline. When `waiting`: not before this. */
  until: number
}

const retryFirstMs = 100
const retryMostMs = 10_000

/** Open a subscription, made if it is new: it sees what is published from then on. */
export async function openSubscription(options: SubscriptionOptions): Promise<Subscription> {
  const { journal, messages, name, ackDeadlineMs = 60_000, disorder } = options
  const topic = await messages.topicId(options.topic)
  const id = await makeSubscription(options, topic)
  const row = journal.statement('SELECT * FROM subscription WHERE id = ?')
  const matches = parseFilter(String(row.get(id)?.['filter']))

  async function receive(
    handle: (delivery: Delivery) => Promise<void>,
    { signal, maxBytes = 32 << 20, maxMessages = 256 }: Parameters<Subscription['receive']>[1],
  ): Promise<void> {
    const { cursor: start, acked, delivered } = await takeUp(journal, id, name)
    const attempts = await countCrash(journal, id, topic, start, delivered, acked)
    /** In order of their numbers: from the first that is not acked on. */
    const leases: Lease[] = []
    let cursor = start
    let fetched = start
    let outMessages = 0
    let outBytes = 0
    let waiting = 0
    let dirty = false
    let savedAt = Date.now()
    let saving: Promise<void> | undefined
    let failure: unknown
    let wakeUp = (): void => {}

    function save(): void {
      if (saving !== undefined || !dirty) return
      dirty = false
      savedAt = Date.now()
      const beyond = leases.filter((lease) => lease.state === 'acked').map((l) => l.message.seq)
      const expires = options.expireMs === undefined ? null : Date.now() + options.expireMs
      const done = cursor
      const high = fetched
      saving = journal
        .write((db) => {
          db.prepare(
            'UPDATE subscription SET cursor = ?, acked = ?, delivered = ?, expires = ? WHERE id = ?',
          ).run(done, JSON.stringify(beyond), high, expires, id)
        })
        .catch((error: unknown) => {
          dirty = true
          failure = error
        })
        .finally(() => {
          saving = undefined
          if (failure === undefined) save()
          wakeUp()
        })
    }

    function advance(): void {
      let done = 0
      while (leases[done]?.state === 'acked') done++
      if (done > 0) {
        cursor = (leases[done - 1] as Lease).message.seq
        leases.splice(0, done)
      }
      if (leases.length === 0) cursor = Math.max(cursor, fetched)
      dirty = true
      save()
    }

    function settle(lease: Lease, attempt: number): void {
      // A late answer to a lease that has lapsed: the message may be with another handler by now.
      if (lease.state !== 'out' || lease.attempt !== attempt) return
      outMessages--
      outBytes -= lease.message.size
    }

    function handOut(lease: Lease): void {
      const { message, attempt } = lease
      if (lease.state === 'waiting') waiting--
      lease.state = 'out'
      lease.until = Date.now() + ackDeadlineMs
      outMessages++
      outBytes += message.size
      const { data, attributes, seq, at } = message
      handle({ data, attributes, attempt, id: String(seq), publishedAt: new Date(at) }).then(
        () => {
          settle(lease, attempt)
          if (lease.state === 'acked') return
          lease.state = 'acked'
          if (lease.attempt > 1) forgetAttempts(seq)
          if (lease === leases[0]) advance()
          else dirty = true
          pump()
        },
        () => {
          settle(lease, attempt)
          if (lease.state !== 'out' || lease.attempt !== attempt) return
          retry(lease, Date.now() + Math.min(retryFirstMs * 2 ** (attempt - 1), retryMostMs))
          pump()
        },
      )
    }

    /** Put a message back to be handed out again, and let the journal know that it was tried. */
    function retry(lease: Lease, until: number): void {
      lease.state = 'waiting'
      lease.until = until
      waiting++
      lease.attempt++
      const { attempt } = lease
      journal
        .write((db) => {
          db.prepare(
            'INSERT INTO attempt VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET attempts = excluded.attempts',
          ).run(id, lease.message.seq, attempt - 1)
        })
        .catch((error: unknown) => (failure = error))
    }
    function forgetAttempts(seq: number): void {
      journal
        .write((db) => {
          db.prepare('DELETE FROM attempt WHERE subscription = ? AND seq = ?').run(id, seq)
        })
        .catch((error: unknown) => (failure = error))
    }

    const hasRoom = (): boolean => outMessages < maxMessages && outBytes < maxBytes

    /** Hand out what waits, then fetch more, while there is room. */
    function pump(): void {
      if (signal.aborted || failure !== undefined) return wakeUp()
      if (waiting > 0) {
        const now = Date.now()
        for (const lease of leases) {
          if (!hasRoom()) return
          if (lease.state === 'waiting' && lease.until <= now) handOut(lease)
        }
      }
      // What is acked beyond a straggler is kept in memory until then; that too has a bound.
      while (hasRoom() && leases.length < maxMessages * 16) {
        const found = messages.after(topic, fetched, {
          messages: maxMessages - outMessages,
          bytes: maxBytes - outBytes,
        })
        if (found.length === 0) break
        const before = leases.length
        for (const message of found) {
          fetched = message.seq
          if (acked.delete(message.seq) || !matches(message.attributes)) continue
          const attempt = (attempts.get(message.seq) ?? 0) + 1
          leases.push({ message, attempt, state: 'waiting', until: 0 })
          waiting++
        }
        const fresh = leases.slice(before)
        if (disorder) fresh.sort(() => disorder.random() - 0.5)
        for (const lease of fresh) handOut(lease)
        if (leases.length === 0) advance()
        else {
          // The journal must know what is out before a handler has had time to die of it.
          dirty = true
          save()
        }
        if (disorder) deliverTwice(fresh)
      }
    }

    function deliverTwice(fresh: readonly Lease[]): void {
      for (const { message, attempt } of fresh) {
        if ((disorder?.random() ?? 1) >= (disorder?.duplicates ?? 0)) continue
        const { data, attributes, seq, at } = message
        handle({ data, attributes, attempt, id: String(seq), publishedAt: new Date(at) }).catch(
          () => {},
        )
      }
    }

    function redeliverLapsed(): void {
      const now = Date.now()
      for (const lease of leases) {
        if (lease.state !== 'out' || lease.until > now) continue
        settle(lease, lease.attempt)
        retry(lease, now)
      }
      if (options.expireMs !== undefined && now - savedAt > options.expireMs / 3) dirty = true
      save()
      pump()
    }

    const unwatch = messages.onArrival(topic, pump)
    const timer = setInterval(redeliverLapsed, Math.min(100, ackDeadlineMs / 4))
    signal.addEventListener('abort', pump)
    try {
      pump()
      while (!(signal.aborted && outMessages === 0) && failure === undefined) {
        await new Promise<void>((resolve) => (wakeUp = resolve))
      }
      // Nothing is out any more, so nothing was handed out in vain.
      fetched = Math.max(
        cursor,
        ...leases.filter((l) => l.state === 'acked').map((l) => l.message.seq),
      )
      dirty = true
      save()
      while (saving !== undefined) await saving
      if (failure !== undefined) throw failure
    } finally {
      clearInterval(timer)
      unwatch()
      signal.removeEventListener('abort', pump)
      await release(journal, id).catch(() => {})
    }
  }

  return {
    receive,
    async backlog() {
      const now = row.get(id)
      if (now === undefined) return { messages: 0, bytes: 0 }
      const { cursor, acked } = now
      const pending = journal
        .statement(
          `SELECT count(*) AS messages, coalesce(sum(size), 0) AS bytes FROM message
           WHERE topic = ? AND seq > ? AND seq NOT IN (SELECT value FROM json_each(?))`,
        )
        .get(topic, Number(cursor), String(acked))
      return { messages: Number(pending?.['messages']), bytes: Number(pending?.['bytes']) }
    },
    async close() {
      if (options.expireMs === undefined) return
      await journal.write((db) => {
        db.prepare('DELETE FROM subscription WHERE id = ?').run(id)
      })
    },
  }
}

function makeSubscription(options: SubscriptionOptions, topic: number): Promise<number> {
  const { journal, name, filter = '', expireMs } = options
  parseFilter(filter)
  const find = journal.statement('SELECT id, topic, filter FROM subscription WHERE name = ?')
  const known = find.get(name)
  if (known !== undefined) {
    if (Number(known['topic']) !== topic || String(known['filter']) !== filter) {
      throw new NightjarError(
        'config_invalid',
        `Cannot open subscription "${name}": it stands on another topic or with filter ` +
          `${JSON.stringify(known['filter'])}, not ${JSON.stringify(filter)}`,
      )
    }
    return Promise.resolve(Number(known['id']))
  }
  return journal.write((db) => {
    const expires = expireMs === undefined ? null : Date.now() + expireMs
    const top = "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'message'), 0)"
    const { lastInsertRowid } = db
      .prepare(
        `INSERT INTO subscription (name, topic, filter, cursor, expires) VALUES (?, ?, ?, ${top}, ?)`,
      )
      .run(name, topic, filter, expires)
    return Number(lastInsertRowid)
  })
}

/** Become the one receiver. A receiver whose process is gone is succeeded. */
function takeUp(
  journal: Journal,
  id: number,
  name: string,
): Promise<{ cursor: number; acked: Set<number>; delivered: number }> {
  return journal.write((db) => {
    const row = db.prepare('SELECT * FROM subscription WHERE id = ?').get(id)
    const receiver = row?.['receiver']
    if (typeof receiver === 'number' && isAlive(receiver)) {
      throw new NightjarError(
        'home_busy',
        `Cannot receive from "${name}": process ${receiver} does already`,
      )
    }
    db.prepare('UPDATE subscription SET receiver = ? WHERE id = ?').run(process.pid, id)
    return {
      cursor: Number(row?.['cursor']),
      acked: new Set(JSON.parse(String(row?.['acked'])) as number[]),
      delivered: Number(row?.['delivered']),
    }
  })
}

function release(journal: Journal, id: number): Promise<void> {
  return journal.write((db) => {
    db.prepare('UPDATE subscription SET receiver = NULL WHERE id = ?').run(id)
  })
}

/** Count an attempt for all that was out when the last receiver died; answers attempts by message. */
function countCrash(
  journal: Journal,
  id: number,
  topic: number,
  cursor: number,
  delivered: number,
  acked: ReadonlySet<number>,
): Promise<Map<number, number>> {
  return journal.write((db) => {
    const out = db
      .prepare('SELECT seq FROM message WHERE topic = ? AND seq > ? AND seq <= ?')
      .all(topic, cursor, delivered)
    const raise = db.prepare(
      'INSERT INTO attempt VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET attempts = attempts + 1',
    )
    for (const row of out) {
      const seq = Number(row['seq'])
      if (!acked.has(seq)) raise.run(id, seq)
    }
    const rows = db.prepare('SELECT seq, attempts FROM attempt WHERE subscription = ?').all(id)
    return new Map(rows.map((row) => [Number(row['seq']), Number(row['attempts'])]))
  })
}

function isAlive(pid: number): boolean {
  // Its own process: a second receiver in here is refused, too.
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
