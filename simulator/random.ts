/**
 * Chance with a seed: the same words give the same numbers on every machine. Every thing that is
 * drawn (a field, an object, a measurement) has a generator of its own, named by what it is, so that
 * drawing one more number here changes nothing there.
 */
export interface Random {
  /** Uniform in [0, 1), 32 bits. */
  next(): number
  between(low: number, high: number): number
  /** A whole number in [0, count). */
  whole(count: number): number
  chance(probability: number): boolean
  pick<T>(list: readonly T[]): T
  /** Normal deviate of mean 0 and deviation 1. */
  normal(): number
  exponential(mean: number): number
}

/** Make a generator from words that name what it is for. */
export function createRandom(...words: readonly (string | number)[]): Random {
  const next = sfc32(words.join(' '))
  let spare: number | undefined

  function normal(): number {
    if (spare !== undefined) {
      const kept = spare
      spare = undefined
      return kept
    }
    // Marsaglia's polar method: no sine or cosine, whose last bits are less sure.
    for (;;) {
      const x = 2 * next() - 1
      const y = 2 * next() - 1
      const s = x * x + y * y
      if (s > 0 && s < 1) {
        const scale = Math.sqrt((-2 * Math.log(s)) / s)
        spare = y * scale
        return x * scale
      }
    }
  }

  return {
    next,
    between: (low, high) => low + (high - low) * next(),
    whole: (count) => Math.floor(next() * count),
    chance: (probability) => next() < probability,
    pick: <T>(list: readonly T[]) => list[Math.floor(next() * list.length)] as T,
    normal,
    exponential: (mean) => -mean * Math.log(1 - next()),
  }
}

/** Chris Doty-Humphrey's sfc32 (PractRand), seeded by an FNV-1a walk over the text. */
function sfc32(text: string): () => number {
  let a = hash(text, 0x811c9dc5)
  let b = hash(text, 0x9e3779b9)
  let c = hash(text, 0x85ebca6b)
  let counter = 1

  function next(): number {
    const sum = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + sum) | 0
    return (sum >>> 0) / 4294967296
  }

  for (let round = 0; round < 12; round++) next()
  return next
}

/** FNV-1a of a text, 32 bits, from a given basis. */
export function hash(text: string, basis = 0x811c9dc5): number {
  let value = basis
  for (let i = 0; i < text.length; i++) {
    value = Math.imul(value ^ text.charCodeAt(i), 0x01000193)
  }
  return value | 0
}
