/** Cutouts as pictures: a grey PNG (ISO/IEC 15948), stretched as astronomers look at images. */
import { crc32, deflateSync } from 'node:zlib'

import type { Cutout } from './cutout.ts'

const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)

/** Write 8-bit grey pixels, rows from the top, as a PNG. */
export function encodePng(grey: Uint8Array, width: number): Uint8Array {
  const height = grey.length / width
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  // 8 bits, grey, deflate, adaptive filters, not interlaced.
  header.set([8, 0, 0, 0, 0], 8)
  // Each row begins with the number of its filter: 0, none.
  const rows = Buffer.alloc((width + 1) * height)
  for (let y = 0; y < height; y++) {
    rows.set(grey.subarray(y * width, (y + 1) * width), y * (width + 1) + 1)
  }
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

/** A cutout as a PNG: north as in the file, each pixel a square of `scale`, blank pixels hatched. */
export function cutoutPng(cutout: Cutout, scale = 4): Uint8Array {
  const { width, height, pixels } = cutout
  const shades = stretch(pixels)
  const wide = width * scale
  const grey = new Uint8Array(wide * height * scale)
  for (let y = 0; y < height * scale; y++) {
    // FITS counts rows from the bottom.
    const row = (height - 1 - Math.floor(y / scale)) * width
    for (let x = 0; x < wide; x++) {
      const at = row + Math.floor(x / scale)
      const blank = Number.isNaN(pixels[at])
      grey[y * wide + x] = blank ? hatch(x, y) : (shades[at] as number)
    }
  }
  return encodePng(grey, wide)
}

/**
 * Shades of grey for pixel values: black two deviations below the sky, white at the brightest, asinh
 * between (Lupton et al. 2004), so that noise and the cores of stars are both seen.
 */
export function stretch(pixels: Float32Array): Uint8Array {
  const finite = pixels.filter((value) => Number.isFinite(value)).sort()
  const sky = finite[finite.length >> 1] ?? 0
  const deviations = finite.map((value) => Math.abs(value - sky)).sort()
  const sigma = 1.4826 * (deviations[deviations.length >> 1] ?? 0) || 1
  const brightest = finite.at(-1) ?? sky
  const low = sky - 2 * sigma
  const high = Math.max(brightest, sky + 10 * sigma)
  const soft = 4 * sigma
  const full = Math.asinh((high - low) / soft)
  return Uint8Array.from(pixels, (value) => {
    const part = Math.asinh((value - low) / soft) / full
    return Math.round(255 * Math.min(1, Math.max(0, part)))
  })
}

/** Diagonal stripes: no shade that a sky could have. */
function hatch(x: number, y: number): number {
  return (x + y) % 8 < 2 ? 160 : 40
}

function chunk(type: string, data: Uint8Array): Buffer {
  const bytes = Buffer.alloc(12 + data.length)
  bytes.writeUInt32BE(data.length, 0)
  bytes.write(type, 4, 'ascii')
  bytes.set(data, 8)
  bytes.writeUInt32BE(crc32(bytes.subarray(4, 8 + data.length)), 8 + data.length)
  return bytes
}
