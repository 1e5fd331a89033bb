/**
 * Pub/Sub's filter language for attributes (docs: "Filter messages from a subscription"), so that a
 * filter that works on one machine works in the cloud:
 *
 *     attributes:key                    the key is there
 *     attributes.key = "value"          also != ; a message without the key differs from every value
 *     hasPrefix(attributes.key, "pre")
 *     NOT, -, AND, OR, ( )              AND and OR mix only with parentheses
 *
 * A key that is not a plain word is quoted: `attributes."kafka.topic" = "…"`.
 */
import { NightjarError } from './errors.ts'

export type AttributeFilter = (attributes: Readonly<Record<string, string>>) => boolean

/** Pub/Sub takes no longer one. */
export const maxFilterBytes = 256
const token =
  /\s*(?:(?<string>"(?:[^"\\]|\\.)*")|(?<word>[A-Za-z_][A-Za-z0-9_-]*)|(?<sign>!=|[=:.(),-]))/y

interface Token {
  kind: 'string' | 'word' | 'sign' | 'end'
  text: string
  at: number
}

/** Compile a filter; the empty text passes all. Throws `input_invalid` pointing at the column. */
export function parseFilter(text: string): AttributeFilter {
  if (text.trim() === '') return () => true
  const bytes = Buffer.byteLength(text)
  if (bytes > maxFilterBytes) {
    throw new NightjarError(
      'input_invalid',
      `Cannot use a filter of ${bytes} bytes: at most ${maxFilterBytes} are allowed`,
    )
  }
  const tokens = tokenize(text)
  let next = 0
  const peek = (): Token => tokens[next] as Token
  const take = (): Token => tokens[next++] as Token
  const fail = (wanted: string, found = peek()): never => {
    const what = found.kind === 'end' ? 'its end' : `"${found.text}"`
    throw new NightjarError(
      'input_invalid',
      `Cannot use filter ${JSON.stringify(text)}: column ${found.at + 1} should be ${wanted}, not ${what}`,
    )
  }
  const takeSign = (sign: string): void => {
    if (peek().text !== sign || peek().kind !== 'sign') fail(`"${sign}"`)
    next++
  }
  const isWord = (word: string): boolean => peek().kind === 'word' && peek().text === word

  function expression(): AttributeFilter {
    const terms = [term()]
    const joint = isWord('AND') ? 'AND' : isWord('OR') ? 'OR' : undefined
    while (joint !== undefined && isWord(joint)) {
      next++
      terms.push(term())
    }
    if (isWord('AND') || isWord('OR')) fail('within parentheses where AND and OR mix')
    if (terms.length === 1) return terms[0] as AttributeFilter
    return joint === 'AND'
      ? (attributes) => terms.every((pass) => pass(attributes))
      : (attributes) => terms.some((pass) => pass(attributes))
  }

  function term(): AttributeFilter {
    if (isWord('NOT') || (peek().kind === 'sign' && peek().text === '-')) {
      next++
      const inner = term()
      return (attributes) => !inner(attributes)
    }
    if (peek().kind === 'sign' && peek().text === '(') {
      next++
      const inner = expression()
      takeSign(')')
      return inner
    }
    if (isWord('hasPrefix')) return hasPrefix()
    return comparison()
  }

  function hasPrefix(): AttributeFilter {
    next++
    takeSign('(')
    takeAttributes()
    takeSign('.')
    const key = takeKey()
    takeSign(',')
    const prefix = takeString()
    takeSign(')')
    return (attributes) => own(attributes, key)?.startsWith(prefix) ?? false
  }

  function comparison(): AttributeFilter {
    takeAttributes()
    const sign = take()
    if (sign.text === ':') {
      const key = takeKey()
      return (attributes) => own(attributes, key) !== undefined
    }
    if (sign.text !== '.') fail('"." or ":"', sign)
    const key = takeKey()
    const operator = take()
    if (operator.text !== '=' && operator.text !== '!=') fail('"=" or "!="', operator)
    const value = takeString()
    return operator.text === '='
      ? (attributes) => own(attributes, key) === value
      : (attributes) => own(attributes, key) !== value
  }

  function takeAttributes(): void {
    if (!isWord('attributes')) fail('"attributes"')
    next++
  }
  function takeKey(): string {
    const found = take()
    if (found.kind === 'word') return found.text
    if (found.kind === 'string') return unquote(found.text)
    return fail('the name of an attribute', found)
  }
  function takeString(): string {
    const found = take()
    return found.kind === 'string' ? unquote(found.text) : fail('a "quoted" value', found)
  }

  const filter = expression()
  if (peek().kind !== 'end') fail('its end')
  return filter
}

function tokenize(text: string): Token[] {
  const tokens: Token[] = []
  token.lastIndex = 0
  for (;;) {
    const start = token.lastIndex
    const match = token.exec(text)
    if (match === null) {
      const rest = text.slice(start)
      const at = start + (rest.length - rest.trimStart().length)
      if (rest.trim() === '') return [...tokens, { kind: 'end', text: '', at: text.length }]
      throw new NightjarError(
        'input_invalid',
        `Cannot use filter ${JSON.stringify(text)}: column ${at + 1} has "${text[at]}"`,
      )
    }
    const { string, word } = match.groups ?? {}
    const kind = string !== undefined ? 'string' : word !== undefined ? 'word' : 'sign'
    const body = match[0].trimStart()
    tokens.push({ kind, text: body, at: token.lastIndex - body.length })
  }
}

const unquote = (quoted: string): string => quoted.slice(1, -1).replaceAll(/\\(.)/g, '$1')

function own(attributes: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(attributes, key) ? attributes[key] : undefined
}
