/**
 * A selector as a function. The tree becomes the source text of one JavaScript expression, for which the
 * engine makes machine code: each condition is written as "is it true" and, below a NOT, as "is it
 * false", so that three-valued logic costs two plain truth values and nothing is looked up twice.
 * Names and texts enter the source only as JSON strings.
 */
import { coneTest } from './cone.ts'
import { likeTest } from './like.ts'
import type {
  Arithmetic,
  Between,
  Comparison,
  ComparisonOperator,
  Condition,
  Cone,
  Expression,
  Selector,
  Value,
} from './tree.ts'
import * as runtime from './values.ts'
import type { Verdict } from './values.ts'

/** What a name's values are; `any` where only the value itself can tell. */
export type FieldKind = 'integer' | 'double' | 'text' | 'boolean' | 'any'

/** What a name stands for: a value of this kind, else it is unknown. */
export interface Field<Subject> {
  kind: FieldKind
  /** Where it is in the subject; each step but the last leads to an object. */
  path?: readonly string[]
  /** How it is had where it is at no place. */
  read?: (subject: Subject) => unknown
}

/** The names that selectors on one kind of subject may use; undefined is NULL. */
export type Vocabulary<Subject> = (name: string) => Field<Subject> | undefined

/** A selector that is ready. */
export interface Compiled<Subject> {
  selects(subject: Subject): boolean
  /** True, false, or null for unknown. */
  judge(subject: Subject): Verdict
}

type Kind = FieldKind | 'null'

/** A value that is known not to be null once its checks have passed. */
interface Operand {
  checks: readonly string[]
  code: string
}

