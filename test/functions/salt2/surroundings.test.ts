import assert from 'node:assert/strict'
import { test } from 'node:test'

import { surroundingsOf } from '../../../functions/salt2/surroundings.ts'

test('a packet without a position, or with NaN for it, has no known dust and is fitted all the same', () => {
  const ask = surroundingsOf((objectId) => (objectId === 'known' ? 0.05 : undefined))
  const none = { mwebv: 0, mwebvSource: 'none' }
  for (const [ra, dec] of [
    [null, null],
    [NaN, 20],
    [150, NaN],
  ] as const) {
    assert.deepEqual(ask('a', ra, dec), none)
    assert.deepEqual(ask('known', ra, dec), { z: 0.05, ...none })
  }
  assert.equal(ask('a', 150, 40).mwebvSource, 'bh1982')
})
