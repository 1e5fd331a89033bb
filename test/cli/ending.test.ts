import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { endInTime } from '../../cli/ending.ts'

const never = new Promise<never>(() => {})

test('work that nothing asks to end may be silent for as long as it likes', async () => {
  const { signal } = new AbortController()
  assert.equal(await endInTime(signal, () => pause(100, 'done'), 10), 'done')
})

test('work that is silent after the signal is given up, and told why', async () => {
  const stop = new AbortController()
  const ended = endInTime(stop.signal, () => never, 50)
  stop.abort()
  await assert.rejects(ended, /^NightjarError: Cannot end in order: .* for 0\.05 s.* comes again$/)
  await assert.rejects(
    endInTime(stop.signal, () => never, 50),
    { code: 'source_failed' },
  )
})

test('work that gets on after the signal is waited for', async () => {
  const stop = new AbortController()
  async function work(alive: () => void): Promise<string> {
    for (let step = 0; step < 8; step++) {
      await pause(250)
      alive()
    }
    return 'done'
  }
  stop.abort()
  assert.equal(await endInTime(stop.signal, work, 1500), 'done')
})
