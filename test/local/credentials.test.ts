import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, test } from 'node:test'

import { openCredentials } from '../../local/credentials.ts'

const dir = mkdtempSync(join(tmpdir(), 'nightjar-credentials-'))
after(() => rmSync(dir, { recursive: true }))

const alice = {
  owner: 'lab',
  ident: 'alice',
  secret: 's3cret',
  publish: ['a', '☃'],
  subscribe: ['a'],
}

test('what is added is found, listed, rotated and removed', async () => {
  const file = join(dir, 'keys.db')
  const keys = openCredentials(file)
  assert.equal(await keys.find('alice'), undefined)
  keys.add(alice)
  assert.deepEqual(await keys.find('alice'), alice)
  assert.deepEqual(keys.list(), [alice])
  assert.throws(() => keys.add(alice), { code: 'input_invalid', message: /is there already/ })
  assert.equal(keys.rotate('alice', 'other'), true)
  assert.equal((await keys.find('alice'))?.secret, 'other')
  assert.equal(keys.rotate('bob', 'other'), false)
  assert.equal(keys.remove('alice'), true)
  assert.equal(keys.remove('alice'), false)
  keys.close()
})

test('a file of secrets is made for its owner alone', () => {
  const file = join(dir, 'private.db')
  openCredentials(file).close()
  assert.equal(statSync(file).mode & 0o777, 0o600)
})

test('names that hpfeeds cannot carry are refused before they are kept', () => {
  const keys = openCredentials(join(dir, 'names.db'))
  for (const bad of [
    { ...alice, ident: '' },
    { ...alice, ident: 'x'.repeat(256) },
    { ...alice, publish: ['☃'.repeat(86)] },
  ]) {
    assert.throws(() => keys.add(bad), { code: 'input_invalid', message: /1 to 255 are allowed/ })
  }
  assert.deepEqual(keys.list(), [])
  keys.close()
})

test('a row that somebody wrote by hand and wrote wrong is an error that shows it', async () => {
  const file = join(dir, 'hand.db')
  const keys = openCredentials(file)
  const db = new DatabaseSync(file)
  const insert = db.prepare(
    'INSERT INTO authkeys (owner, ident, secret, pubchans, subchans) VALUES (?, ?, ?, ?, ?)',
  )
  insert.run(null, 'plain', 'x', 'chan1', '[]')
  insert.run(null, 'empty', 'x', null, '')
  insert.run(null, 'none', null, '[]', '[]')
  db.close()
  await assert.rejects(keys.find('plain'), {
    message: `Cannot take pubchans of "plain" in "${file}": "chan1" is no JSON list of names, such as ["chan1"]`,
  })
  assert.deepEqual(await keys.find('empty'), {
    ...{ owner: '', ident: 'empty', secret: 'x', publish: [], subscribe: [] },
  })
  await assert.rejects(keys.find('none'), { message: /no secret/ })
  keys.close()
})

test('what is no SQLite file is refused in one sentence', () => {
  const file = join(dir, 'text.db')
  writeFileSync(file, 'this is no database, it is a text of more than a hundred bytes. '.repeat(4))
  assert.throws(() => openCredentials(file), {
    code: 'home_unusable',
    message: `Cannot open credentials "${file}": file is not a database`,
  })
})
