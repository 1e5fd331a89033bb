/**
 * Unpack LZ4 frames (frame format 1.6.1, as Kafka's producers write them) with bounds: nothing is
 * allocated on a promise, every copy is checked before it is done, and every step moves forward.
 */

const magic = 0x184d2204
const skippableMask = 0xfffffff0
const skippable = 0x184d2a50

/** Unpack all frames of `input`, at most `limit` bytes. Throws `Error` with the reason. */
export function unpackLz4(input: Uint8Array, limit: number): Uint8Array {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength)
  let output = new Uint8Array(Math.min(limit, Math.max(1024, input.length * 2)))
  let at = 0
  let p = 0
  if (input.length < 7) throw new Error(`a frame of ${input.length} bytes has no header`)
  while (p < input.length) p = frame(p)
  return output.subarray(0, at)

  function frame(start: number): number {
    let q = start
    const kind = wordAt(q)
    q += 4
    if ((kind & skippableMask) >>> 0 === skippable) {
      const size = wordAt(q)
      need(q + 4, size)
      return q + 4 + size
    }
    if (kind !== magic)
      throw new Error(`it begins with ${kind.toString(16)}, which is no LZ4 frame`)
    const descriptor = q
    const flags = byteAt(q++)
    const sizes = byteAt(q++)
    if (flags >>> 6 !== 1) throw new Error(`its version is ${flags >>> 6}`)
    if ((flags & 0x02) !== 0 || (sizes & 0x8f) !== 0) throw new Error('its reserved bits are set')
    const independent = (flags & 0x20) !== 0
    const blockSums = (flags & 0x10) !== 0
    const contentSize = (flags & 0x08) !== 0
    const contentSum = (flags & 0x04) !== 0
    const hasDictionary = (flags & 0x01) !== 0
    const id = sizes >>> 4
    if (id < 4) throw new Error(`its block size has the unknown number ${id}`)
    const blockMost = 1 << (2 * id + 8)
    let promised: bigint | undefined
    if (contentSize) {
      need(q, 8)
      promised = view.getBigUint64(q, true)
      q += 8
      if (promised > BigInt(limit)) throw tooLong(promised)
    }
    if (hasDictionary) throw new Error('it needs a dictionary')
    const check = byteAt(q)
    const sum = (xxh32(input.subarray(descriptor, q)) >>> 8) & 0xff
    if (check !== sum) throw new Error(`its header's checksum is ${check}, not ${sum}`)
    q++

    const begin = at
    for (;;) {
      const word = wordAt(q)
      q += 4
      if (word === 0) break
      const stored = word >>> 31 === 1
      const size = word & 0x7fffffff
      if (size > blockMost) throw new Error(`a block of ${size} bytes passes ${blockMost}`)
      need(q, size)
      if (stored) {
        grow(size)
        output.set(input.subarray(q, q + size), at)
        at += size
      } else {
        block(q, q + size, independent ? at : begin, blockMost)
      }
      if (blockSums) {
        const given = wordAt(q + size)
        if (given !== xxh32(input.subarray(q, q + size))) throw new Error('a block is damaged')
        q += 4
      }
      q += size
    }
    if (contentSum) {
      if (wordAt(q) !== xxh32(output.subarray(begin, at))) throw new Error('its content is damaged')
      q += 4
    }
    if (promised !== undefined && promised !== BigInt(at - begin)) {
      throw new Error(`it has ${at - begin} bytes, not the ${promised} it promises`)
    }
    return q
  }

  /** One block of sequences: literals, then a copy of what was written from `floor` on. */
  function block(from: number, end: number, floor: number, most: number): void {
    const top = at + most
    let q = from
    while (q < end) {
      const token = input[q++] as number
      let literals = token >>> 4
      if (literals === 15) {
        let more = 255
        while (more === 255) {
          if (q >= end) throw new Error('a block ends inside a length')
          literals += more = input[q++] as number
        }
      }
      if (q + literals > end) throw new Error(`${literals} literals pass the end of their block`)
      if (at + literals > top) throw new Error(`a block is longer than ${most} bytes`)
      grow(literals)
      if (literals > 24) output.set(input.subarray(q, q + literals), at)
      else for (let i = 0; i < literals; i++) output[at + i] = input[q + i] as number
      at += literals
      q += literals
      if (q === end) return
      if (q + 2 > end) throw new Error('a block ends inside an offset')
      const offset = (input[q] as number) | ((input[q + 1] as number) << 8)
      q += 2
      if (offset === 0 || at - offset < floor) {
        throw new Error(`a copy reaches ${offset} back from ${at - floor}`)
      }
      let length = (token & 15) + 4
      if (length === 19) {
        let more = 255
        while (more === 255) {
          if (q >= end) throw new Error('a block ends inside a length')
          length += more = input[q++] as number
        }
      }
      if (at + length > top) throw new Error(`a block is longer than ${most} bytes`)
      grow(length)
      if (offset >= length && length > 24) output.copyWithin(at, at - offset, at - offset + length)
      // A copy may read what it has just written, so it goes byte by byte.
      else for (let i = at; i < at + length; i++) output[i] = output[i - offset] as number
      at += length
    }
    throw new Error('a block ends without its last literals')
  }

  function grow(by: number): void {
    const wanted = at + by
    if (wanted <= output.length) return
    if (wanted > limit) throw tooLong(wanted)
    const larger = new Uint8Array(Math.min(limit, Math.max(wanted, output.length * 2)))
    larger.set(output.subarray(0, at))
    output = larger
  }

  function tooLong(size: number | bigint): RangeError {
    return new RangeError(`it unpacks to ${size} bytes or more, at most ${limit} are taken`)
  }

  function need(position: number, count: number): void {
    if (position + count > input.length) throw new Error('it ends too early')
  }

  function byteAt(position: number): number {
    need(position, 1)
    return input[position] as number
  }

  function wordAt(position: number): number {
    need(position, 4)
    return view.getUint32(position, true)
  }
}

const prime1 = 0x9e3779b1
const prime2 = 0x85ebca77
const prime3 = 0xc2b2ae3d
const prime4 = 0x27d4eb2f
const prime5 = 0x165667b1

const rotate = (value: number, by: number): number => (value << by) | (value >>> (32 - by))

/** xxHash of 32 bits with seed 0, as LZ4 frames use it. */
export function xxh32(data: Uint8Array): number {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  const { length } = data
  let p = 0
  let hash: number
  if (length >= 16) {
    let a = (prime1 + prime2) | 0
    let b = prime2 | 0
    let c = 0
    let d = -prime1 | 0
    const round = (lane: number, at: number): number =>
      Math.imul(rotate((lane + Math.imul(view.getUint32(at, true), prime2)) | 0, 13), prime1)
    for (; p <= length - 16; p += 16) {
      a = round(a, p)
      b = round(b, p + 4)
      c = round(c, p + 8)
      d = round(d, p + 12)
    }
    hash = (rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18)) | 0
  } else {
    hash = prime5 | 0
  }
  hash = (hash + length) | 0
  for (; p <= length - 4; p += 4) {
    hash = Math.imul(rotate((hash + Math.imul(view.getUint32(p, true), prime3)) | 0, 17), prime4)
  }
  for (; p < length; p++) {
    hash = Math.imul(rotate((hash + Math.imul(data[p] as number, prime5)) | 0, 11), prime1)
  }
  hash = Math.imul(hash ^ (hash >>> 15), prime2)
  hash = Math.imul(hash ^ (hash >>> 13), prime3)
  return (hash ^ (hash >>> 16)) >>> 0
}
