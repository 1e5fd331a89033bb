/**
 * The grammar of JMS 1.1, 3.8.1.1, which is a part of SQL-92's conditions:
 *
 *     or        := and (OR and)*               and := not (AND not)*         not := NOT not | equality
 *     equality  := relation ((= | <>) relation | IS [NOT] NULL)*
 *     relation  := sum ((> | >= | < | <=) sum | [NOT] BETWEEN sum AND sum
 *                  | [NOT] IN ('text', …) | [NOT] LIKE 'text' [ESCAPE 'c'])*
 *     sum       := product ((+ | -) product)*  product := factor ((* | /) factor)*
 *     factor    := (+ | -) factor | literal | name | cone(ra, dec, radius) | ( or )
 *
 * A selector that can never make sense by its types alone (`s > 'b'`, `3 + 5`, `i IN (5)`) is refused
 * here, with the column. Length, depth and number of nodes are bounded, and so is the time.
 */
import { cited, selectorFault } from './fault.ts'
import { tokenize, type Token } from './lexer.ts'
import { parseLike } from './like.ts'
import {
  nodesOf,
  type ComparisonOperator,
  type Condition,
  type Cone,
  type Expression,
  type Name,
  type Selector,
  type Value,
} from './tree.ts'

/** How deep parentheses, signs, NOTs and chains of operators may nest. */
export const maxDepth = 64
export const maxNodes = 4096

const conversionPrefix = 'convert_string_expressions:'

/** Parse a selector; the empty or blank one selects all. Throws `input_invalid` with the column. */
export function parseSelector(text: string): Selector {
  const convertsText = text.startsWith(conversionPrefix)
  // Blanks in its place keep the columns.
  const source = convertsText
    ? ' '.repeat(conversionPrefix.length) + text.slice(conversionPrefix.length)
    : text
  const root = parse(source)
  const names = new Set<string>()
  for (const node of nodesOf(root)) {
    if (node.kind === 'name') names.add(node.name)
    if (node.kind === 'cone') names.add('ra').add('dec')
  }
  return { text, root, names: [...names], convertsText }
}

