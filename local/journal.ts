/**
 * The journal of one home directory: a SQLite file in which everything is durable before it counts.
 *
 * Work that comes at about the same time shares one transaction and one sync to disk (group commit).
 * Several processes may have the journal open; SQLite lets one write at a time, and numbers messages
 * in the order of their commits, so a reader who goes by ascending number misses none.
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite'

import { NightjarError, sentenceOf } from '../core/errors.ts'

const schema = `
CREATE TABLE IF NOT EXISTS topic (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE IF NOT EXISTS message (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  topic INTEGER NOT NULL REFERENCES topic,
  at INTEGER NOT NULL,
  size INTEGER NOT NULL,
  attributes TEXT NOT NULL,
  -- Small data stands here; large data stands in a segment, "length" bytes from "place" on.
  data BLOB,
  segment TEXT,
  place INTEGER,
  length INTEGER
) STRICT;
CREATE INDEX IF NOT EXISTS message_of_topic ON message (topic, seq, size);
CREATE INDEX IF NOT EXISTS message_of_segment ON message (segment) WHERE segment IS NOT NULL;

-- cursor: every message up to it is acked; acked: those above it that are too, as JSON;
-- delivered: the highest ever handed out, so that a crash counts as an attempt.
CREATE TABLE IF NOT EXISTS subscription (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  topic INTEGER NOT NULL REFERENCES topic,
  filter TEXT NOT NULL,
  cursor INTEGER NOT NULL,
  acked TEXT NOT NULL DEFAULT '[]',
  delivered INTEGER NOT NULL DEFAULT 0,
  receiver INTEGER,
  expires INTEGER
) STRICT;

CREATE TABLE IF NOT EXISTS attempt (
  subscription INTEGER NOT NULL REFERENCES subscription ON DELETE CASCADE,
  seq INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  PRIMARY KEY (subscription, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS object (
  bucket TEXT NOT NULL,
  name TEXT NOT NULL,
  size INTEGER NOT NULL,
  crc32c INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  metadata TEXT NOT NULL,
  data BLOB,
  PRIMARY KEY (bucket, name)
) STRICT, WITHOUT ROWID;
`

/** Rows are small and many come in one transaction. */
const pageBytes = 8192

export interface Journal {
  readonly file: string
  /**
   * Do some writing in the next shared transaction. Resolves with what `work` returned when that is
   * durable; rejects, with nothing written by `work`, where it threw or the disk refused.
   * `weight` in bytes tells when a transaction is full.
   */
  write<T>(work: (db: DatabaseSync) => T, weight?: number): Promise<T>
  /** A prepared statement, made once. */
  statement(sql: string): StatementSync
  /** A number that changes whenever another process, or thread, has written. */
  version(): number
  /** Be told of each transaction of ours. */
  observe(observer: Observer): void
  close(): Promise<void>
}

export interface Observer {
  /** Inside the transaction, before its work, with `version()` as it is then. */
  begun?(version: number): void
  committed?(): void
  rolledBack?(): void
}

export interface JournalOptions {
  file: string
  /** How long a transaction waits for company. */
  lingerMs?: number
  /** A transaction with this much work does not wait. */
  fullBytes?: number
}

interface Work {
  run(db: DatabaseSync): void
  resolve(): void
  reject(error: unknown): void
}

/** Open, or make, a journal. Throws `home_unusable` with one sentence where that cannot be. */
export function openJournal({ file, lingerMs = 8, fullBytes = 4 << 20 }: JournalOptions): Journal {
  const db = openDatabase(file)
  const statements = new Map<string, StatementSync>()
  const observers: Observer[] = []
  let queue: Work[] = []
  let queuedBytes = 0
  let timer: NodeJS.Timeout | undefined
  let immediate: NodeJS.Immediate | undefined
  let closed = false

  const statement = (sql: string): StatementSync => {
    let prepared = statements.get(sql)
    if (prepared === undefined) {
      prepared = db.prepare(sql)
      statements.set(sql, prepared)
    }
    return prepared
  }
  const begin = statement('BEGIN IMMEDIATE')
  const commit = statement('COMMIT')
  const dataVersion = statement('PRAGMA data_version')
  const version = (): number => Number(dataVersion.get()?.['data_version'])

  function transact(works: Work[]): void {
    begin.run()
    try {
      const now = version()
      for (const observer of observers) observer.begun?.(now)
      for (const work of works) work.run(db)
      commit.run()
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK')
      for (const observer of observers) observer.rolledBack?.()
      throw error
    }
    // What is committed is committed: an observer that throws must not have it done again.
    for (const observer of observers) {
      try {
        observer.committed?.()
      } catch (error) {
        setImmediate(() => {
          throw error
        })
      }
    }
  }

  function flush(): void {
    clearTimeout(timer)
    clearImmediate(immediate)
    timer = immediate = undefined
    if (queue.length === 0) return
    const works = queue
    queue = []
    queuedBytes = 0
    try {
      transact(works)
    } catch (error) {
      if (works.length === 1) return works[0]?.reject(asWriteError(error, file))
      // One of them may be to blame: each gets a transaction of its own, so the others do not suffer.
      for (const work of works) {
        try {
          transact([work])
          work.resolve()
        } catch (own) {
          work.reject(asWriteError(own, file))
        }
      }
      return
    }
    for (const work of works) work.resolve()
  }

  return {
    file,
    statement,
    version,
    observe: (observer) => observers.push(observer),
    write(work, weight = 0) {
      if (closed)
        return Promise.reject(
          new NightjarError('publish_failed', `Cannot write to journal "${file}": it is closed`),
        )
      return new Promise((resolve, reject) => {
        let result: ReturnType<typeof work>
        queue.push({
          run: (database) => (result = work(database)),
          resolve: () => resolve(result),
          reject,
        })
        queuedBytes += weight
        if (queuedBytes >= fullBytes) immediate ??= setImmediate(flush)
        else timer ??= setTimeout(flush, lingerMs)
      })
    },
    async close() {
      if (closed) return
      flush()
      closed = true
      try {
        db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
      } catch {
        // Another process still reads, or the disk is full: the journal recovers from its log.
      }
      db.close()
    },
  }
}

function openDatabase(file: string): DatabaseSync {
  try {
    const db = new DatabaseSync(file, { timeout: 10_000 })
    db.exec(`PRAGMA page_size = ${pageBytes}`)
    db.exec('PRAGMA journal_mode = WAL')
    // FULL syncs the log at every commit: what was acknowledged survives a power cut, too.
    db.exec('PRAGMA synchronous = FULL')
    db.exec(`PRAGMA wal_autocheckpoint = ${Math.round((16 << 20) / pageBytes)}`)
    db.exec(`PRAGMA journal_size_limit = ${32 << 20}`)
    db.exec('PRAGMA cache_size = -32768')
    db.exec('PRAGMA foreign_keys = ON')
    db.exec(schema)
    return db
  } catch (cause) {
    throw new NightjarError(
      'home_unusable',
      `Cannot open the journal "${file}": ${sentenceOf(cause)}; ` +
        'see that the folder can be written to and its disk is not full',
      { cause },
    )
  }
}

function asWriteError(error: unknown, file: string): unknown {
  if (error instanceof NightjarError) return error
  return new NightjarError(
    'publish_failed',
    `Cannot write to journal "${file}": ${sentenceOf(error)}`,
    { cause: error },
  )
}
