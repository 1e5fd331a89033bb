/**
 * A set of Kafka offsets as bits: 122 KiB hold a million. It grows to what is put in, so a partition
 * may begin anywhere.
 */
import { createHash } from 'node:crypto'

export interface Bitmap {
  add(offset: bigint): void
  /** Add `count` offsets from `offset` on. */
  addRange(offset: bigint, count: number): void
  /** Add the offsets 32·word + i for each set bit i. */
  addWord(word: number, bits: number): void
  has(offset: bigint): boolean
  count(): number
  words(): { first: number; bits: Uint32Array }
}

/** Make an empty set. */
export function createBitmap(): Bitmap {
  let first = 0
  let bits = new Uint32Array(0)

  /** Make room for a word; answers its index. */
  function reach(word: number): number {
    if (bits.length === 0) {
      first = word
      bits = new Uint32Array(32)
    } else if (word < first || word >= first + bits.length) {
      // Twice as much room, on the side where it is wanted.
      const end = Math.max(first + bits.length, word + 1)
      const length = Math.max(end - Math.min(first, word), bits.length * 2)
      const low = word < first ? Math.max(0, end - length) : first
      const grown = new Uint32Array(length)
      grown.set(bits, first - low)
      first = low
      bits = grown
    }
    return word - first
  }

  function addWord(word: number, mask: number): void {
    const index = reach(word)
    bits[index] = (bits[index] as number) | mask
  }

  return {
    addWord,
    add: (offset) => addWord(Number(offset >> 5n), 1 << Number(offset & 31n)),
    addRange(offset, count) {
      if (count <= 0) return
      const last = offset + BigInt(count) - 1n
      const firstWord = Number(offset >> 5n)
      const lastWord = Number(last >> 5n)
      for (let word = firstWord; word <= lastWord; word++) {
        let mask = 0xffffffff
        if (word === firstWord) mask &= 0xffffffff << Number(offset & 31n)
        if (word === lastWord) mask &= 0xffffffff >>> (31 - Number(last & 31n))
        addWord(word, mask)
      }
    },
    has(offset) {
      const word = Number(offset >> 5n) - first
      return (((bits[word] ?? 0) >>> Number(offset & 31n)) & 1) === 1
    },
    count() {
      let total = 0
      for (const word of bits) total += ones(word)
      return total
    },
    words: () => ({ first, bits }),
  }
}

/** The offsets [low, high). */
export function rangeBitmap(low: bigint, high: bigint): Bitmap {
  const bitmap = createBitmap()
  bitmap.addRange(low, Number(high - low))
  return bitmap
}

/** The offsets in any of the sets. */
export function union(bitmaps: Iterable<Bitmap>): Bitmap {
  const all = createBitmap()
  for (const bitmap of bitmaps) forEachWord(bitmap, (word, bits) => all.addWord(word, bits))
  return all
}

/** The offsets of `from` that are not in `without`. */
export function difference(from: Bitmap, without: Bitmap): Bitmap {
  const rest = createBitmap()
  const { first, bits } = without.words()
  forEachWord(from, (word, mask) => {
    const left = mask & ~(bits[word - first] ?? 0)
    if (left !== 0) rest.addWord(word, left)
  })
  return rest
}

/** The offsets in both sets. */
export function intersection(a: Bitmap, b: Bitmap): Bitmap {
  return difference(a, difference(a, b))
}

/** Runs of consecutive offsets, ascending: [first, first + count). */
export function* runs(bitmap: Bitmap): Generator<{ first: bigint; count: number }> {
  const { first, bits } = bitmap.words()
  let start = -1n
  let length = 0
  for (let index = 0; index < bits.length; index++) {
    const word = bits[index] as number
    // A word of all ones or none needs no look at its bits.
    if (word === 0xffffffff && length > 0) length += 32
    else if (word !== 0 || length > 0) {
      for (let bit = 0; bit < 32; bit++) {
        const set = (word >>> bit) & 1
        if (set === 1 && length++ === 0) start = BigInt(first + index) * 32n + BigInt(bit)
        if (set === 0 && length > 0) {
          yield { first: start, count: length }
          length = 0
        }
      }
    }
  }
  if (length > 0) yield { first: start, count: length }
}

/**
 * SHA-256 of the set over [low, high): bit i of the little-endian bit string is offset low + i. The
 * same set gives the same hash wherever and in whatever order it was gathered.
 */
export function hashBitmap(bitmap: Bitmap, low: bigint, high: bigint): string {
  const length = Number(high - low)
  const bytes = new Uint8Array(Math.ceil(length / 8))
  for (const { first, count } of runs(intersection(bitmap, rangeBitmap(low, high)))) {
    let at = Number(first - low)
    const end = at + count
    while (at < end) {
      if ((at & 7) === 0 && end - at >= 8) {
        bytes[at >> 3] = 0xff
        at += 8
      } else {
        bytes[at >> 3] = (bytes[at >> 3] as number) | (1 << (at & 7))
        at++
      }
    }
  }
  return createHash('sha256').update(bytes).digest('hex')
}

function forEachWord(bitmap: Bitmap, visit: (word: number, bits: number) => void): void {
  const { first, bits } = bitmap.words()
  for (let index = 0; index < bits.length; index++) {
    const word = bits[index] as number
    if (word !== 0) visit(first + index, word)
  }
}

/** How many bits of a word are set. */
export function ones(word: number): number {
  let v = word - ((word >>> 1) & 0x55555555)
  v = (v & 0x33333333) + ((v >>> 2) & 0x33333333)
  return (((v + (v >>> 4)) & 0x0f0f0f0f) * 0x01010101) >>> 24
}