/** Compile a selector for subjects whose names a vocabulary knows. */
export function compileSelector<Subject>(
  selector: Selector,
  vocabulary: Vocabulary<Subject>,
): Compiled<Subject> {
  const { root, convertsText } = selector
  const constants: unknown[] = []
  let variables = 0

  const selects = isTrue(root)
  const judged = verdict(root)
  const declared = Array.from({ length: variables }, (_, i) => `let v${i}`).join('; ')
  const helpers = Object.keys(runtime).join(', ')
  const source = `'use strict'
const { ${helpers} } = runtime
return {
  selects(s) { ${declared}; return ${selects} },
  judge(s) { ${declared}; return ${judged} },
}`
  return new Function('runtime', 'k', source)(runtime, constants) as Compiled<Subject>

  function variable(): string {
    return `v${variables++}`
  }

  function constant(value: unknown): string {
    return `k[${constants.push(value) - 1}]`
  }

  /** An expression that is true exactly where the condition is. */
  function isTrue(node: Condition): string {
    switch (node.kind) {
      case 'boolean':
        return String(node.value)
      case 'null':
        return 'false'
      case 'not':
        return isFalse(node.of)
      case 'and':
        return `(${node.terms.map(isTrue).join(' && ')})`
      case 'or':
        return `(${node.terms.map(isTrue).join(' || ')})`
      case 'is_null':
        return node.negated ? isKnown(node.of) : `!${isKnown(node.of)}`
      case 'name':
        return `(${verdict(node)} === true)`
      case 'between':
        return isTrue(asComparisons(node))
      case 'comparison':
        return comparison(node, true)
      case 'in':
      case 'like':
      case 'cone':
        return test(node, true)
    }
  }

  /** An expression that is true exactly where the condition is false. */
  function isFalse(node: Condition): string {
    switch (node.kind) {
      case 'boolean':
        return String(!node.value)
      case 'null':
        return 'false'
      case 'not':
        return isTrue(node.of)
      case 'and':
        return `(${node.terms.map(isFalse).join(' || ')})`
      case 'or':
        return `(${node.terms.map(isFalse).join(' && ')})`
      case 'is_null':
        return node.negated ? `!${isKnown(node.of)}` : isKnown(node.of)
      case 'name':
        return `(${verdict(node)} === false)`
      case 'between':
        return isFalse(asComparisons(node))
      case 'comparison':
        return comparison(node, false)
      case 'in':
      case 'like':
      case 'cone':
        return test(node, false)
    }
  }

  /** An expression of the verdict itself. Each part stands in it once or twice, at whatever depth. */
  function verdict(node: Condition): string {
    switch (node.kind) {
      case 'boolean':
        return String(node.value)
      case 'null':
        return 'null'
      case 'not':
        return `not3(${verdict(node.of)})`
      case 'and':
      case 'or':
        return `${node.kind}3(${node.terms.map(verdict).join(', ')})`
      case 'name': {
        const kind = kindOf(node)
        return kind === 'boolean' || kind === 'any' ? `booleanOf(${load(node.name)})` : 'null'
      }
      case 'between':
        return verdict(asComparisons(node))
      case 'comparison':
        if (!isPlain(node)) return compared(node)
        break
      default:
    }
    return `(${isTrue(node)} ? true : ${isFalse(node)} ? false : null)`
  }

  function isKnown(node: Expression): string {
    if (isCondition(node)) return `(${verdict(node)} !== null)`
    const { checks } = operand(node)
    return checks.length === 0 ? 'true' : `(${checks.join(' && ')})`
  }

  /** Both sides have types that are known and alike, so that JavaScript's own operator will do. */
  function isPlain({ left, right }: Comparison): boolean {
    const kinds = [kindOf(left), kindOf(right)]
    if (convertsText || kinds.includes('any')) return false
    return !isCondition(left) && !isCondition(right)
  }

  function comparison(node: Comparison, wanted: boolean): string {
    if (!isPlain(node)) return `(${compared(node)} === ${wanted})`
    const left = operand(node.left as Value)
    const right = operand(node.right as Value)
    const holds = plainComparison(node, left.code, right.code)
    const outcome = holds === undefined ? String(!wanted) : wanted ? holds : `!(${holds})`
    return `(${[...left.checks, ...right.checks, outcome].join(' && ')})`
  }

  function plainComparison(node: Comparison, left: string, right: string): string | undefined {
    const { operator } = node
    const kinds: Kind[] = [kindOf(node.left), kindOf(node.right)]
    const sign = signOf(operator)
    if (kinds.every((kind) => kind === 'text')) {
      if (operator === '=' || operator === '<>') return `${left} ${sign} ${right}`
      return `compareTexts(${left}, ${right}) ${sign} 0`
    }
    if (kinds.every((kind) => kind === 'boolean')) {
      return operator === '=' || operator === '<>' ? `${left} ${sign} ${right}` : undefined
    }
    if (!kinds.every(isNumeric)) return undefined
    if (kinds.every((kind) => kind === 'double')) return `${left} ${sign} ${right}`
    // Loose equality, because an integer is a number or a bigint.
    if (kinds.every((kind) => kind === 'integer')) return `${left} ${sign.slice(0, 2)} ${right}`
    return `${asDouble(node.left, left)} ${sign} ${asDouble(node.right, right)}`
  }

  function asDouble(node: Expression, code: string): string {
    if (kindOf(node) === 'double') return code
    return node.kind === 'integer' ? numberCode(Number(node.value)) : `Number(${code})`
  }

  function compared({ operator, left, right }: Comparison): string {
    const how = convertsText ? 'compareConverting' : 'compare'
    return `${how}(${JSON.stringify(operator)}, ${valueOf(left)}, ${valueOf(right)})`
  }

  function test(node: Exclude<Condition, { kind: 'name' }>, wanted: boolean): string {
    if (node.kind === 'cone') return cone(node, wanted)
    if (node.kind !== 'in' && node.kind !== 'like') return 'false'
    const kind = kindOf(node.of)
    if (kind !== 'text' && kind !== 'any') return 'false'
    const loaded = variable()
    const has = node.negated ? !wanted : wanted
    const check = `typeof (${loaded} = ${load(node.of.name)}) === 'string'`
    return `(${check} && ${has ? '' : '!'}(${contains(node, loaded)}))`
  }

  function contains(node: Condition & { kind: 'in' | 'like' }, loaded: string): string {
    if (node.kind === 'like') return `${constant(likeTest(node.pattern))}(${loaded})`
    if (node.texts.length > 8) return `${constant(new Set(node.texts))}.has(${loaded})`
    return node.texts.map((text) => `${loaded} === ${JSON.stringify(text)}`).join(' || ')
  }

  function cone(node: Cone, wanted: boolean): string {
    const ra = coordinate('ra')
    const dec = coordinate('dec')
    if (ra === undefined || dec === undefined) return 'false'
    const inside = `${wanted ? '' : '!'}${constant(coneTest(node))}(${ra.code}, ${dec.code})`
    return `(${[...ra.checks, ...dec.checks, inside].join(' && ')})`
  }

  function coordinate(name: string): Operand | undefined {
    const kind = vocabulary(name)?.kind
    if (kind === undefined || kind === 'text' || kind === 'boolean') return undefined
    const loaded = variable()
    return { checks: [`(${loaded} = doubleOf(${load(name)})) !== null`], code: loaded }
  }

  /** A value in two parts: what shows that it is not null, and the value itself. */
  function operand(node: Value): Operand {
    switch (node.kind) {
      case 'text':
        return { checks: [], code: JSON.stringify(node.value) }
      case 'integer':
      case 'double':
        return { checks: [], code: numberCode(node.value) }
      case 'boolean':
        return { checks: [], code: String(node.value) }
      case 'null':
        return { checks: ['false'], code: 'null' }
      case 'name': {
        const kind = kindOf(node)
        if (kind === 'null') return { checks: ['false'], code: 'null' }
        const loaded = variable()
        return { checks: [loadCheck(kind, loaded, load(node.name))], code: loaded }
      }
      default: {
        const loaded = variable()
        return { checks: [`(${loaded} = ${valueOf(node)}) !== null`], code: loaded }
      }
    }
  }

  function valueOf(node: Expression): string {
    switch (node.kind) {
      case 'text':
        return JSON.stringify(node.value)
      case 'integer':
      case 'double':
        return numberCode(node.value)
      case 'name': {
        const kind = kindOf(node)
        if (kind === 'null') return 'null'
        return `${kind === 'any' ? 'scalar' : kind}Of(${load(node.name)})`
      }
      case 'sign':
        return `signed(${JSON.stringify(node.operator)}, ${valueOf(node.of)})`
      case 'arithmetic':
        return `${arithmeticHow(node)}(${JSON.stringify(node.operator)}, ${valueOf(node.left)}, ${valueOf(node.right)})`
      default:
        return verdict(node)
    }
  }

  function arithmeticHow({ left, right }: Arithmetic): string {
    const kinds = [kindOf(left), kindOf(right)]
    if (kinds.includes('double')) return 'onDoubles'
    return kinds.includes('any') ? 'onAny' : 'onIntegers'
  }

  function load(name: string): string {
    const field = vocabulary(name)
    if (field === undefined) return 'null'
    if (field.path !== undefined) {
      return `s${field.path.map((step) => `[${JSON.stringify(step)}]`).join('')}`
    }
    return field.read === undefined ? 'null' : `${constant(field.read)}(s)`
  }

  function kindOf(node: Expression): Kind {
    return kindIn(node, (name) => vocabulary(name)?.kind)
  }
}

