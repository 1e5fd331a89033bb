/**
 * Make `reddening.json` from the map of Burstein & Heiles (1982) as the project dustmaps keeps it:
 *
 *     node salt2/milky-way/make.ts FOLDER      (with bh1982.json and bh1982.i16le.gz)
 *
 * The map is averaged over HEALPix pixels of order 5 (1.8 degrees) and put on the scale of Schlafly &
 * Finkbeiner (2011). Within 10 degrees of the galactic plane it says nothing: there stands a layer of
 * dust, and nothing exact.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'

import { healpix29 } from '../../core/healpix.ts'

const order = 5
const pixels = 12 * 4 ** order
/** Positions that the sphere is sampled at: some 240 a pixel. */
const samples = 3_000_000
const radians = Math.PI / 180

/** E(B−V) = 0.86 BH + 0.015, fitted to A_V of 2,262 positions of ZTF's Bright Transient Survey. */
const toSchlaflyFinkbeiner = (reddening: number): number => 0.86 * reddening + 0.015

/** A plane-parallel layer, whose pole has E(B−V) 0.022. */
const layer = (b: number): number => 0.022 / Math.sin(Math.max(2, Math.abs(b)) * radians)

type Arrays = Readonly<Record<string, { offset: number; shape: readonly [number, number] }>>

function openMap(folder: string): (l: number, b: number) => number | undefined {
  const text = readFileSync(join(folder, 'bh1982.json'), 'utf8')
  const { arrays } = JSON.parse(text) as { arrays: Arrays }
  const bytes = gunzipSync(readFileSync(join(folder, 'bh1982.i16le.gz')))
  const value = (name: string, row: number, column: number): number | undefined => {
    const array = arrays[name]
    if (array === undefined) throw new Error(`The map has no array ${name}`)
    const [rows, columns] = array.shape
    if (row < 0 || column < 0 || row >= rows || column >= columns) return undefined
    const raw = bytes.readInt16LE(array.offset + 2 * (row * columns + column))
    return raw === -32768 ? undefined : raw
  }
  return (l, b) => {
    const side = b >= 0 ? 'north' : 'south'
    const height = Math.abs(b)
    if (height < 10) return undefined
    if (height < 65) {
      const column = (((Math.round((l + 0.15) / 0.3 - 1) % 1200) + 1200) % 1200) | 0
      const raw = value(`red${side}`, Math.round((height - 10) / 0.6), column)
      return raw === undefined ? undefined : 0.001 * raw
    }
    const reach = (90 - height) / 0.3
    const row = Math.round(100 + reach * Math.sin(l * radians))
    const raw = value(`hi${side}`, row, Math.round(100 + reach * Math.cos(l * radians)))
    return raw === undefined ? undefined : -0.0372 + 3.57e-5 * raw
  }
}

/** Equatorial (ICRS) from galactic, degrees (IAU 1958; Hipparcos, vol. 1, 1.5.3). */
function equatorial(l: number, b: number): { ra: number; dec: number } {
  const [x, y, z] = [
    Math.cos(b * radians) * Math.cos(l * radians),
    Math.cos(b * radians) * Math.sin(l * radians),
    Math.sin(b * radians),
  ]
  const east = -0.0548755604 * x + 0.4941094279 * y - 0.867666149 * z
  const north = -0.8734370902 * x - 0.44482963 * y - 0.1980763734 * z
  const up = -0.4838350155 * x + 0.7469822445 * y + 0.4559837762 * z
  return { ra: Math.atan2(north, east) / radians, dec: Math.asin(up) / radians }
}

/** No direction is free of dust; the map's zero point lets some seem so. */
const least = 0.006

const map = openMap(process.argv[2] ?? '.')
const sums = new Float64Array(pixels)
const counts = new Uint32Array(pixels)
const plane = new Float64Array(pixels)
const planeCounts = new Uint32Array(pixels)
for (let i = 0; i < samples; i++) {
  // Even over the sphere: a spiral by the golden angle.
  const b = Math.asin(1 - (2 * i + 1) / samples) / radians
  const l = (i * 137.50776405003785) % 360
  const { ra, dec } = equatorial(l, b)
  const pixel = Number(healpix29(ra, dec) >> BigInt(2 * (29 - order)))
  const reddening = map(l, b)
  if (reddening !== undefined) {
    sums[pixel] = (sums[pixel] ?? 0) + toSchlaflyFinkbeiner(reddening)
    counts[pixel] = (counts[pixel] ?? 0) + 1
  }
  plane[pixel] = (plane[pixel] ?? 0) + layer(b)
  planeCounts[pixel] = (planeCounts[pixel] ?? 0) + 1
}

/** One byte a pixel: E(B−V) = 0.7 (byte / 127)^2; the highest bit says that it is the layer's. */
const bytes = Uint8Array.from({ length: pixels }, (_, i) => {
  const mapped = (counts[i] ?? 0) * 2 > (planeCounts[i] ?? 0)
  const reddening = mapped
    ? (sums[i] ?? 0) / (counts[i] ?? 1)
    : (plane[i] ?? 0) / Math.max(1, planeCounts[i] ?? 0)
  const step = Math.round(127 * Math.sqrt(Math.max(least, reddening) / 0.7))
  return Math.min(127, step) | (mapped ? 0 : 128)
})
const table = { order, scale: 0.7, bytes: Buffer.from(bytes).toString('base64') }
writeFileSync(new URL('reddening.json', import.meta.url), `${JSON.stringify(table)}\n`)
