import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32, inflateSync } from 'node:zlib'

import { cutoutPng, encodePng, encodeRgbPng, stretch } from '../../core/png.ts'

interface Decoded {
  width: number
  height: number
  /** Grey, or red, green and blue. */
  grey: Buffer
}

/** A small PNG reader: checks every chunk's sum, takes only what we write. */
function decodePng(png: Uint8Array, samples: 1 | 3 = 1): Decoded {
  const bytes = Buffer.from(png)
  assert.equal(bytes.toString('latin1', 0, 8), '\x89PNG\r\n\x1a\n')
  const chunks = new Map<string, Buffer>()
  let at = 8
  while (at < bytes.length) {
    const length = bytes.readUInt32BE(at)
    const typed = bytes.subarray(at + 4, at + 8 + length)
    assert.equal(bytes.readUInt32BE(at + 8 + length), crc32(typed))
    chunks.set(typed.toString('latin1', 0, 4), typed.subarray(4))
    at += 12 + length
  }
  assert.deepEqual([...chunks.keys()], ['IHDR', 'IDAT', 'IEND'])
  const header = chunks.get('IHDR') as Buffer
  assert.deepEqual([...header.subarray(8)], [8, samples - 1, 0, 0, 0])
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)]
  const rows = inflateSync(chunks.get('IDAT') as Buffer)
  const line = samples * width + 1
  assert.equal(rows.length, line * height)
  const grey = Buffer.concat(
    Array.from({ length: height }, (_, y) => {
      assert.equal(rows[y * line], 0)
      return rows.subarray(y * line + 1, (y + 1) * line)
    }),
  )
  return { width, height, grey }
}

test('encodePng() writes a PNG that decodes to the same pixels', () => {
  const grey = Uint8Array.from({ length: 35 }, (_, i) => (i * 37) % 256)
  const decoded = decodePng(encodePng(grey, 7))
  assert.deepEqual([decoded.width, decoded.height], [7, 5])
  assert.deepEqual(new Uint8Array(decoded.grey), grey)
})

test('encodeRgbPng() writes a PNG that decodes to the same colours, without alpha', () => {
  const rgba = Uint8Array.from({ length: 4 * 35 }, (_, i) => (i % 4 === 3 ? 255 : (i * 37) % 256))
  const decoded = decodePng(encodeRgbPng(rgba, 7), 3)
  assert.deepEqual([decoded.width, decoded.height], [7, 5])
  assert.deepEqual(
    [...decoded.grey],
    [...rgba].filter((_, i) => i % 4 !== 3),
  )
})

test('cutoutPng() puts the last row on top and makes squares of pixels', () => {
  const pixels = Float32Array.of(0, 0, 0, 1000)
  const { width, height, grey } = decodePng(cutoutPng({ width: 2, height: 2, pixels }, 3))
  assert.deepEqual([width, height], [6, 6])
  assert.deepEqual(
    [...grey.subarray(0, 6)].map((shade) => shade === 255),
    [...[false, false, false], ...[true, true, true]],
  )
  assert.deepEqual(grey.subarray(0, 6), grey.subarray(12, 18))
  assert.ok(!grey.subarray(18).includes(255))
})

test('cutoutPng() hatches blank pixels and shows an image of nothing else', () => {
  const pixels = new Float32Array(16).fill(NaN)
  const { grey } = decodePng(cutoutPng({ width: 4, height: 4, pixels }))
  assert.deepEqual(new Set(grey), new Set([160, 40]))
})

test('stretch() makes the sky dark grey, the brightest white and keeps the order', () => {
  const pixels = Float32Array.from({ length: 1000 }, (_, i) => 100 + ((i * 7919) % 13) - 6)
  pixels[500] = 5000
  const shades = stretch(pixels)
  assert.equal(shades[500], 255)
  const sky = shades[pixels.indexOf(100)] as number
  assert.ok(sky > 15 && sky < 90, `sky ${sky}`)
  assert.ok((shades[pixels.indexOf(106)] as number) > (shades[pixels.indexOf(94)] as number))
})

test('stretch() takes the median of the distances to the median, as by sorting them', () => {
  for (let length = 1; length < 60; length++) {
    const pixels = Float32Array.from({ length }, (_, i) => ((i * 7919 + length * 31) % 97) / 7 - 3)
    const ordered = pixels.toSorted()
    const sky = ordered[length >> 1] ?? 0
    const sigma = 1.4826 * (ordered.map((value) => Math.abs(value - sky)).sort()[length >> 1] ?? 0)
    const high = Math.max(ordered.at(-1) ?? 0, sky + 10 * (sigma || 1))
    const [low, soft] = [sky - 2 * (sigma || 1), 4 * (sigma || 1)]
    const expected = [...pixels].map((value) => {
      const part = Math.asinh((value - low) / soft) / Math.asinh((high - low) / soft)
      return Math.round(255 * Math.min(1, Math.max(0, part)))
    })
    assert.deepEqual([...stretch(pixels)], expected, `${length} pixels`)
  }
})

test('stretch() takes an image without any noise', () => {
  assert.deepEqual(new Set(stretch(new Float32Array(9).fill(5))).size, 1)
})
