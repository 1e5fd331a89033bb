import assert from 'node:assert/strict'
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'

import { openSegments, type Place } from '../../local/segments.ts'
import { temporaryFolder } from './home.ts'

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = temporaryFolder()
  try {
    await run(join(folder.path, 'segments'))
  } finally {
    folder.remove()
  }
}

const filled = (size: number, byte: number): Uint8Array => new Uint8Array(size).fill(byte)

suite('openSegments()', () => {
  test('append() answers where read() finds the bytes, many at once and after a reopen', () =>
    withFolder(async (folder) => {
      const segments = await openSegments(folder)
      const sizes = Array.from({ length: 300 }, (_, at) => 5000 + at * 37)
      const places = await Promise.all(
        sizes.map((size, at) => segments.append(filled(size, at % 251))),
      )
      const check = async (from: typeof segments): Promise<void> => {
        for (const [at, place] of places.entries()) {
          const size = sizes[at] as number
          assert.equal(Buffer.compare(from.read(place, size), filled(size, at % 251)), 0)
        }
      }
      await check(segments)
      await segments.close()
      const again = await openSegments(folder)
      await check(again)
      await again.close()
    }))

  test('append() begins a new file when one is full, and every place stays readable', () =>
    withFolder(async (folder) => {
      const segments = await openSegments(folder)
      const size = 9 << 20
      const places: Place[] = []
      for (let at = 0; at < 10; at++) places.push(await segments.append(filled(size, at)))
      assert.equal(new Set(places.map(({ segment }) => segment)).size, 2)
      for (const [at, place] of places.entries()) {
        const data = segments.read(place, size)
        assert.equal(data[0], at)
        assert.equal(data[size - 1], at)
      }
      assert.deepEqual(segments.closed(), [], 'a full file may have places without a row')
      for (const place of places) segments.settle(place)
      assert.deepEqual(segments.closed(), [places[0]?.segment])
      segments.remove(places[0]?.segment ?? '')
      assert.deepEqual(readdirSync(folder), [places[9]?.segment])
      await segments.close()
    }))

  test('a torn tail of a dead process harms nobody: new bytes go to a new file', () =>
    withFolder(async (folder) => {
      mkdirSync(folder)
      const dead = `${2 ** 22 - 1}-0-torn-0`
      writeFileSync(join(folder, dead), filled(10_000, 1))
      truncateSync(join(folder, dead), 7001)
      const segments = await openSegments(folder)
      const place = await segments.append(filled(6000, 2))
      assert.notEqual(place.segment, dead)
      assert.equal(statSync(join(folder, dead)).size, 7001)
      assert.equal(segments.read({ segment: dead, at: 0 }, 7000)[6999], 1)
      assert.throws(
        () => segments.read({ segment: dead, at: 4000 }, 6000),
        new RangeError(`Segment "${dead}" ends before 10000`),
      )
      assert.deepEqual(segments.closed(), [dead])
      await segments.close()
    }))

  test('closed() leaves alone what another opener of this process or a living one may use', () =>
    withFolder(async (folder) => {
      const one = await openSegments(folder)
      const place = await one.append(filled(6000, 1))
      const two = await openSegments(folder)
      assert.deepEqual(two.closed(), [], 'the file of the first is in use')
      await one.close()
      const three = await openSegments(folder)
      assert.deepEqual(three.closed(), [place.segment])
      await two.close()
      await three.close()
    }))

  test('append() after bytes that somebody else wrote at the end finds its own place', () =>
    withFolder(async (folder) => {
      const segments = await openSegments(folder)
      const first = await segments.append(filled(6000, 1))
      appendFileSync(join(folder, first.segment), 'rubbish')
      const second = await segments.append(filled(6000, 2))
      assert.equal(Buffer.compare(segments.read(second, 6000), filled(6000, 2)), 0)
      await segments.close()
    }))
})
