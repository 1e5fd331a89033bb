/**
 * The words of a selector (JMS 1.1, 3.8.1.1): keywords in any case, Java identifiers in their own,
 * 'text' with '' for a quote, exact and approximate numbers, comments as ActiveMQ skips them.
 */
import { selectorFault } from './fault.ts'

export interface Token {
  kind: 'keyword' | 'name' | 'text' | 'integer' | 'double' | 'sign' | 'end'
  /** A keyword in capitals, a name or sign as written, the content of a text. */
  word: string
  /** The value of an integer. */
  integer?: bigint
  /** The value of a double; 1e400 is Infinity, as in Java. */
  double?: number
  at: number
  end: number
}

/** Longest selector; what is longer is refused unread. */
export const maxSelectorLength = 16_384

const keywords = new Set('NOT AND OR BETWEEN LIKE ESCAPE IN IS NULL TRUE FALSE'.split(' '))

const blank = /(?:[ \t\r\n\f]|\/\*[^]*?\*\/)+/y
const lineComment = /--[^\r\n]*[\r\n]/y
const double = /(?:\d+\.\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)/y
const integer = /(?:0[xX](?<hex>[0-9a-fA-F]+)|0(?<octal>[0-7]*)|(?<decimal>[1-9]\d*)[lL]?)/y
const name = /[\p{ID_Start}$_][\p{ID_Continue}$_]*/uy
const text = /'[^']*(?:''[^']*)*'/y
const sign = /<>|<=|>=|[-=<>+*/(),]/y

/** Cut a selector into words, the last of which is its end. Throws `input_invalid` with the column. */
export function tokenize(source: string): Token[] {
  if (source.length > maxSelectorLength) {
    throw selectorFault(
      source,
      maxSelectorLength,
      `is one too many: a selector has at most ${maxSelectorLength} characters`,
    )
  }
  const tokens: Token[] = []
  let at = 0
  // A line comment ends in a line end: without one, `--` is two minuses, as in `--i = 5`.
  const lastLineEnd = Math.max(source.lastIndexOf('\n'), source.lastIndexOf('\r'))

  function match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = at
    return pattern.exec(source)
  }

  for (;;) {
    skip()
    if (at === source.length) return [...tokens, { kind: 'end', word: '', at, end: at }]
    const token = read()
    tokens.push(token)
    at = token.end
  }

  function skip(): void {
    for (;;) {
      const found = match(blank) ?? (at < lastLineEnd ? match(lineComment) : null)
      if (found === null) return
      at += found[0].length
    }
  }

  function read(): Token {
    let found: RegExpExecArray | null
    if ((found = match(double))) {
      return { kind: 'double', word: found[0], double: Number(found[0]), ...span(found) }
    }
    if ((found = match(integer))) {
      const { hex, octal, decimal } = found.groups ?? {}
      const value = hex ? `0x${hex}` : octal ? `0o${octal}` : (decimal ?? '0')
      return { kind: 'integer', word: found[0], integer: BigInt(value), ...span(found) }
    }
    if ((found = match(name))) {
      const word = found[0].toUpperCase()
      if (keywords.has(word)) return { kind: 'keyword', word, ...span(found) }
      return { kind: 'name', word: found[0], ...span(found) }
    }
    if ((found = match(text))) {
      const content = found[0].slice(1, -1).replaceAll("''", "'")
      const odd = found[0].search(/\0|\p{Cs}/u)
      if (odd >= 0) throw selectorFault(source, at + odd, 'has a character that no text may hold')
      return { kind: 'text', word: content, ...span(found) }
    }
    if ((found = match(sign))) return { kind: 'sign', word: found[0], ...span(found) }
    throw selectorFault(source, at, whyNot(source, at))
  }

  function span([whole]: RegExpExecArray): { at: number; end: number } {
    return { at, end: at + whole.length }
  }
}

/** What to say of a character that begins no word. */
function whyNot(source: string, at: number): string {
  const rest = source.slice(at, at + 2)
  if (rest.startsWith("'")) return 'begins a text that has no end'
  if (rest.startsWith('"')) return "has a double quote: write text as 'text'"
  if (rest === '/*') return 'begins a comment that has no end'
  if (rest === '!=') return 'has "!=": write "<>"'
  if (rest.startsWith('.')) return 'has a dot: a name has none'
  const [character = ''] = source.slice(at)
  return `has ${JSON.stringify(character)}, which begins nothing`
}
