import assert from 'node:assert/strict'
import { test } from 'node:test'

import { torture } from './torture.ts'

test('a broker that is killed again and again loses nothing and stores nothing twice', async () => {
  const { rounds, homes } = await torture({ rounds: 10, seed: 'test' })
  assert.equal(rounds, 10)
  assert.ok(homes >= 2)
})
