import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parseDuration } from '../../cli/duration.ts'

test('parseDuration() takes seconds, minutes and hours, and nothing else', () => {
  assert.deepEqual(['90s', '30m', '1.5h', '2d'].map(parseDuration), [90e3, 1.8e6, 5.4e6, 172.8e6])
  for (const text of ['', '90', '0s', '-1s', '1w', '8d', '1 h', '1e3s', '999h']) {
    assert.throws(() => parseDuration(text), /Cannot take duration/)
  }
})
