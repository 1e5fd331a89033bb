import type { Cursor } from './cursor.ts'

// Names of filters, programs, versions and images repeat from alert to alert. A direct-mapped table
// finds them by their bytes, which costs a third of making the string anew.
const slots = 4096
const longest = 64

const kept: string[] = new Array<string>(slots).fill('')
const lengths = new Uint8Array(slots)
const arena = new Uint8Array(slots * longest)
const arenaView = new DataView(arena.buffer)

// Up to three bytes and their number fit one integer, which is its own key.
const shortKeys = new Int32Array(1024)
const shortKept: string[] = new Array<string>(shortKeys.length).fill('')

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * The string of `length` bytes at `start`. The caller has checked that they are there. Throws
 * `TypeError` on bytes that are not UTF-8, for a replaced letter would be another name.
 */
export function stringAt(c: Cursor, start: number, length: number): string {
  if (length === 0) return ''
  if (length > longest) return make(c, start, length)
  if (length < 4) return shortAt(c, start, length)

  const { view } = c
  // The last four bytes may overlap the words before them, so no length needs a tail.
  const last = start + length - 4
  let hash = length ^ view.getUint32(last)
  for (let p = start; p < last; p += 4) {
    hash = Math.imul(hash ^ view.getUint32(p), 0x9e3779b1)
    hash ^= hash >>> 15
  }
  hash = Math.imul(hash, 0x85ebca6b)
  const slot = (hash >>> 20) & (slots - 1)
  const home = slot * longest
  if (lengths[slot] === length && isSame(view, start, last, home)) return kept[slot] as string

  const text = make(c, start, length)
  for (let i = 0; i < length; i++) arena[home + i] = view.getUint8(start + i)
  lengths[slot] = length
  kept[slot] = text
  return text
}

function shortAt(c: Cursor, start: number, length: number): string {
  const { view } = c
  let key = length
  for (let p = start; p < start + length; p++) key = (key << 8) | view.getUint8(p)
  const slot = (Math.imul(key, 0x9e3779b1) >>> 22) & (shortKeys.length - 1)
  if (shortKeys[slot] === key) return shortKept[slot] as string
  const text = make(c, start, length)
  shortKeys[slot] = key
  shortKept[slot] = text
  return text
}

function isSame(view: DataView, start: number, last: number, home: number): boolean {
  const shift = home - start
  for (let p = start; p < last; p += 4) {
    if (view.getUint32(p) !== arenaView.getUint32(p + shift)) return false
  }
  return view.getUint32(last) === arenaView.getUint32(last + shift)
}

function make(c: Cursor, start: number, length: number): string {
  const { buffer, byteOffset, byteLength } = c.bytes
  const bytes = (c.buffer ??= Buffer.from(buffer, byteOffset, byteLength))
  const text = bytes.toString('utf8', start, start + length)
  // Node puts U+FFFD in place of what is not UTF-8. Only then is it worth asking which it was.
  return text.includes('\ufffd') ? strict.decode(bytes.subarray(start, start + length)) : text
}
