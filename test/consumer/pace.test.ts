import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createPace } from '../../consumer/pace.ts'

const never = new AbortController().signal

test('createPace() holds a loop to its rate, without a burst after a pause', async () => {
  const pace = createPace(200)
  const began = performance.now()
  for (let turn = 0; turn < 100; turn++) await pace(never)
  const tookMs = performance.now() - began
  assert.ok(tookMs > 350, `100 turns at 200/s took ${tookMs} ms`)
  await new Promise((resolve) => setTimeout(resolve, 400))
  const again = performance.now()
  for (let turn = 0; turn < 60; turn++) await pace(never)
  const moreMs = performance.now() - again
  assert.ok(moreMs > 150, `60 turns after a pause took ${moreMs} ms`)
})

test('createPace() without a rate never waits', async () => {
  const pace = createPace(undefined)
  const began = performance.now()
  for (let turn = 0; turn < 10_000; turn++) await pace(never)
  assert.ok(performance.now() - began < 1000)
})

test('createPace() does not keep one waiting who is told to stop', async () => {
  const pace = createPace(0.1)
  const stop = new AbortController()
  await pace(stop.signal)
  const began = performance.now()
  setTimeout(() => stop.abort(), 30)
  await pace(stop.signal)
  await pace(stop.signal)
  assert.ok(performance.now() - began < 2000)
})