/** The kind of an expression, by the kinds of names. A number that can only be unknown is `null`. */
export function kindIn(
  node: Expression,
  fieldKind: (name: string) => FieldKind | undefined,
): FieldKind | 'null' {
  switch (node.kind) {
    case 'text':
    case 'integer':
    case 'double':
    case 'boolean':
    case 'null':
      return node.kind
    case 'name':
      return fieldKind(node.name) ?? 'null'
    case 'sign': {
      const kind = kindIn(node.of, fieldKind)
      return isNumeric(kind) || kind === 'any' ? kind : 'null'
    }
    case 'arithmetic': {
      const kinds = [kindIn(node.left, fieldKind), kindIn(node.right, fieldKind)]
      if (!kinds.every((kind) => isNumeric(kind) || kind === 'any')) return 'null'
      if (node.operator === '/' || kinds.includes('double')) return 'double'
      return kinds.includes('any') ? 'any' : 'integer'
    }
    default:
      return 'boolean'
  }
}

/** JMS 3.8.1.1: `x BETWEEN a AND b` is `x >= a AND x <= b`, `x NOT BETWEEN …` is `x < a OR x > b`. */
export function asComparisons({ of, low, high, negated, at, end }: Between): Condition {
  const compare = (operator: ComparisonOperator, right: Value): Comparison => ({
    kind: 'comparison',
    operator,
    left: of,
    right,
    at,
    end,
  })
  const terms = negated
    ? [compare('<', low), compare('>', high)]
    : [compare('>=', low), compare('<=', high)]
  return { kind: negated ? 'or' : 'and', terms, at, end }
}

export const isNumeric = (kind: FieldKind | 'null'): boolean =>
  kind === 'integer' || kind === 'double'

/** A condition, unless it is a name or a literal, which may be values as well. */
export function isCondition(node: Expression): node is Exclude<Condition, Value> {
  switch (node.kind) {
    case 'comparison':
    case 'between':
    case 'in':
    case 'like':
    case 'is_null':
    case 'not':
    case 'and':
    case 'or':
    case 'cone':
      return true
    default:
      return false
  }
}

function loadCheck(kind: FieldKind, to: string, from: string): string {
  switch (kind) {
    case 'double':
      return `(typeof (${to} = ${from}) === 'number' || (${to} = doubleOf(${to})) !== null)`
    case 'integer':
      return `(typeof (${to} = ${from}) === 'number' || typeof ${to} === 'bigint')`
    case 'text':
      return `typeof (${to} = ${from}) === 'string'`
    case 'boolean':
      return `typeof (${to} = ${from}) === 'boolean'`
    case 'any':
      return `(${to} = scalarOf(${from})) !== null`
  }
}

function numberCode(value: number | bigint): string {
  if (typeof value === 'bigint') return `${value < 0n ? `(${value}n)` : `${value}n`}`
  return value < 0 || Object.is(value, -0) ? `(${value})` : String(value)
}

function signOf(operator: ComparisonOperator): string {
  return operator === '=' ? '===' : operator === '<>' ? '!==' : operator
}
