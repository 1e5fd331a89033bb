import assert from 'node:assert/strict'
import { suite, test } from 'node:test'

import { createPositions } from '../../../consumer/kafka/positions.ts'
import { createRandom } from '../../../simulator/random.ts'

suite('createPositions()', () => {
  const gap = (offset: bigint, span: bigint, lost?: true) => ({
    kind: 'gap',
    topic: 't',
    partition: 0,
    offset,
    span,
    ...(lost && { lost }),
  })

  test('tells what a fetch left out from what the broker had no more', () => {
    const at = createPositions('t')
    at.start(0, 10n)
    assert.deepEqual(at.take(0, 12n, 10n), [gap(10n, 2n)])
    assert.deepEqual(at.take(0, 20n, 18n), [gap(13n, 5n, true), gap(18n, 2n)])
    assert.deepEqual(at.pass(0, 23n, 18n), [gap(21n, 2n)])
    assert.equal(at.next(0), 23n)
  })

  test('hands no offset out twice, and none of a partition that is not ours', () => {
    const at = createPositions('t')
    assert.equal(at.take(0, 5n, 5n), null)
    at.start(0, 5n)
    assert.deepEqual(at.take(0, 5n, 5n), [])
    assert.equal(at.take(0, 5n, 5n), null)
    assert.deepEqual(at.pass(0, 4n, 0n), [])
    at.stop(0)
    assert.equal(at.take(0, 6n, 6n), null)
  })

  test('whatever is fetched again, each offset is handed out or spoken of exactly once', () => {
    for (let seed = 0; seed < 200; seed++) {
      const random = createRandom('positions', seed)
      const at = createPositions('t')
      const exists = Array.from({ length: 100 }, () => random.chance(0.7))
      const times = new Array<number>(100).fill(0)
      const speak = (gaps: { offset: bigint; span: bigint }[]): void => {
        for (const { offset, span } of gaps) {
          for (let i = offset; i < offset + span; i++)
            times[Number(i)] = (times[Number(i)] ?? 0) + 1
        }
      }
      at.start(0, 0n)
      while ((at.next(0) ?? 0n) < 100n) {
        // A fetch may begin anywhere up to what is expected, and its handler may stop anywhere.
        const from = random.whole(Number(at.next(0) ?? 0n) + 1)
        const end = Math.min(100, from + 1 + random.whole(30))
        const stop = random.chance(0.3) ? from + random.whole(10) : end
        for (let offset = from; offset < Math.min(end, stop); offset++) {
          if (exists[offset] !== true) continue
          const gaps = at.take(0, BigInt(offset), BigInt(from))
          if (gaps === null) continue
          speak(gaps)
          times[offset] = (times[offset] ?? 0) + 1
        }
        if (stop >= end) speak(at.pass(0, BigInt(end), BigInt(from)))
      }
      assert.ok(
        times.every((count) => count === 1),
        `seed ${seed}: ${times.join('')}`,
      )
    }
  })
})
