/**
 * The answer of one machine to the Subscription port. The journal keeps, for each subscription, up to
 * where all is acked and what is acked beyond that; leases and back-off live in memory, since only one
 * receiver at a time may hold a subscription. What was handed out when a receiver died counts as an
 * attempt, so that a message which kills its receiver is told from one that never had its turn.
 */
import { NightjarError } from '../core/errors.ts'
import { parseFilter } from '../core/filter.ts'
import type { Delivery, Subscription } from '../core/ports.ts'
import { isAlive, pidOf, processMark } from './alive.ts'
import type { Journal } from './journal.ts'
import type { Messages, StoredMessage } from './messages.ts'

export interface SubscriptionOptions {
  journal: Journal
  messages: Messages
  topic: string
  name: string
  /** Pub/Sub's filter language; fixed when the subscription is made. Absent: whatever it was. */
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
  seq: number
  size: number
  /** Only until it is handed out; for a redelivery it is fetched again, so that leases stay small. */
  message: StoredMessage | undefined
  attempt: number
  state: 'waiting' | 'out' | 'acked'
  /** When `out`: the ack deadline. When `waiting`: not before this. */
  until: number
  /** Give back the room that the delivery takes, once. */
  free(): void
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
    { signal, maxBytes = 16 << 20, maxMessages = 256 }: Parameters<Subscription['receive']>[1],
  ): Promise<void> {
    const { cursor: start, acked, attempts } = await takeUp(journal, id, topic, name)
    /** In order of their numbers: from the first that is not acked on. */
    const leases: Lease[] = []
    let cursor = start
    let fetched = start
    /** The highest number that was handed out. */
    let delivered = start
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
      // What the last receiver acked counts on, fetched again or not yet.
      const done = leases.filter(({ state }) => state === 'acked').map(({ seq }) => seq)
      const beyond = [...done, ...acked]
      const expires = options.expireMs === undefined ? null : Date.now() + options.expireMs
      const low = cursor
      const high = delivered
      saving = journal
        .write((db) => {
          const { changes } = db
            .prepare(
              'UPDATE subscription SET cursor = ?, acked = ?, delivered = ?, expires = ? WHERE id = ?',
            )
            .run(low, JSON.stringify(beyond), high, expires, id)
          if (Number(changes) === 0) throw expired(name)
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
        cursor = (leases[done - 1] as Lease).seq
        leases.splice(0, done)
      }
      if (leases.length === 0) cursor = Math.max(cursor, fetched)
      dirty = true
      save()
    }

    function handOut(lease: Lease): void {
      const { seq, size, attempt } = lease
      const message =
        lease.message ?? messages.after(topic, seq - 1, { messages: 1, bytes: size })[0]
      if (message?.seq !== seq) throw expired(name)
      let held = true
      const free = (): void => {
        if (!held) return
        held = false
        outMessages--
        outBytes -= size
      }
      Object.assign(lease, { message: undefined, state: 'out', free })
      lease.until = Date.now() + ackDeadlineMs
      waiting--
      outMessages++
      outBytes += size
      delivered = Math.max(delivered, seq)
      const { data, attributes, at } = message
      const hand = (): Promise<void> =>
        handle({ data, attributes, attempt, id: String(seq), publishedAt: new Date(at) })
      hand().then(
        () => {
          free()
          // A late ack counts, too: what the handler did is durable, whoever has the message now.
          if (lease.state !== 'acked') ack(lease)
          pump()
        },
        () => {
          free()
          // A late rejection does not: the message is with another handler, or will be.
          if (lease.state === 'out' && lease.attempt === attempt) {
            retry(lease, Date.now() + Math.min(retryFirstMs * 2 ** (attempt - 1), retryMostMs))
          }
          pump()
        },
      )
      if (disorder && disorder.random() < disorder.duplicates) hand().catch(() => {})
    }

    function ack(lease: Lease): void {
      if (lease.state === 'waiting') waiting--
      lease.state = 'acked'
      if (lease.attempt > 1) forgetAttempts(lease.seq)
      if (lease === leases[0]) advance()
      else dirty = true
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
          ).run(id, lease.seq, attempt - 1)
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

    /** Room for a message of this size; one that is larger than all the room comes alone. */
    const fits = (size: number): boolean =>
      outMessages < maxMessages && (outMessages === 0 || outBytes + size <= maxBytes)

    /** Hand out what may be. Timers and other people's commits call it, so it must not throw. */
    function pump(): void {
      try {
        if (!signal.aborted && failure === undefined) fill()
      } catch (error) {
        failure ??= error
      }
      if (signal.aborted || failure !== undefined) wakeUp()
    }

    /** Hand out what waits, then fetch more, while there is room. */
    function fill(): void {
      if (waiting > 0) {
        const now = Date.now()
        for (const lease of leases) {
          if (lease.state !== 'waiting' || lease.until > now) continue
          if (!fits(lease.size)) return
          handOut(lease)
        }
      }
      // Of what is acked beyond a straggler only the number is kept; that too has a bound.
      while (outMessages < maxMessages && outBytes < maxBytes && leases.length < maxMessages * 16) {
        const found = messages.after(topic, fetched, {
          messages: maxMessages - outMessages,
          bytes: maxBytes - outBytes,
        })
        if (found.length === 0) return
        const fresh: Lease[] = []
        for (const message of found) {
          const { seq, size } = message
          fetched = seq
          if (!matches(message.attributes)) continue
          const attempt = (attempts.get(seq) ?? 0) + 1
          const lease: Lease = {
            seq,
            size,
            message,
            attempt,
            state: 'waiting',
            until: 0,
            free() {},
          }
          leases.push(lease)
          if (acked.delete(seq)) Object.assign(lease, { state: 'acked', message: undefined })
          else fresh.push(lease)
        }
        waiting += fresh.length
        if (disorder) fresh.sort(() => disorder.random() - 0.5)
        for (const lease of fresh) if (fits(lease.size)) handOut(lease)
        if ((leases[0]?.state ?? 'acked') === 'acked') advance()
        else {
          // The journal must know what is out before a handler has had time to die of it.
          dirty = true
          save()
        }
        if (fresh.some(({ state }) => state === 'waiting')) return
      }
    }

    function redeliverLapsed(): void {
      const now = Date.now()
      for (const lease of leases) {
        if (lease.state !== 'out' || lease.until > now) continue
        lease.free()
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
      delivered = cursor
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

async function makeSubscription(options: SubscriptionOptions, topic: number): Promise<number> {
  const { journal, name, filter, expireMs } = options
  parseFilter(filter ?? '')
  const find = journal.statement('SELECT id, topic, filter FROM subscription WHERE name = ?')
  const known = (): number | undefined => {
    const row = find.get(name)
    if (row === undefined) return undefined
    const other = filter !== undefined && String(row['filter']) !== filter
    if (Number(row['topic']) !== topic || other) {
      throw new NightjarError(
        'config_invalid',
        `Cannot open subscription "${name}": it stands on another topic or with filter ` +
          `${JSON.stringify(row['filter'])}, not ${JSON.stringify(filter ?? '')}`,
      )
    }
    return Number(row['id'])
  }
  const id = known()
  if (id !== undefined) return id
  return journal.write((db) => {
    // Somebody else may have made it since.
    const made = known()
    if (made !== undefined) return made
    const expires = expireMs === undefined ? null : Date.now() + expireMs
    const top = "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'message'), 0)"
    const { lastInsertRowid } = db
      .prepare(
        `INSERT INTO subscription (name, topic, filter, cursor, expires) VALUES (?, ?, ?, ${top}, ?)`,
      )
      .run(name, topic, filter ?? '', expires)
    return Number(lastInsertRowid)
  })
}

interface Standing {
  cursor: number
  acked: Set<number>
  /** How often messages beyond the cursor were handed out in vain. */
  attempts: Map<number, number>
}

/**
 * Become the one receiver. A receiver whose process is gone is succeeded, and what it had out when
 * it died counts as an attempt.
 */
function takeUp(journal: Journal, id: number, topic: number, name: string): Promise<Standing> {
  return journal.write((db) => {
    const row = db.prepare('SELECT * FROM subscription WHERE id = ?').get(id)
    if (row === undefined) throw expired(name)
    const receiver = row['receiver']
    // A second receiver in the same process is refused, too.
    if (typeof receiver === 'number' && isAlive(receiver)) {
      throw new NightjarError(
        'home_busy',
        `Cannot receive from "${name}": process ${pidOf(receiver)} does already`,
      )
    }
    const cursor = Number(row['cursor'])
    const acked = new Set(JSON.parse(String(row['acked'])) as number[])
    const out = db
      .prepare('SELECT seq FROM message WHERE topic = ? AND seq > ? AND seq <= ?')
      .all(topic, cursor, Number(row['delivered']))
    const raise = db.prepare(
      'INSERT INTO attempt VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET attempts = attempts + 1',
    )
    for (const { seq } of out) if (!acked.has(Number(seq))) raise.run(id, Number(seq))
    db.prepare('UPDATE subscription SET receiver = ?, delivered = cursor WHERE id = ?').run(
      processMark(),
      id,
    )
    const rows = db.prepare('SELECT seq, attempts FROM attempt WHERE subscription = ?').all(id)
    const attempts = new Map(rows.map((tried) => [Number(tried['seq']), Number(tried['attempts'])]))
    return { cursor, acked, attempts }
  })
}

function release(journal: Journal, id: number): Promise<void> {
  return journal.write((db) => {
    db.prepare('UPDATE subscription SET receiver = NULL WHERE id = ?').run(id)
  })
}

const expired = (name: string): NightjarError =>
  new NightjarError('home_unusable', `Cannot receive from "${name}": the subscription has expired`)