function parse(source: string): Condition {
  const tokens = tokenize(source)
  let next = 0
  let nesting = 0
  let nodes = 0
  const depths = new WeakMap<Expression, number>()
  const inParentheses = new WeakSet<Expression>()

  const peek = (): Token => tokens[next] as Token
  const isSign = (word: string, token = peek()): boolean =>
    token.kind === 'sign' && token.word === word
  const isKeyword = (word: string, token = peek()): boolean =>
    token.kind === 'keyword' && token.word === word

  if (peek().kind === 'end') return { kind: 'boolean', value: true, at: 0, end: 0 }
  const root = condition(or())
  if (peek().kind !== 'end') throw unexpected('an operator or its end')
  return root

  function take(): Token {
    return tokens[next++] as Token
  }

  function takeSign(word: string): Token {
    if (!isSign(word)) throw unexpected(`"${word}"`)
    return take()
  }

  function takeKeyword(word: string): Token {
    if (!isKeyword(word)) throw unexpected(word)
    return take()
  }

  function takeText(what: string): Token {
    if (peek().kind !== 'text') throw unexpected(what)
    return take()
  }

  function accept(word: string): boolean {
    if (!isKeyword(word)) return false
    next++
    return true
  }

  function unexpected(wanted: string, token = peek()) {
    const found = token.kind === 'end' ? 'its end' : cited(source.slice(token.at, token.end))
    return selectorFault(source, token.at, `should be ${wanted}, not ${found}`)
  }

  /** Count a node, and refuse a tree that is deeper or larger than is walked in good time. */
  function made<T extends Expression>(node: T, ...parts: Expression[]): T {
    const depth = 1 + Math.max(0, ...parts.map((part) => depths.get(part) ?? 1))
    depths.set(node, depth)
    if (depth > maxDepth) throw selectorFault(source, node.at, `nests deeper than ${maxDepth}`)
    if (++nodes > maxNodes)
      throw selectorFault(source, node.at, `is of more than ${maxNodes} parts`)
    return node
  }

  function nested<T>(read: () => T): T {
    if (++nesting > maxDepth)
      throw selectorFault(source, peek().at, `nests deeper than ${maxDepth}`)
    const node = read()
    nesting--
    return node
  }

  function or(): Expression {
    return joint('or', 'OR', and)
  }

  function and(): Expression {
    return joint('and', 'AND', not)
  }

  function joint(kind: 'and' | 'or', word: string, read: () => Expression): Expression {
    const first = read()
    if (!isKeyword(word)) return first
    const terms = [condition(first)]
    while (accept(word)) terms.push(condition(read()))
    const { at } = first
    return made({ kind, terms, at, end: (terms.at(-1) as Condition).end }, ...terms)
  }

  function not(): Expression {
    if (!isKeyword('NOT')) return equality()
    const { at } = take()
    const of = condition(nested(not))
    const bare = !inParentheses.has(of) && !['name', 'not', 'boolean', 'null'].includes(of.kind)
    return made({ kind: 'not', bare, of, at, end: of.end }, of)
  }

  function equality(): Expression {
    let left = relation()
    for (;;) {
      if (accept('IS')) {
        const negated = accept('NOT')
        const { end } = takeKeyword('NULL')
        left = made({ kind: 'is_null', negated, of: left, at: left.at, end }, left)
      } else if (isSign('=') || isSign('<>')) {
        const operator = take().word as ComparisonOperator
        left = comparison(operator, comparable(left), comparable(relation()))
      } else {
        return left
      }
    }
  }

  function relation(): Expression {
    let left = sum()
    for (;;) {
      const sign = peek()
      if (['<', '<=', '>', '>='].some((word) => isSign(word))) {
        next++
        const operator = sign.word as ComparisonOperator
        left = comparison(operator, ordered(left, operator), ordered(sum(), operator))
        continue
      }
      const after = tokens[next + 1] as Token
      const negated = isKeyword('NOT')
      const word = negated ? after : sign
      if (word.kind !== 'keyword' || !['BETWEEN', 'IN', 'LIKE'].includes(word.word)) return left
      next += negated ? 2 : 1
      if (word.word === 'BETWEEN') left = between(left, negated)
      else if (word.word === 'IN') left = within(left, negated)
      else left = like(left, negated)
    }
  }

  function comparison(operator: ComparisonOperator, left: Expression, right: Expression) {
    const { at } = left
    return made(
      { kind: 'comparison' as const, operator, left, right, at, end: right.end },
      left,
      right,
    )
  }

  function between(left: Expression, negated: boolean): Condition {
    const of = ordered(left, 'BETWEEN')
    const low = ordered(sum(), 'BETWEEN')
    takeKeyword('AND')
    const high = ordered(sum(), 'BETWEEN')
    const { at } = left
    return made({ kind: 'between', negated, of, low, high, at, end: high.end }, of, low, high)
  }

  function within(left: Expression, negated: boolean): Condition {
    const of = named(left, 'IN')
    takeSign('(')
    const texts = [takeText("a 'text'").word]
    while (isSign(',')) {
      next++
      texts.push(takeText("a 'text'").word)
    }
    const { end } = takeSign(')')
    return made({ kind: 'in', negated, of, texts: [...new Set(texts)], at: left.at, end }, of)
  }

  function like(left: Expression, negated: boolean): Condition {
    const of = named(left, 'LIKE')
    const wanted = takeText("a 'pattern'")
    let { end } = wanted
    let escape: string | undefined
    if (accept('ESCAPE')) {
      const character = takeText("a 'character'")
      if ([...character.word].length !== 1) throw unexpected('one character', character)
      escape = character.word
      end = character.end
    }
    const pattern = parseLike(wanted.word, escape)
    return made({ kind: 'like', negated, of, pattern, at: left.at, end }, of)
  }

  function sum(): Expression {
    return chain(['+', '-'], product)
  }

  function product(): Expression {
    return chain(['*', '/'], factor)
  }

  function chain(
    operators: readonly ('+' | '-' | '*' | '/')[],
    read: () => Expression,
  ): Expression {
    let left = read()
    for (;;) {
      const operator = operators.find((word) => isSign(word))
      if (operator === undefined) return left
      next++
      const first = number(left)
      const second = number(read())
      left = made(
        { kind: 'arithmetic', operator, left: first, right: second, at: first.at, end: second.end },
        first,
        second,
      )
    }
  }

  function factor(): Expression {
    const token = take()
    const { at, end } = token
    switch (token.kind) {
      case 'text':
        return made({ kind: 'text', value: token.word, at, end })
      case 'integer':
        return made({ kind: 'integer', value: slim(token.integer ?? 0n), at, end })
      case 'double':
        return made({ kind: 'double', value: token.double ?? NaN, at, end })
      case 'name':
        if (isSign('(')) return call(token)
        return made({ kind: 'name', name: token.word, at, end })
      case 'keyword':
        if (token.word === 'NULL') return made({ kind: 'null', at, end })
        if (token.word === 'TRUE' || token.word === 'FALSE') {
          return made({ kind: 'boolean', value: token.word === 'TRUE', at, end })
        }
        break
      case 'sign':
        if (token.word === '(') return parenthesised()
        if (token.word === '+' || token.word === '-') return signed(token.word, at)
        break
      case 'end':
    }
    throw unexpected('a value or a condition', token)
  }

  function parenthesised(): Expression {
    const inner = nested(or)
    takeSign(')')
    inParentheses.add(inner)
    return inner
  }

  function signed(operator: '+' | '-', at: number): Expression {
    const of = number(nested(factor))
    const { end } = of
    // A literal takes its sign at once: the least 64-bit integer has no positive twin.
    if (of.kind === 'integer') {
      const value = operator === '+' ? of.value : slim(-BigInt(of.value))
      return made({ kind: 'integer', value, at, end })
    }
    if (of.kind === 'double') {
      return made({ kind: 'double', value: operator === '+' ? of.value : -of.value, at, end })
    }
    return made({ kind: 'sign', operator, of, at, end }, of)
  }

  function call(name: Token): Cone {
    if (name.word !== 'cone') {
      throw selectorFault(source, name.at, `calls ${cited(name.word)}: the one function is cone`)
    }
    takeSign('(')
    const ra = degrees('ra', 0, 360)
    takeSign(',')
    const dec = degrees('dec', -90, 90)
    takeSign(',')
    const radius = degrees('radius', 0, 180)
    const { end } = takeSign(')')
    return made({ kind: 'cone', ra, dec, radius, at: name.at, end })
  }

  function degrees(what: string, low: number, high: number): number {
    const token = peek()
    const value = factor()
    const written = value.kind === 'integer' || value.kind === 'double' ? Number(value.value) : NaN
    if (written >= low && written <= high) return written
    throw unexpected(`${what} in degrees, ${low} to ${high}`, token)
  }

  /** What stands where a condition must: a comparison or the like, TRUE, FALSE, NULL or a name. */
  function condition(node: Expression): Condition {
    switch (node.kind) {
      case 'text':
      case 'integer':
      case 'double':
      case 'sign':
      case 'arithmetic':
        throw selectorFault(source, node.at, `should be a condition, not ${called(node)}`)
      default:
        return node
    }
  }

  /** An operand of arithmetic. */
  function number(node: Expression): Value {
    switch (node.kind) {
      case 'name':
      case 'integer':
      case 'double':
      case 'sign':
      case 'arithmetic':
      case 'null':
        return node
      default:
        throw selectorFault(source, node.at, `should be a number, not ${called(node)}`)
    }
  }

  /** An operand of <, >, BETWEEN: numbers have an order; text has none that a selector may ask for. */
  function ordered(node: Expression, operator: string): Value {
    if (node.kind === 'null') throw selectorFault(source, node.at, 'has NULL: write IS NULL')
    if (node.kind === 'text') {
      throw selectorFault(source, node.at, `has a text, which ${operator} does not order`)
    }
    return number(node)
  }

  function comparable(node: Expression): Expression {
    if (node.kind === 'null') throw selectorFault(source, node.at, 'has NULL: write IS NULL')
    return node
  }

  function named(node: Expression, operator: string): Name {
    if (node.kind === 'name') return node
    throw selectorFault(
      source,
      node.at,
      `should be a name, not ${called(node)}: ${operator} is for names`,
    )
  }
}

/** What a node is called in a complaint. */
function called(node: Expression): string {
  switch (node.kind) {
    case 'text':
      return 'a text'
    case 'integer':
    case 'double':
    case 'sign':
    case 'arithmetic':
      return 'a number'
    case 'null':
      return 'NULL'
    case 'name':
      return `the name ${cited(node.name)}`
    default:
      return 'a condition'
  }
}

/** An integer as a number where it is safe as one. */
function slim(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}
