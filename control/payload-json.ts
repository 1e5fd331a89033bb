/** JSON as Boost's property tree reads it: every value a text, repeated keys kept in their order. */
import { NightjarError } from '../core/errors.ts'

export type PairTree = readonly (readonly [key: string, value: string | PairTree])[]

export const maxPayloadLength = 8 * 1024 * 1024
/** So many objects stand in each other at most. */
export const maxDepth = 32

/** Read an object as pairs. Throws `input_invalid` with the place. */
export function parsePairs(text: string): PairTree {
  if (text.length > maxPayloadLength) throw fault(0, `it is longer than ${maxPayloadLength}`)
  let at = 0
  const tree = object(0)
  skipBlanks()
  if (at < text.length) throw fault(at, 'something follows it')
  return tree

  function skipBlanks(): void {
    while (at < text.length && ' \t\r\n'.includes(text[at] ?? '')) at++
  }

  function take(wanted: string): boolean {
    skipBlanks()
    if (text[at] !== wanted) return false
    at++
    return true
  }

  function expect(wanted: string): void {
    if (!take(wanted)) throw fault(at, `"${wanted}" is expected`)
  }

  function object(depth: number): PairTree {
    if (depth > maxDepth) throw fault(at, `it is nested deeper than ${maxDepth}`)
    expect('{')
    const pairs: [string, string | PairTree][] = []
    if (take('}')) return pairs
    do {
      const key = string()
      expect(':')
      skipBlanks()
      pairs.push([key, text[at] === '{' ? object(depth + 1) : plain()])
    } while (take(','))
    expect('}')
    return pairs
  }

  function plain(): string {
    if (text[at] === '"') return string()
    const pattern = /true|false|null|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y
    pattern.lastIndex = at
    const [found] = pattern.exec(text) ?? []
    if (found === undefined) throw fault(at, 'a text, a number or an object is expected')
    at += found.length
    return found
  }

  function string(): string {
    skipBlanks()
    const from = at
    if (text[at] !== '"') throw fault(at, 'a text is expected')
    for (at++; at < text.length && text[at] !== '"'; at++) if (text[at] === '\\') at++
    at++
    try {
      const value: unknown = JSON.parse(text.slice(from, at))
      if (typeof value === 'string') return value
    } catch {
      // Said below, with the place.
    }
    throw fault(from, 'the text that begins here is none of JSON')
  }
}

function fault(at: number, why: string): NightjarError {
  return new NightjarError('input_invalid', `Cannot read a payload at character ${at + 1}: ${why}`)
}
