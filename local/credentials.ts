/**
 * Credentials in a SQLite file, in the table that hpfeeds' own broker makes, so that either broker, and
 * anybody with an SQL shell, may use the same file. Each look-up reads the table: a change counts from
 * the next connection on.
 */
import { closeSync, existsSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'

import { checkFeedName, type Credential, type CredentialSource } from '../core/credential.ts'
import { NightjarError, sentenceOf } from '../core/errors.ts'

export interface Credentials extends CredentialSource {
  /** Rejects with `input_invalid` where the ident is there already. */
  add(credential: Credential): void
  list(): Credential[]
  /** False where there was no such ident. */
  remove(ident: string): boolean
  /** Give an ident another secret; false where there is no such ident. */
  rotate(ident: string, secret: string): boolean
}

const table = `
CREATE TABLE IF NOT EXISTS authkeys (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  owner TEXT,
  ident TEXT,
  secret TEXT,
  pubchans TEXT,
  subchans TEXT
)`

/** Somebody else's transaction is waited for this long. */
const busyMs = 2000

/** Open a file of credentials, made if it is not there. Throws `home_unusable`. */
export function openCredentials(file: string): Credentials {
  const db = openFile(file)
  const find = db.prepare('SELECT * FROM authkeys WHERE ident = ? ORDER BY id LIMIT 1')
  const all = db.prepare('SELECT * FROM authkeys ORDER BY ident, id')

  return {
    async find(ident) {
      const row = find.get(ident)
      return row === undefined ? undefined : credentialOf(row, file)
    },
    list: () => all.all().map((row) => credentialOf(row, file)),
    add({ owner, ident, secret, publish, subscribe }) {
      checkFeedName('ident', ident)
      for (const channel of [...publish, ...subscribe]) checkFeedName('channel', channel)
      const { changes } = db
        .prepare(
          `INSERT INTO authkeys (owner, ident, secret, pubchans, subchans)
           SELECT ?, ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM authkeys WHERE ident = ?)`,
        )
        .run(owner, ident, secret, JSON.stringify(publish), JSON.stringify(subscribe), ident)
      if (Number(changes) > 0) return
      throw new NightjarError(
        'input_invalid',
        `Cannot add ident "${ident}" to "${file}": it is there already; remove it first, or rotate its secret`,
      )
    },
    remove: (ident) =>
      Number(db.prepare('DELETE FROM authkeys WHERE ident = ?').run(ident).changes) > 0,
    rotate: (ident, secret) =>
      Number(
        db.prepare('UPDATE authkeys SET secret = ? WHERE ident = ?').run(secret, ident).changes,
      ) > 0,
    close: () => db.close(),
  }
}

function openFile(file: string): DatabaseSync {
  try {
    // It holds secrets as they are: nobody else need read it.
    if (!existsSync(file)) closeSync(openSync(file, 'a', 0o600))
    const db = new DatabaseSync(file, { timeout: busyMs })
    db.exec(table)
    return db
  } catch (cause) {
    throw new NightjarError(
      'home_unusable',
      `Cannot open credentials "${file}": ${sentenceOf(cause)}`,
      { cause },
    )
  }
}

function credentialOf(row: Record<string, unknown>, file: string): Credential {
  const { owner, ident, secret, pubchans, subchans } = row
  const name = String(ident)
  if (typeof secret !== 'string') {
    throw new NightjarError('input_invalid', `Cannot take ident "${name}" of "${file}": no secret`)
  }
  return {
    owner: typeof owner === 'string' ? owner : '',
    ident: name,
    secret,
    publish: channelsOf(pubchans, `pubchans of "${name}" in "${file}"`),
    subscribe: channelsOf(subchans, `subchans of "${name}" in "${file}"`),
  }
}

function channelsOf(value: unknown, what: string): string[] {
  let list: unknown
  try {
    list = value === null || value === '' ? [] : JSON.parse(String(value))
  } catch {
    list = undefined
  }
  if (Array.isArray(list) && list.every((name) => typeof name === 'string')) return list
  throw new NightjarError(
    'input_invalid',
    `Cannot take ${what}: ${JSON.stringify(value)} is no JSON list of names, such as ["chan1"]`,
  )
}
