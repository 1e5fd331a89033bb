import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { openSeenEvents } from '../../local/seen.ts'

const folder = mkdtempSync(join(tmpdir(), 'nightjar-seen-'))
after(() => rmSync(folder, { recursive: true }))
const day = 86_400_000

test('C8 the folder is made, and what was seen outlives the process', () => {
  const place = join(folder, 'a', 'b')
  const first = openSeenEvents(place, 30 * day)
  assert.equal(first.has('x'), false)
  first.add('x', new Date())
  first.close()
  const second = openSeenEvents(place, 30 * day)
  assert.equal(second.has('x'), true)
  second.close()
})

test('C8 a file where the folder should be is told at once', () => {
  const file = join(folder, 'file')
  writeFileSync(file, '')
  assert.throws(() => openSeenEvents(file, day), { code: 'home_unusable' })
})

test('C9 after its time an identity counts no more, and can be seen anew', () => {
  let now = Date.now()
  const seen = openSeenEvents(join(folder, 'old'), 30 * day, () => now)
  seen.add('x', new Date(now))
  now += 30 * day - 1
  assert.equal(seen.has('x'), true)
  now += 1
  assert.equal(seen.has('x'), false)
  seen.add('x', new Date(now))
  assert.equal(seen.has('x'), true)
  seen.close()
})

test('two processes may keep what they saw in one folder', () => {
  const place = join(folder, 'shared')
  const [one, two] = [openSeenEvents(place, day), openSeenEvents(place, day)]
  one.add('x', new Date())
  assert.equal(two.has('x'), true)
  one.close()
  two.close()
})
