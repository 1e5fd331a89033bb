import { NightjarError } from '../core/errors.ts'
import { stringAt } from './text.ts'

/**
 * Where compiled code reads. One cursor serves all readers, for reading never yields. Compiled code
 * keeps the position in a local variable and stores it here only around a call.
 *
 * Every byte of a number is read through `view`, so the engine itself refuses to read past the end;
 * `guard` turns that into our error.
 */
export interface Cursor {
  view: DataView
  bytes: Uint8Array
  /** The same bytes once more, if a string was made of them. */
  buffer: Buffer | undefined
  at: number
  /** Nesting of recursive records. */
  depth: number
  /** How many more values that take no byte may be made. */
  credit: number
  /** Where the open block must end, or -1 if it did not say. */
  blockEnd: number
}

const empty = new Uint8Array(0)

export const cursor: Cursor = {
  view: new DataView(empty.buffer),
  bytes: empty,
  buffer: undefined,
  at: 0,
  depth: 0,
  credit: 0,
  blockEnd: -1,
}

/** Values without a byte in one datum: no packet seen has any inside an array. */
export const maxFreeValues = 65_536

const maxRecursion = 64

// A long is put together in two halves and read as one.
const halves = new Uint32Array(2)
const whole = new BigInt64Array(halves.buffer)

/** Point the cursor at a datum. */
export function seek(bytes: Uint8Array, position: number): void {
  if (cursor.bytes !== bytes) {
    cursor.bytes = bytes
    cursor.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    cursor.buffer = undefined
  }
  cursor.at = position
  cursor.depth = 0
  cursor.credit = maxFreeValues
}

/** Turn what the engine throws at the end of a buffer into `packet_undecodable`. */
export function guard(error: unknown): unknown {
  const why = whyOf(error)
  if (why === undefined) return error
  return new NightjarError('packet_undecodable', `Cannot decode packet: ${why}`, { cause: error })
}

function whyOf(error: unknown): string | undefined {
  if (error instanceof RangeError)
    return `it ends at byte ${cursor.bytes.byteLength}, inside a value`
  const isText = error instanceof TypeError && 'code' in error
  if (isText && error.code === 'ERR_ENCODING_INVALID_ENCODED_DATA') {
    return `a string before byte ${cursor.at} is not UTF-8`
  }
  return undefined
}

/** Refuse a datum: `packet_undecodable` with the position. */
export function refuse(why: string): never {
  throw new NightjarError(
    'packet_undecodable',
    `Cannot decode packet: ${why} near byte ${cursor.at}`,
  )
}

/** A 32-bit integer of up to five bytes. */
export function readInt(c: Cursor): number {
  const { view } = c
  let n = 0
  for (let shift = 0; shift < 28; shift += 7) {
    const byte = view.getUint8(c.at++)
    n |= (byte & 127) << shift
    if (byte < 128) return (n >>> 1) ^ -(n & 1)
  }
  const byte = view.getUint8(c.at++)
  if (byte > 15) refuse('an int has more than 32 bits')
  n |= byte << 28
  return (n >>> 1) ^ -(n & 1)
}

/** A 64-bit integer of up to ten bytes, exact. */
export function readLong(c: Cursor): bigint {
  const { view } = c
  let p = c.at
  let byte = view.getUint8(p++)
  let low = byte & 127
  let high = 0
  if (byte > 127) {
    byte = view.getUint8(p++)
    low |= (byte & 127) << 7
    if (byte > 127) {
      byte = view.getUint8(p++)
      low |= (byte & 127) << 14
      if (byte > 127) {
        byte = view.getUint8(p++)
        low |= (byte & 127) << 21
        if (byte > 127) {
          byte = view.getUint8(p++)
          low |= (byte & 15) << 28
          high = (byte & 127) >>> 4
          for (let shift = 3; byte > 127; shift += 7) {
            byte = view.getUint8(p++)
            // The tenth byte holds the last bit.
            if (shift === 31 && byte > 1) refuse('a long has more than 64 bits')
            high |= (byte & 127) << shift
          }
        }
      }
    }
  }
  c.at = p
  const sign = -(low & 1)
  halves[0] = ((low >>> 1) | (high << 31)) ^ sign
  halves[1] = (high >>> 1) ^ sign
  return whole[0] as bigint
}

/** Step over an integer. */
export function skipVarint(c: Cursor): void {
  const { view } = c
  for (let n = 0; n < 10; n++) if (view.getUint8(c.at++) < 128) return
  refuse('a long has more than 64 bits')
}

/** A long that counts something: as a number, exact up to 2^53 and never read beyond. */
export function readCount(c: Cursor): number {
  const byte = c.view.getUint8(c.at)
  if (byte < 128) {
    c.at++
    return (byte >>> 1) ^ -(byte & 1)
  }
  return Number(readLong(c))
}

/** The length of a string or bytes, checked against the rest of the buffer. */
export function readLength(c: Cursor): number {
  const length = readCount(c)
  if (length < 0 || length > c.bytes.byteLength - c.at) {
    refuse(`a value has a length of ${length} with ${c.bytes.byteLength - c.at} bytes left,`)
  }
  return length
}

/** A string. Small ones come from a table, so that names that repeat are made once. */
export function readString(c: Cursor): string {
  const length = readLength(c)
  const start = c.at
  c.at = start + length
  return stringAt(c, start, length)
}

/** Bytes, as a view into the packet. */
export function readBytes(c: Cursor): Uint8Array {
  return readFixed(c, readLength(c))
}

/** A known number of bytes, as a view into the packet. */
export function readFixed(c: Cursor, size: number): Uint8Array {
  const start = c.at
  if (size > c.bytes.byteLength - start) refuse(`a fixed of ${size} bytes passes the end`)
  c.at = start + size
  return new Uint8Array(c.bytes.buffer, c.bytes.byteOffset + start, size)
}

/** Step over a string or bytes. */
export function skipBytes(c: Cursor): void {
  const length = readLength(c)
  c.at += length
}

/** The place of a branch or of a symbol among `size`. */
export function readIndex(c: Cursor, size: number): number {
  const index = readCount(c)
  if (index < 0 || index >= size) refuse(`there is no choice ${index} of ${size}`)
  return index
}

/**
 * Open the next block of an array or map: the number of items, 0 at the end. An item has at least
 * `least` bytes and makes `free` values that take none; both bound the number before any is made.
 */
export function openBlock(c: Cursor, least: number, free: number): number {
  let count = readCount(c)
  c.blockEnd = -1
  if (count < 0) {
    count = -count
    const size = readLength(c)
    c.blockEnd = c.at + size
  }
  const left = c.bytes.byteLength - c.at
  if (count * least > left) refuse(`a block of ${count} items does not fit ${left} bytes`)
  if (free > 0 && (c.credit -= count * free) < 0) refuse(`a block has ${count} items without bytes`)
  return count
}

/** Close a block that had said where it ends. */
export function closeBlock(c: Cursor, end: number): void {
  if (c.at !== end) refuse(`a block ends at ${c.at} and had promised ${end},`)
}

/** Enter a record that may contain itself. */
export function descend(c: Cursor): void {
  if (++c.depth > maxRecursion) refuse(`a record is nested more than ${maxRecursion} deep`)
}
