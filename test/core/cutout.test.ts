import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'

import { readCutout } from '../../core/cutout.ts'
import { NightjarError } from '../../core/errors.ts'
import { readAlert } from '../../schemas/alert.ts'
import { dataDir, skipWithoutData } from '../data.ts'

/** A FITS unit: cards padded to whole blocks, then its data. */
function unit(cards: readonly string[], data: Uint8Array = new Uint8Array()): Buffer {
  const text = [...cards, 'END'].map((card) => card.padEnd(80)).join('')
  const header = Buffer.from(text.padEnd(Math.ceil(text.length / 2880) * 2880))
  return Buffer.concat([header, data], header.length + Math.ceil(data.length / 2880) * 2880)
}

function card(keyword: string, value: string | number): string {
  return `${keyword.padEnd(8)}= ${String(value).padStart(20)}`
}

function image(bits: number, width: number, height: number, ...more: string[]): string[] {
  const axes = [card('NAXIS', 2), card('NAXIS1', width), card('NAXIS2', height)]
  return [card('SIMPLE', 'T'), card('BITPIX', bits), ...axes, ...more]
}

function floats(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length)
  values.forEach((value, i) => bytes.writeFloatBE(value, 4 * i))
  return bytes
}

function refuses(stamp: Uint8Array, code: string, pattern: RegExp): void {
  assert.throws(
    () => readCutout(stamp),
    (error) => {
      assert.ok(error instanceof NightjarError, String(error))
      assert.equal(error.code, code)
      assert.match(error.message, pattern)
      return true
    },
  )
}

const small = unit(image(-32, 3, 2), floats(1, 2, 3, 4, NaN, -6.5))

test('readCutout() reads 32-bit floats, gzipped or not, and keeps NaN', () => {
  for (const stamp of [small, gzipSync(small)]) {
    const { width, height, pixels } = readCutout(stamp)
    assert.deepEqual([width, height], [3, 2])
    assert.deepEqual(pixels, Float32Array.of(1, 2, 3, 4, NaN, -6.5))
  }
})

test('readCutout() reads doubles, and whole numbers with scale, zero and blank', () => {
  const doubles = Buffer.alloc(16)
  doubles.writeDoubleBE(1.5, 0)
  doubles.writeDoubleBE(-2.25, 8)
  assert.deepEqual(readCutout(unit(image(-64, 2, 1), doubles)).pixels, Float32Array.of(1.5, -2.25))

  const shorts = Buffer.alloc(6)
  for (const [i, value] of [10, -32768, -3].entries()) shorts.writeInt16BE(value, 2 * i)
  const cards = [card('BSCALE', '5.0E-1'), card('BZERO', '100.'), card('BLANK', -32768)]
  const { pixels } = readCutout(unit(image(16, 3, 1, ...cards), shorts))
  assert.deepEqual(pixels, Float32Array.of(105, NaN, 98.5))

  const longs = Buffer.alloc(4)
  longs.writeInt32BE(70_000)
  assert.deepEqual(readCutout(unit(image(32, 1, 1), longs)).pixels, Float32Array.of(70_000))
})

test('readCutout() takes the first image, past a primary unit without data', () => {
  const primary = unit([card('SIMPLE', 'T'), card('BITPIX', 8), card('NAXIS', 0)])
  const cards = image(-32, 1, 1, card('PCOUNT', 0)).slice(1)
  const extension = unit(["XTENSION= 'IMAGE   '           / it's an image", ...cards], floats(7))
  assert.deepEqual(readCutout(Buffer.concat([primary, extension])).pixels, Float32Array.of(7))
})

test('readCutout() refuses what is no image, and says why', () => {
  refuses(Buffer.from([0xff, 0xd8, 0xff, 0xe0]), 'packet_undecodable', /JPEG/)
  refuses(gzipSync(Buffer.from([0xff, 0xd8])), 'packet_undecodable', /JPEG/)
  refuses(new Uint8Array(), 'packet_undecodable', /holds no image/)
  refuses(Buffer.from('<html>'), 'packet_undecodable', /no END/)
  refuses(unit([card('BITPIX', 8), card('NAXIS', 0)]), 'packet_undecodable', /SIMPLE/)
  refuses(gzipSync(small).subarray(0, 60), 'packet_undecodable', /gzip is damaged/)
  refuses(small.subarray(0, 2890), 'packet_undecodable', /3 x 2 pixels end at byte 2904 of 2890/)
  refuses(unit(image(-32, 3, -2)), 'packet_undecodable', /NAXIS2 says "-2"/)
  refuses(unit(image(24, 1, 1), floats(1)), 'packet_undecodable', /BITPIX 24/)
  refuses(unit(image(-32, 1, 1, card('BSCALE', 'x')), floats(1)), 'packet_undecodable', /BSCALE/)
})

test('readCutout() allocates nothing for sizes that cannot be', () => {
  refuses(unit(image(-32, 99_999, 99_999)), 'packet_unbounded', /39999200004 bytes/)
  refuses(gzipSync(Buffer.alloc(5 << 20)), 'packet_unbounded', /unpack to more than 4194304/)
})

test('readCutout() reads real stamps of both surveys', { skip: skipWithoutData }, () => {
  const ztf = join(dataDir, 'ztf/night-20231012-v4.01-kowalski')
  const lsst = join(dataDir, 'lsst/confluent-wire-format')
  let count = 0
  for (const folder of [ztf, lsst]) {
    for (const name of readdirSync(folder).filter((entry) => entry.endsWith('.avro'))) {
      const { record } = readAlert(readFileSync(join(folder, name)))
      for (const cutout of [record['cutoutScience'], record['cutoutDifference']]) {
        const stamp = (cutout as { stampData?: Uint8Array }).stampData ?? (cutout as Uint8Array)
        const { width, height, pixels } = readCutout(stamp)
        assert.ok(width >= 30 && width <= 63 && height >= 30 && height <= 63)
        assert.ok(pixels.filter((value) => Number.isFinite(value)).length > 500)
        count += 1
      }
    }
  }
  assert.ok(count > 40)
})
