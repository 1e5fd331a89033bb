import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createArrivals } from '../../simulator/arrivals.ts'
import { createPartitions } from '../../simulator/kafka.ts'
import { createRandom } from '../../simulator/random.ts'

test('take() gives what arrived by time, equal times in the order they came', () => {
  const arrivals = createArrivals<string>()
  const random = createRandom('arrivals')
  const pushed = Array.from({ length: 500 }, (_, i) => ({ at: random.whole(60), item: `${i}` }))
  for (const { at, item } of pushed) arrivals.push(at, item)
  const taken: string[] = []
  for (let next = arrivals.take(30); next; next = arrivals.take(30)) taken.push(next.item)
  const early = pushed.filter(({ at }) => at < 30).sort((a, b) => a.at - b.at)
  assert.deepEqual(
    taken,
    early.map(({ item }) => item),
  )
})

test('take() gives nothing before its time', () => {
  const arrivals = createArrivals<string>()
  assert.equal(arrivals.take(Infinity), undefined)
  arrivals.push(5, 'five')
  assert.equal(arrivals.take(5), undefined)
  assert.equal(arrivals.take(6)?.item, 'five')
})

test('createPartitions() fills partitions in turn and leaves the share of offsets asked for', () => {
  const land = createPartitions(3, 0.1, createRandom('kafka'))
  let missing = 0
  let last = [-1, -1, -1]
  for (let i = 0; i < 6000; i++) {
    const { partition, offset, gaps } = land()
    assert.equal(partition, i % 3)
    const before = last[partition] as number
    assert.deepEqual(
      [...gaps, offset],
      Array.from({ length: gaps.length + 1 }, (_, k) => before + 1 + k),
    )
    last = last.with(partition, offset)
    missing += gaps.length
  }
  const share = missing / (missing + 6000)
  assert.ok(Math.abs(share - 0.1) < 0.03, `${share} of the offsets are gaps`)
})
