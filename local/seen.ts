/** Identities of events that a gateway has accepted, in a SQLite file; the old ones are forgotten. */
import { mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

import { NightjarError, sentenceOf } from '../core/errors.ts'

export interface SeenEvents {
  has(identity: string): boolean
  add(identity: string, at: Date): void
  close(): void
}

const pruneEveryMs = 6 * 3_600_000

/**
 * Open the store in a folder, which is made if it is not there. Throws `home_unusable` where it cannot be.
 *
 * @param keepMs how long an identity counts
 */
export function openSeenEvents(
  folder: string,
  keepMs: number,
  now: () => number = Date.now,
): SeenEvents {
  let database: DatabaseSync
  try {
    mkdirSync(folder, { recursive: true })
    if (!statSync(folder).isDirectory()) throw new Error('it is no folder')
    database = new DatabaseSync(join(folder, 'voevents.sqlite'))
    // Not synced event by event: a process that is killed forgets nothing, and a machine that loses its
    // power the last few, which may then be accepted twice.
    database.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = NORMAL;
      PRAGMA busy_timeout = 5000;
      CREATE TABLE IF NOT EXISTS seen (identity TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
    `)
  } catch (cause) {
    throw new NightjarError(
      'home_unusable',
      `Cannot keep seen events in "${folder}": ${sentenceOf(cause)}`,
      { cause },
    )
  }
  const find = database.prepare('SELECT at FROM seen WHERE identity = ?')
  const insert = database.prepare('INSERT OR IGNORE INTO seen VALUES (?, ?)')
  const forget = database.prepare('DELETE FROM seen WHERE at <= ?')
  const prune = (): void => void forget.run(now() - keepMs)
  prune()
  const timer = setInterval(prune, pruneEveryMs).unref()
  return {
    has(identity) {
      const row = find.get(identity)
      return row !== undefined && now() - Number(row['at']) < keepMs
    },
    add(identity, at) {
      // An identity that has grown too old to count may stand there still.
      forget.run(now() - keepMs)
      insert.run(identity, at.getTime())
    },
    close() {
      clearInterval(timer)
      database.close()
    },
  }
}
