import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'

import {
  createBitmap,
  difference,
  hashBitmap,
  intersection,
  rangeBitmap,
  runs,
  union,
  type Bitmap,
} from '../../conductor/bitmap.ts'

/** Numbers that are the same at every run (Lehmer). */
function randomFrom(seed: number): (below: number) => number {
  let state = seed
  return (below) => Math.floor(((state = (state * 48271) % 2147483647) / 2147483647) * below)
}

const bases = [0n, 31n, 32n, 2n ** 40n, 2n ** 40n + 17n]

function bitmapOf(offsets: Iterable<bigint>): Bitmap {
  const bitmap = createBitmap()
  for (const offset of offsets) bitmap.add(offset)
  return bitmap
}

/** Runs as they follow from the definition. */
function runsOf(offsets: Iterable<bigint>): { first: bigint; count: number }[] {
  const found: { first: bigint; count: number }[] = []
  for (const offset of [...offsets].sort((a, b) => (a < b ? -1 : 1))) {
    const last = found.at(-1)
    if (last !== undefined && last.first + BigInt(last.count) === offset) last.count++
    else found.push({ first: offset, count: 1 })
  }
  return found
}

const offsetsOf = (bitmap: Bitmap): bigint[] =>
  [...runs(bitmap)].flatMap(({ first, count }) =>
    Array.from({ length: count }, (_, at) => first + BigInt(at)),
  )

/** A set in an order of no kind, with runs and loners. */
function someOffsets(base: bigint, below: (n: number) => number): Set<bigint> {
  const offsets = new Set<bigint>()
  for (let n = below(40); n > 0; n--) {
    const start = base + BigInt(below(3000))
    for (let at = below(3) === 0 ? below(150) : 0; at >= 0; at--) offsets.add(start + BigInt(at))
  }
  return offsets
}

test('a bitmap is the set of what was added, in whatever order', () => {
  for (const [index, base] of bases.entries()) {
    const below = randomFrom(index + 1)
    for (let round = 0; round < 40; round++) {
      const offsets = someOffsets(base, below)
      const bitmap = bitmapOf(offsets)
      assert.equal(bitmap.count(), offsets.size)
      assert.deepEqual([...runs(bitmap)], runsOf(offsets))
      for (let probe = 0; probe < 100; probe++) {
        const offset = base + BigInt(below(3300))
        assert.equal(bitmap.has(offset), offsets.has(offset))
      }
    }
  }
})

test('union(), difference() and intersection() are those of sets', () => {
  for (const [index, base] of bases.entries()) {
    const below = randomFrom(index + 11)
    for (let round = 0; round < 40; round++) {
      const a = someOffsets(base, below)
      const b = someOffsets(base + BigInt(below(200)), below)
      const [mapA, mapB] = [bitmapOf(a), bitmapOf(b)]
      const same = (bitmap: Bitmap, set: Set<bigint>): void =>
        assert.deepEqual([...runs(bitmap)], runsOf(set))
      same(union([mapA, mapB]), new Set([...a, ...b]))
      same(difference(mapA, mapB), new Set([...a].filter((each) => !b.has(each))))
      same(intersection(mapA, mapB), new Set([...a].filter((each) => b.has(each))))
      same(union([]), new Set())
      same(difference(mapA, createBitmap()), a)
      same(difference(createBitmap(), mapA), new Set())
    }
  }
})

test('add() takes offsets that come in descending order, thousands of them', () => {
  const bitmap = createBitmap()
  const count = 200_000
  for (let at = count - 1; at >= 0; at--) bitmap.add(2n ** 40n + BigInt(at))
  assert.deepEqual([...runs(bitmap)], [{ first: 2n ** 40n, count }])
  assert.ok(bitmap.words().bits.length < (count / 32) * 4, 'its room is in proportion')
  const sparse = createBitmap()
  for (let at = 3000; at >= 0; at--) sparse.addWord(at, 1)
  assert.equal(sparse.count(), 3001)
  assert.ok(sparse.words().bits.length < 20_000)
})

test('addWord() and addRange() add what add() would', () => {
  for (const base of bases) {
    const word = Number(base >> 5n)
    const bitmap = createBitmap()
    bitmap.addWord(word, 0x80000001)
    bitmap.addWord(word, 0xffffffff)
    bitmap.addWord(word + 1, 2 ** 31)
    const start = BigInt(word) * 32n
    assert.deepEqual(offsetsOf(bitmap), [
      ...Array.from({ length: 32 }, (_, at) => start + BigInt(at)),
      start + 63n,
    ])
    for (const [from, count] of [
      [0n, 1],
      [0n, 32],
      [1n, 31],
      [31n, 1],
      [31n, 2],
      [5n, 90],
      [0n, 64],
      [7n, 0],
    ] as const) {
      const range = createBitmap()
      range.addRange(base + from, count)
      assert.equal(range.count(), count)
      assert.deepEqual(
        [...runs(range)],
        count === 0 ? [] : [{ first: base + from, count }],
        `${base + from} and ${count}`,
      )
      assert.deepEqual(
        [...runs(rangeBitmap(base + from, base + from + BigInt(count)))],
        [...runs(range)],
      )
    }
    assert.equal(rangeBitmap(base + 5n, base + 5n).count(), 0)
    assert.equal(rangeBitmap(base + 5n, base).count(), 0)
  }
})

test('addRange() takes a gap of a hundred million offsets at once', () => {
  const began = performance.now()
  const bitmap = createBitmap()
  bitmap.addRange(2n ** 40n, 100_000_000)
  assert.equal(bitmap.count(), 100_000_000)
  assert.ok(performance.now() - began < 5000)
})

test('runs() joins across words', () => {
  const offsets = [30n, 31n, 32n, 33n, 63n, 64n, 127n, 128n]
  for (let at = 200n; at < 400n; at++) offsets.push(at)
  assert.deepEqual(
    [...runs(bitmapOf(offsets))],
    [
      { first: 30n, count: 4 },
      { first: 63n, count: 2 },
      { first: 127n, count: 2 },
      { first: 200n, count: 200 },
    ],
  )
})

test('hashBitmap() is the SHA-256 of the bits over the range, whatever the order they came in', () => {
  for (const [index, base] of bases.entries()) {
    const below = randomFrom(index + 21)
    for (let round = 0; round < 20; round++) {
      const offsets = [...someOffsets(base, below)]
      const low = base + BigInt(below(100))
      const high = low + BigInt(below(3000))
      const bytes = new Uint8Array(Math.ceil(Number(high - low) / 8))
      for (const offset of offsets) {
        if (offset < low || offset >= high) continue
        const bit = Number(offset - low)
        bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (1 << (bit & 7))
      }
      const expected = createHash('sha256').update(bytes).digest('hex')
      assert.equal(hashBitmap(bitmapOf(offsets), low, high), expected)
      assert.equal(hashBitmap(bitmapOf(offsets.toReversed()), low, high), expected)
    }
  }
})
