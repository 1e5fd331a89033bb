import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parseDuration } from '../../cli/duration.ts'

test('parseDuration() takes seconds, minutes and hours, and nothing else', () => {
  assert.deepEqual(['90s', '30m', '1.5h'].map(parseDuration), [90_000, 1_800_000, 5_400_000])
  for (const text of ['', '90', '0s', '-1s', '1d', '1 h', '1e3s', '999h']) {
    assert.throws(() => parseDuration(text), /Cannot take duration/)
  }
})
