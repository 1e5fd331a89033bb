/**
 * Cutouts: small FITS images that travel inside alerts. ZTF's are gzipped and have one HDU, LSST's are
 * plain and have three, of which the first is the image. FITS: Pence et al. 2010, A&A 524, A42.
 */
import { gunzipSync } from 'node:zlib'

import { NightjarError } from './errors.ts'

export interface Cutout {
  width: number
  height: number
  /** Rows from the bottom up, as FITS has them; blank pixels are NaN. */
  pixels: Float32Array
}

/** What is seen now, what was there before, and what is new. */
export const stampNames = ['science', 'template', 'difference'] as const
export type StampName = (typeof stampNames)[number]

const block = 2880
const card = 80
/** No cutout comes near these: a real one has 20 kB, 69 kB in LSST. */
const maxBytes = 4 << 20
const maxHeaderBlocks = 36

/** The stamps of a decoded packet by the word in their field's name; absent ones are left out. */
export function stampsOf(
  record: Readonly<Record<string, unknown>>,
): Partial<Record<StampName, Uint8Array>> {
  const stamps: Partial<Record<StampName, Uint8Array>> = {}
  for (const name of stampNames) {
    const cutout = record[`cutout${name[0]?.toUpperCase()}${name.slice(1)}`]
    // ZTF wraps a stamp with its file name, LSST does not.
    const stamp = (cutout as { stampData?: unknown } | null | undefined)?.stampData ?? cutout
    if (stamp instanceof Uint8Array) stamps[name] = stamp
  }
  return stamps
}

/** Read the first image of a stamp. Throws `packet_undecodable` and `packet_unbounded`. */
export function readCutout(stamp: Uint8Array): Cutout {
  const bytes = isGzip(stamp) ? gunzip(stamp) : stamp
  if (bytes[0] === 0xff && bytes[1] === 0xd8) {
    throw undecodable('it is a JPEG, as ZTF sent before schema 1.6, without pixel values')
  }
  let start = 0
  for (let unit = 0; unit < 8 && start < bytes.length; unit++) {
    const { cards, end } = readHeader(bytes, start)
    if (unit === 0 && cards.get('SIMPLE') !== 'T') throw undecodable('it has no card SIMPLE = T')
    const size = sizeOf(cards)
    if (whole(cards, 'NAXIS', 0) >= 2 && size > 0) return readImage(bytes, end, cards)
    start = end + Math.ceil(size / block) * block
  }
  throw undecodable('it holds no image')
}

function readImage(bytes: Uint8Array, start: number, cards: ReadonlyMap<string, string>): Cutout {
  const width = whole(cards, 'NAXIS1', 1)
  const height = whole(cards, 'NAXIS2', 1)
  const bits = whole(cards, 'BITPIX', -64)
  const count = width * height
  const end = start + (count * Math.abs(bits)) / 8
  if (end > bytes.length) {
    throw undecodable(`${width} x ${height} pixels end at byte ${end} of ${bytes.length}`)
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const value = pixelReader(view, bits)
  const scale = real(cards, 'BSCALE', 1)
  const zero = real(cards, 'BZERO', 0)
  // Whole-number images mark blank pixels by one of their values.
  const blank = bits > 0 && cards.has('BLANK') ? whole(cards, 'BLANK', -(2 ** 31)) : undefined
  const pixels = new Float32Array(count)
  for (let i = 0; i < count; i++) {
    const raw = value(start + (i * Math.abs(bits)) / 8)
    pixels[i] = raw === blank ? NaN : raw * scale + zero
  }
  return { width, height, pixels }
}

function pixelReader(view: DataView, bits: number): (at: number) => number {
  switch (bits) {
    case -32:
      return (at) => view.getFloat32(at)
    case -64:
      return (at) => view.getFloat64(at)
    case 8:
      return (at) => view.getUint8(at)
    case 16:
      return (at) => view.getInt16(at)
    case 32:
      return (at) => view.getInt32(at)
    default:
      throw undecodable(`its pixels have BITPIX ${bits}`)
  }
}

/** The cards of the header that begins at `start`, and where its last block ends. */
function readHeader(bytes: Uint8Array, start: number): { cards: Map<string, string>; end: number } {
  const cards = new Map<string, string>()
  for (let at = start; at < start + maxHeaderBlocks * block; at += card) {
    if (at + card > bytes.length) break
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + at, card).toString('latin1')
    const keyword = text.slice(0, 8).trimEnd()
    if (keyword === 'END') {
      return { cards, end: start + Math.ceil((at + card - start) / block) * block }
    }
    if (text.slice(8, 10) === '= ') cards.set(keyword, valueOf(text.slice(10)))
  }
  throw undecodable(`its header, from byte ${start} of ${bytes.length}, has no END`)
}

/** The value of a card without its comment; text without its quotes. */
function valueOf(text: string): string {
  const quoted = /^\s*'((?:[^']|'')*)'/.exec(text)?.[1]
  return quoted?.trimEnd() ?? (text.split('/')[0] as string).trim()
}

/** Bytes of a unit's data: |BITPIX| x GCOUNT x (PCOUNT + NAXIS1 x ... x NAXISn) / 8. */
function sizeOf(cards: ReadonlyMap<string, string>): number {
  const axes = whole(cards, 'NAXIS', 0)
  if (axes === 0) return 0
  let count = 1
  for (let axis = 1; axis <= Math.min(axes, 999); axis++) count *= whole(cards, `NAXIS${axis}`, 0)
  const parts = cards.has('PCOUNT') ? whole(cards, 'PCOUNT', 0) : 0
  const size = (Math.abs(whole(cards, 'BITPIX', -64)) / 8) * (count + parts)
  if (size > maxBytes) {
    throw new NightjarError('packet_unbounded', `Cannot read cutout: it says to hold ${size} bytes`)
  }
  return size
}

function whole(cards: ReadonlyMap<string, string>, keyword: string, least: number): number {
  const text = cards.get(keyword)
  const value = /^[+-]?\d{1,10}$/.test(text ?? '') ? Number(text) : NaN
  if (value >= least) return value
  throw undecodable(`its card ${keyword} says "${text ?? ''}"`)
}

function real(cards: ReadonlyMap<string, string>, keyword: string, absent: number): number {
  const text = cards.get(keyword)
  if (text === undefined) return absent
  const value = Number(text.replace(/D/i, 'E'))
  if (text !== '' && Number.isFinite(value)) return value
  throw undecodable(`its card ${keyword} says "${text}"`)
}

const isGzip = (bytes: Uint8Array): boolean => bytes[0] === 0x1f && bytes[1] === 0x8b

function gunzip(stamp: Uint8Array): Uint8Array {
  try {
    return gunzipSync(stamp, { maxOutputLength: maxBytes })
  } catch (cause) {
    if (cause instanceof RangeError) {
      throw new NightjarError(
        'packet_unbounded',
        `Cannot read cutout: ${stamp.length} bytes unpack to more than ${maxBytes}`,
        { cause },
      )
    }
    throw undecodable('its gzip is damaged', cause)
  }
}

function undecodable(why: string, cause?: unknown): NightjarError {
  return new NightjarError('packet_undecodable', `Cannot read cutout: ${why}`, { cause })
}
