/**
 * Where ActiveMQ 5.17.2 answers otherwise than the JMS specification, or the specification says nothing,
 * and which side a selector of ours takes. The table stands in `docs/selectors.md`, by the same names.
 */
import { isCondition, kindIn, type FieldKind } from './compile.ts'
import { nodesOf, type Expression, type Selector, type Value } from './tree.ts'

/** What is known of a name beforehand; what is left out may be anything. */
export interface NameFacts {
  kind?: FieldKind
  never?: readonly ('null' | 'nan')[]
}

export interface Departure {
  rule: string
  /** One sentence: what each says, and what we do. */
  says: string
  at: number
}

const rules = {
  not_binds: 'ActiveMQ reads (NOT a) = b; here, as in SQL-92, NOT (a = b)',
  null_right:
    'ActiveMQ calls `a = NULL` false where the right side has no value; here it is unknown',
  unlike:
    'ActiveMQ calls <> of unlike types true; here, as JMS says, every such comparison is false',
  boolean_order: 'ActiveMQ orders FALSE before TRUE; here, as JMS says, such a comparison is false',
  nan:
    'ActiveMQ holds NaN equal to itself and above all numbers, and -0.0 below 0.0; here NaN is neither ' +
    'and the zeros are equal (IEEE 754)',
  text_like: 'ActiveMQ says NOT LIKE of what is no text; here LIKE and NOT LIKE are unknown then',
  text_arithmetic: 'ActiveMQ joins texts by + and throws at -; here arithmetic on text is unknown',
  not_finite: 'ActiveMQ wraps around, or goes on with infinity and NaN; here the result is unknown',
  huge: 'ActiveMQ compares an integer beyond 64 bits as unequal and not greater; here it is exact',
  bare_name: 'ActiveMQ takes a name that is no boolean for false; here it is unknown',
  number_pairs:
    'ActiveMQ throws, or says false, for some pairs of number types (a double left of a float, an int ' +
    'left of a short); here numbers are numbers',
  own_names: 'ActiveMQ takes names of ASCII alone; here, as in Java, all letters',
  cone: 'cone(ra, dec, radius) is ours; ActiveMQ refuses it',
} as const

export type Rule = keyof typeof rules

/** Every rule, for the table. */
export const departureRules: Readonly<Record<Rule, string>> = rules

/** The departures that a selector may meet, each once, at the first place. */
export function departuresOf(
  { root }: Selector,
  facts: (name: string) => NameFacts = () => ({}),
): Departure[] {
  const found = new Map<Rule, number>()
  const meet = (rule: Rule, at: number): void => {
    if (!found.has(rule)) found.set(rule, at)
  }
  const kindOf = (node: Expression): FieldKind | 'null' =>
    kindIn(node, (name) => facts(name).kind ?? 'any')
  const may = (node: Expression, what: 'null' | 'nan'): boolean => {
    if (node.kind === 'name') return !facts(node.name).never?.includes(what)
    if (isCondition(node)) return what === 'null'
    return node.kind === 'sign' || node.kind === 'arithmetic' || node.kind === 'null'
  }
  const mayBe = (node: Expression, ...kinds: FieldKind[]): boolean =>
    kinds.includes(kindOf(node) as FieldKind) || kindOf(node) === 'any'
  const conditions = (terms: readonly Expression[]): void => {
    for (const term of terms) {
      if (term.kind === 'name' && kindOf(term) !== 'boolean') meet('bare_name', term.at)
    }
  }

  conditions([root])
  for (const node of nodesOf(root)) {
    switch (node.kind) {
      case 'name':
        if (!/^[\w$]+$/.test(node.name)) meet('own_names', node.at)
        break
      case 'not':
        conditions([node.of])
        if (node.bare) meet('not_binds', node.at)
        break
      case 'and':
      case 'or':
        conditions(node.terms)
        break
      case 'cone':
        meet('cone', node.at)
        break
      case 'double':
        if (Object.is(node.value, -0)) meet('nan', node.at)
        break
      case 'integer':
        if (BigInt.asIntN(64, BigInt(node.value)) !== BigInt(node.value)) meet('huge', node.at)
        break
      case 'sign':
        arithmetic([node.of], node.at)
        if (may(node.of, 'nan') || mayBe(node.of, 'any')) meet('not_finite', node.at)
        break
      case 'arithmetic':
        arithmetic([node.left, node.right], node.at)
        if (!isTame(node)) meet('not_finite', node.at)
        break
      case 'like':
        if (kindOf(node.of) !== 'text') meet('text_like', node.at)
        break
      case 'between':
        for (const side of [node.low, node.high]) ordered(node.of, side, node.at)

        break
      case 'comparison': {
        const { operator, left, right, at } = node
        if (operator === '=' || operator === '<>') {
          if (may(right, 'null')) meet('null_right', right.at)
          if (operator === '<>' && !alike(left, right)) meet('unlike', at)
          if (mayBe(left, 'double') && mayBe(right, 'double')) nan(left, right, at)
          pairs(left, right, at)
        } else {
          ordered(left, right, at)
        }
        break
      }
      default:
    }
  }
  return [...found].map(([rule, at]) => ({ rule, says: rules[rule], at }))

  function ordered(left: Expression, right: Expression, at: number): void {
    if (mayBe(left, 'boolean') && mayBe(right, 'boolean')) meet('boolean_order', at)
    nan(left, right, at)
    pairs(left, right, at)
  }

  function pairs(left: Expression, right: Expression, at: number): void {
    const numbers = [left, right].every((side) => mayBe(side, 'integer', 'double'))
    if (numbers && !isLiteral(right)) meet('number_pairs', at)
  }

  function nan(left: Expression, right: Expression, at: number): void {
    for (const side of [left, right]) {
      if (mayBe(side, 'double') && may(side, 'nan') && !isLiteral(side)) meet('nan', at)
    }
  }

  function arithmetic(sides: readonly Value[], at: number): void {
    for (const side of sides) {
      const kind = kindOf(side)
      if (kind !== 'integer' && kind !== 'double') meet('text_arithmetic', at)
    }
  }

  function alike(left: Expression, right: Expression): boolean {
    const [a, b] = [left, right].map((side) => {
      const kind = kindOf(side)
      return kind === 'integer' ? 'double' : kind
    })
    return a === b && a !== 'any'
  }

  /** Sums and products of which no engine makes anything but a number: known, small, no quotient. */
  function isTame(node: Value): boolean {
    switch (node.kind) {
      case 'integer':
      case 'double':
        return Math.abs(Number(node.value)) <= 1e4
      case 'arithmetic':
        return node.operator !== '/'
          ? isTame(node.left) && isTame(node.right)
          : isTame(node.left) && isLiteral(node.right) && Number(valueIn(node.right)) !== 0
      default:
        return false
    }
  }
}

const isLiteral = (node: Expression): boolean =>
  ['text', 'integer', 'double', 'boolean', 'null'].includes(node.kind)

const valueIn = (node: Expression): unknown => ('value' in node ? node.value : undefined)
