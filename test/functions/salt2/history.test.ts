import assert from 'node:assert/strict'
import { test } from 'node:test'

import { NightjarError } from '../../../core/errors.ts'
import {
  formatHistory,
  maxPoints,
  mergeHistory,
  mergeIntoStore,
  parseHistory,
} from '../../../functions/salt2/history.ts'
import type { Measurement } from '../../../functions/salt2/measurement.ts'
import { createRandom, type Random } from '../../../simulator/random.ts'
import { fakeStore } from '../fakes.ts'

/** Points that often are of the same exposure, told alike or not. */
function somePoints(random: Random, most: number, days = 12): Measurement[] {
  return Array.from({ length: random.whole(most) }, () => ({
    band: random.pick(['g', 'r', 'i'] as const),
    kind: random.chance(0.3) ? ('forced' as const) : ('detection' as const),
    jd: 2459000.5 + random.whole(days) + random.whole(2) * 1e-7,
    flux: random.pick([-5, 0, 5, random.normal()]),
    fluxErr: random.pick([1, 2, random.between(0.1, 3)]),
  }))
}

const bytes = (points: readonly Measurement[]): string =>
  Buffer.from(formatHistory(points)).toString()

const merge = (one: readonly Measurement[], other: readonly Measurement[]): Measurement[] =>
  mergeHistory(one, other)

test('mergeHistory() is commutative, associative and idempotent, to the byte', () => {
  for (let seed = 0; seed < 500; seed++) {
    const random = createRandom('history', seed)
    const [a, b, c] = [somePoints(random, 12), somePoints(random, 12), somePoints(random, 12)]
    const whole = bytes(merge(merge(a, b), c))
    assert.equal(bytes(merge(a, merge(b, c))), whole, `seed ${seed}`)
    assert.equal(bytes(merge(merge(c, a), b)), whole, `seed ${seed}`)
    assert.equal(bytes(merge(merge(a, b), merge(a, a))), bytes(merge(a, b)), `seed ${seed}`)
  }
})

test('a light curve is bounded by its newest points, in whatever order they come', () => {
  const random = createRandom('bounded')
  const points = Array.from({ length: 3 * maxPoints }, (_, i) => ({
    ...{ band: 'g' as const, kind: 'detection' as const, jd: 2459000.5 + i },
    ...{ flux: random.normal(), fluxErr: 1 },
  }))
  const newest = points.slice(-maxPoints)
  const parts = [points.slice(0, 1200), points.slice(800, 2500), points.slice(2000)]
  assert.deepEqual(parts.reduce(merge, []), newest)
  assert.deepEqual(parts.toReversed().reduce(merge, []), newest)
  assert.ok(formatHistory(newest).length < 100_000)
})

test('a light curve comes back from its bytes as it was', () => {
  const points = merge(somePoints(createRandom('bytes'), 40), [])
  assert.deepEqual(parseHistory(formatHistory(points)), points)
  assert.deepEqual(parseHistory(formatHistory([])), [])
})

test('what is no light curve is refused by a sentence that shows it', () => {
  const texts = [
    '',
    '{"points":[["z","detection",1,2,3]]}',
    '{"points":[["g","forced",1,2]]}',
    '{"points":[["g","limit",1,2,3]]}',
  ]
  for (const text of texts) {
    assert.throws(() => parseHistory(Buffer.from(text)), {
      code: 'input_invalid',
      message: `Cannot read a stored light curve: ${JSON.stringify(text)}`,
    })
  }
})

test('alerts that come at once, twice and out of order end in the same object', async () => {
  const random = createRandom('store')
  const packets = Array.from({ length: 12 }, () => somePoints(random, 10, 40))
  const expected = bytes(packets.reduce(merge, []))
  for (let round = 0; round < 5; round++) {
    const store = fakeStore()
    // A store that takes its time, so that others come between a read and its write.
    const slow = {
      ...store,
      async read(name: string) {
        await new Promise((resolve) => setTimeout(resolve, random.whole(4)))
        return store.read(name)
      },
    }
    const order = [...packets, ...packets].sort(() => random.next() - 0.5)
    await Promise.all(order.map((points) => mergeIntoStore(slow, 'curve', points)))
    assert.equal(Buffer.from((await store.read('curve'))?.data ?? []).toString(), expected)
  }
})

test('what is known already is not written again', async () => {
  const store = fakeStore()
  const points = somePoints(createRandom('again'), 10)
  await mergeIntoStore(store, 'curve', points)
  await mergeIntoStore(store, 'curve', points.slice(1))
  assert.equal((await store.read('curve'))?.object.generation, '1')
})

test('an object that others always replace first is an error that passes', async () => {
  const store = { ...fakeStore(), replace: async () => null }
  await assert.rejects(
    mergeIntoStore(store, 'curve', []),
    (error) => error instanceof NightjarError && error.code === 'store_failed',
  )
})
