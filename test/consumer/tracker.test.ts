import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createTracker } from '../../consumer/tracker.ts'

/** Numbers that are the same at every run (Lehmer). */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => (state = (state * 48271) % 2147483647) / 2147483647
}

test('next() is at most every offset that is not done, and the end when all are', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = randomFrom(seed)
    const start = random() < 0.5 ? undefined : BigInt(Math.floor(random() * 1e6))
    const tracker = createTracker(start)
    let next = start ?? BigInt(Math.floor(random() * 1e6))
    let committed = start
    // Every offset of the partition that is not accounted for, gaps included.
    const open = new Set<bigint>()
    const begun: { offset: bigint; gap: bigint }[] = []
    const check = (): void => {
      const now = tracker.next()
      if (now === undefined) assert.equal(committed, undefined)
      else {
        assert.ok(committed === undefined || now >= committed, 'it never goes back')
        for (const offset of open) assert.ok(now <= offset, `${now} ≤ ${offset} with seed ${seed}`)
        committed = now
      }
    }
    for (let step = 0; step < 120; step++) {
      if (random() < 0.5) {
        // Not before the first of a partition without start: there a gap cannot be known.
        const known = start !== undefined || step > 0
        const gap = known && random() < 0.2 ? BigInt(1 + Math.floor(random() * 40)) : 0n
        const offset = next + (begun.length === 0 && start === undefined ? 0n : gap)
        const answered = tracker.begin(offset)
        for (let at = next; at <= offset; at++) open.add(at)
        assert.equal(answered, offset - next)
        begun.push({ offset, gap: answered })
        next = offset + 1n
      } else if (begun.length > 0) {
        const [done] = begun.splice(Math.floor(random() * begun.length), 1)
        if (done === undefined) continue
        for (let at = done.offset - done.gap; at <= done.offset; at++) open.delete(at)
        tracker.done(done.offset)
      }
      check()
    }
    const any = begun.length > 0 || committed !== undefined
    for (const { offset, gap } of begun) {
      for (let at = offset - gap; at <= offset; at++) open.delete(at)
      tracker.done(offset)
      check()
    }
    assert.equal(open.size, 0)
    if (any && (start === undefined || next > start)) assert.equal(tracker.next(), next)
  }
})

test('begin() refuses to go back, for then a commit would mean nothing', () => {
  const tracker = createTracker(5n)
  assert.equal(tracker.begin(7n), 2n)
  for (const offset of [7n, 6n, 0n]) {
    assert.throws(() => tracker.begin(offset), {
      code: 'source_failed',
      message: `Cannot go back to offset ${offset}: 8 should come next`,
    })
  }
})

test('next() holds a gap back until the record after it is done', () => {
  const tracker = createTracker(10n)
  tracker.begin(20n)
  tracker.begin(21n)
  tracker.done(21n)
  assert.equal(tracker.next(), 10n)
  tracker.done(20n)
  assert.equal(tracker.next(), 22n)
})

test('next() is undefined until the first of a new partition is done', () => {
  const tracker = createTracker()
  assert.equal(tracker.next(), undefined)
  assert.equal(tracker.begin(7n), 0n)
  assert.equal(tracker.begin(8n), 0n)
  tracker.done(8n)
  assert.equal(tracker.next(), undefined)
  tracker.done(7n)
  assert.equal(tracker.next(), 9n)
})
