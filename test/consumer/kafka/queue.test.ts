import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { createQueue } from '../../../consumer/kafka/queue.ts'

const never = new AbortController().signal

suite('createQueue()', () => {
  test('gives what was put in, in order, and ends when all is taken', async () => {
    const queue = createQueue<number>(10)
    for (let i = 0; i < 3000; i++) queue.put(i)
    queue.end()
    const taken: number[] = []
    for await (const item of queue.items(never)) taken.push(item)
    assert.deepEqual(taken, [...Array(3000).keys()])
    assert.equal(queue.isEmpty(), true)
  })

  test('has no room from its limit on, and says when there is again', async () => {
    const queue = createQueue<string>(100)
    queue.put('a', 60)
    assert.equal(queue.hasRoom(), true)
    queue.put('b', 60)
    assert.equal(queue.hasRoom(), false)
    const items = queue.items(never)
    const begun = performance.now()
    const room = queue.room(60_000)
    await items.next()
    await room
    assert.ok(performance.now() - begun < 5000)
    assert.equal(queue.hasRoom(), true)
  })

  test('drops what is unwanted, with its bytes', async () => {
    const queue = createQueue<number>(100)
    for (let i = 0; i < 10; i++) queue.put(i, 20)
    queue.drop((item) => item % 2 === 0)
    queue.end()
    const taken: number[] = []
    for await (const item of queue.items(never)) taken.push(item)
    assert.deepEqual(taken, [1, 3, 5, 7, 9])
    assert.equal(queue.hasRoom(), true)
  })

  test('throws at once where it has failed, and ends at the signal', async () => {
    const failed = createQueue<number>(100)
    failed.put(1)
    failed.fail(new Error('gone'))
    await assert.rejects(failed.items(never).next(), /gone/)
    const stop = new AbortController()
    const waiting = createQueue<number>(100).items(stop.signal).next()
    await pause(5)
    stop.abort()
    assert.equal((await waiting).done, true)
  })
})
