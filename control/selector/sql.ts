/**
 * A selector as the condition of a WHERE clause, with the verdicts of the stream: TRUE, FALSE and NULL
 * where `compile.ts` says true, false and unknown. The engines differ from JMS, and from each other, in
 *
 * - NaN, which DuckDB holds equal to itself and above all else, as BigQuery does not;
 * - overflow and division by zero, which are errors, infinite or NULL, and here always NULL;
 * - numbers: a literal without a dot or a FLOAT column would draw the comparison into a narrower type, so
 *   every integer is 64 bits wide and every other number a double, cast where it is not;
 * - LIKE, whose escapes are spelled anew for each.
 */
import { NightjarError } from '../../core/errors.ts'
import { asComparisons, isCondition, isNumeric, kindIn, type FieldKind } from './compile.ts'
import { coneSql, type ConeSpelling } from './cone.ts'
import type { LikePattern } from './like.ts'
import type {
  Arithmetic,
  Comparison,
  ComparisonOperator,
  Condition,
  Expression,
  Literal,
  Selector,
  Sign,
  Value,
} from './tree.ts'
import { compare } from './values.ts'

export type Dialect = 'duckdb' | 'bigquery'

/** A name as SQL: an expression of a type of exactly its kind (BIGINT, DOUBLE, text, BOOLEAN). */
export interface SqlField {
  kind: Exclude<FieldKind, 'any'>
  sql: string
}

/** The names that are columns, or made of them; undefined is NULL. */
export type SqlVocabulary = (name: string) => SqlField | undefined

const least = -(2n ** 63n)
const most = 2n ** 63n - 1n

/** Write a selector as SQL. Throws `input_invalid` for one that converts text, which no column needs. */
export function selectorSql(
  selector: Selector,
  vocabulary: SqlVocabulary,
  dialect: Dialect,
): string {
  if (selector.convertsText) {
    throw new NightjarError(
      'input_invalid',
      'Cannot write the selector as SQL: convert_string_expressions is for messages, columns have types',
    )
  }
  const spelling = spellings[dialect]
  const { integer, double, text } = spelling
  const unknown = spelling.unknown
  return condition(selector.root)

  function condition(node: Condition): string {
    switch (node.kind) {
      case 'boolean':
        return node.value ? 'TRUE' : 'FALSE'
      case 'null':
        return unknown
      case 'name': {
        const field = vocabulary(node.name)
        return field?.kind === 'boolean' ? field.sql : unknown
      }
      case 'not':
        return `(NOT ${condition(node.of)})`
      case 'and':
      case 'or':
        return `(${node.terms.map(condition).join(node.kind === 'and' ? ' AND ' : ' OR ')})`
      case 'is_null':
        return `(${value(node.of)} IS ${node.negated ? 'NOT ' : ''}NULL)`
      case 'between':
        return condition(asComparisons(node))
      case 'comparison':
        return comparison(node)
      case 'in': {
        const field = vocabulary(node.of.name)
        if (field?.kind !== 'text') return unknown
        return `(${field.sql} ${node.negated ? 'NOT ' : ''}IN (${node.texts.map(text).join(', ')}))`
      }
      case 'like': {
        const field = vocabulary(node.of.name)
        if (field?.kind !== 'text') return unknown
        return `(${field.sql} ${node.negated ? 'NOT ' : ''}LIKE ${spelling.like(node.pattern)})`
      }
      case 'cone': {
        const ra = coordinate('ra')
        const dec = coordinate('dec')
        if (ra === undefined || dec === undefined) return unknown
        return `(${coneSql(node, ra, dec, spelling)})`
      }
    }
  }

  function coordinate(name: string): string | undefined {
    const field = vocabulary(name)
    if (field === undefined || !isNumeric(field.kind)) return undefined
    return field.kind === 'double' ? field.sql : spelling.toDouble(field.sql)
  }

  function comparison(node: Comparison): string {
    const { operator, left, right } = node
    const kinds = [kindOf(left), kindOf(right)]
    if (kinds.includes('null')) return unknown
    if (isConstant(left) && isConstant(right)) {
      return compare(operator, left.value, right.value) === true ? 'TRUE' : 'FALSE'
    }
    const outcome = (verdict: boolean): string => {
      const nulls = [left, right].flatMap((side) => (isConstant(side) ? [] : value(side)))
      const isNull = nulls.map((sql) => `${sql} IS NULL`).join(' OR ')
      return `CASE WHEN ${isNull} THEN NULL ELSE ${verdict ? 'TRUE' : 'FALSE'} END`
    }
    const alike = kinds.every(isNumeric) || kinds[0] === kinds[1]
    if (!alike) return outcome(false)
    if (kinds[0] === 'boolean' && operator !== '=' && operator !== '<>') return outcome(false)
    if (!kinds.includes('double')) {
      // An integer that has no 64 bits is above or below all that have.
      if (isBeyond(left)) return outcome(compare(operator, left.value, 0n) === true)
      if (isBeyond(right)) return outcome(compare(operator, 0n, right.value) === true)
      return `(${value(left)} ${operator} ${value(right)})`
    }
    return spelling.compareDoubles(operator, doubleSide(left), doubleSide(right))
  }

  function doubleSide(node: Expression): DoubleSide {
    return {
      sql: asDouble(node),
      mayBeNaN: node.kind === 'name' && kindOf(node) === 'double',
      mayBeNull: !isConstant(node),
    }
  }

  function asDouble(node: Expression): string {
    if (node.kind === 'integer' || node.kind === 'double') return double(Number(node.value))
    const sql = value(node)
    return kindOf(node) === 'double' ? sql : spelling.toDouble(sql)
  }

  function value(node: Expression): string {
    if (isCondition(node)) return condition(node)
    switch (node.kind) {
      case 'text':
        return text(node.value)
      case 'integer':
        return fits(node.value) ? integer(node.value) : spelling.noInteger
      case 'double':
        return double(node.value)
      case 'boolean':
        return node.value ? 'TRUE' : 'FALSE'
      case 'null':
        return 'NULL'
      case 'name':
        return vocabulary(node.name)?.sql ?? 'NULL'
      case 'sign':
        return sign(node)
      case 'arithmetic':
        return arithmetic(node)
    }
  }

  function sign(node: Sign): string {
    const kind = kindOf(node)
    if (!isNumeric(kind)) return 'NULL'
    const of = operand(node.of, kind === 'double')
    if (node.operator === '+') return of
    return kind === 'double' ? `(-${of})` : spelling.integers('-', integer(0), of)
  }

  function arithmetic(node: Arithmetic): string {
    const kind = kindOf(node)
    if (!isNumeric(kind)) return 'NULL'
    const { operator } = node
    const doubles = kind === 'double'
    const left = operand(node.left, doubles)
    const right = operand(node.right, doubles)
    return (doubles ? spelling.doubles : spelling.integers)(operator, left, right)
  }

  /** An operand of arithmetic: a field or literal that is not finite counts as NULL. */
  function operand(node: Value, double: boolean): string {
    if (node.kind === 'double' && !Number.isFinite(node.value)) return spelling.noDouble
    if (isBeyond(node)) return double ? spelling.noDouble : spelling.noInteger
    if (!double) return value(node)
    const sql = asDouble(node)
    return node.kind === 'name' && kindOf(node) === 'double' ? spelling.finite(sql) : sql
  }

  function kindOf(node: Expression): FieldKind | 'null' {
    return kindIn(node, (name) => vocabulary(name)?.kind)
  }
}

type Constant = Exclude<Literal, { kind: 'null' }>
type Integer = Extract<Literal, { kind: 'integer' }>

function isConstant(node: Expression): node is Constant {
  return ['text', 'integer', 'double', 'boolean'].includes(node.kind)
}

function isBeyond(node: Expression): node is Integer {
  return node.kind === 'integer' && !fits(node.value)
}

const fits = (value: number | bigint): boolean => value >= least && value <= most

interface DoubleSide {
  sql: string
  mayBeNaN: boolean
  mayBeNull: boolean
}

/** How an engine says what is said differently. */
interface Spelling extends ConeSpelling {
  unknown: string
  noInteger: string
  noDouble: string
  integer(value: number | bigint): string
  text(value: string): string
  toDouble(sql: string): string
  /** The double, or NULL where it is NaN or infinite. */
  finite(sql: string): string
  integers(operator: string, left: string, right: string): string
  doubles(operator: string, left: string, right: string): string
  compareDoubles(operator: ComparisonOperator, left: DoubleSide, right: DoubleSide): string
  like(pattern: LikePattern): string
}

const duckdb: Spelling = {
  unknown: 'CAST(NULL AS BOOLEAN)',
  noInteger: 'CAST(NULL AS BIGINT)',
  noDouble: 'CAST(NULL AS DOUBLE)',
  integer: (value) => `CAST(${value} AS BIGINT)`,
  // As text: a bare 18.5 is DECIMAL, and draws a comparison with it.
  double: (value) => `CAST('${spellDouble(value)}' AS DOUBLE)`,
  text: (value) => `'${value.replaceAll("'", "''")}'`,
  toDouble: (sql) => `CAST(${sql} AS DOUBLE)`,
  finite: (sql) => `CASE WHEN isfinite(${sql}) THEN ${sql} END`,
  // 128 bits hold whatever two integers of 64 make; what does not fit back is NULL. Not by TRY_CAST, which
  // DuckDB 1.5 takes away from a comparison with a constant, and then finds 10^20 > 0.
  integers(operator, left, right) {
    const wide = `CAST(${left} AS HUGEINT) ${operator} CAST(${right} AS HUGEINT)`
    const fitting = `CASE WHEN h BETWEEN ${least} AND ${most} THEN CAST(h AS BIGINT) END`
    return `list_transform([${wide}], lambda h: ${fitting})[1]`
  },
  doubles(operator, left, right) {
    const divisor = operator === '/' ? `NULLIF(${right}, ${duckdb.double(0)})` : right
    const infinities = ['inf', '-inf'].map((word) => `CAST('${word}' AS DOUBLE)`)
    return `NULLIF(NULLIF(${left} ${operator} ${divisor}, ${infinities[0]}), ${infinities[1]})`
  },
  compareDoubles(operator, left, right) {
    const plain = `${left.sql} ${operator} ${right.sql}`
    const nans = [left, right].filter(({ mayBeNaN }) => mayBeNaN)
    if (nans.length === 0) return `(${plain})`
    if (nans.length === 1 && !(left.mayBeNull && right.mayBeNull)) {
      // DuckDB's NaN is above all, so only where it would win must it be kept from it.
      const wins = operator.startsWith('>') ? left.mayBeNaN : right.mayBeNaN
      const order = operator !== '=' && operator !== '<>'
      return order && wins ? `(${plain} AND NOT isnan(${nans[0]?.sql}))` : `(${plain})`
    }
    const anyNaN = nans.map(({ sql }) => `isnan(${sql})`).join(' OR ')
    return (
      `CASE WHEN ${left.sql} IS NULL OR ${right.sql} IS NULL THEN NULL ` +
      `WHEN ${anyNaN} THEN ${operator === '<>' ? 'TRUE' : 'FALSE'} ELSE ${plain} END`
    )
  },
  oddPolynomial(x, terms) {
    const list = terms.toReversed().map((term) => duckdb.double(term))
    const sum = `list_reduce([${list.join(', ')}], lambda s, t: t + (${x} * ${x}) * s)`
    return `(${x} * (${duckdb.double(1)} + (${x} * ${x}) * ${sum}))`
  },
  like: (pattern) => `${duckdb.text(spellLike(pattern))} ESCAPE '\\'`,
}

const bigquery: Spelling = {
  unknown: 'CAST(NULL AS BOOL)',
  noInteger: 'CAST(NULL AS INT64)',
  noDouble: 'CAST(NULL AS FLOAT64)',
  // The least integer cannot be written as a literal with a sign before it.
  integer: (value) => (BigInt(value) === least ? `CAST('${value}' AS INT64)` : String(value)),
  double: (value) => `CAST('${spellDouble(value)}' AS FLOAT64)`,
  text: (value) => `'${value.replaceAll(/[\\'\n\r]|\p{Cc}/gu, escapeText)}'`,
  toDouble: (sql) => `CAST(${sql} AS FLOAT64)`,
  finite: (sql) => `IF(IS_NAN(${sql}) OR IS_INF(${sql}), NULL, ${sql})`,
  integers: (operator, left, right) => `${safeFunctions[operator]}(${left}, ${right})`,
  doubles: (operator, left, right) => `${safeFunctions[operator]}(${left}, ${right})`,
  compareDoubles: (operator, left, right) => `(${left.sql} ${operator} ${right.sql})`,
  oddPolynomial(x, terms) {
    const sum = terms
      .map((term) => bigquery.double(term))
      .reduceRight((inner, term) => `(${term} + v.z * ${inner})`)
    const square = `SELECT u.x AS x, u.x * u.x AS z FROM UNNEST([STRUCT(${x} AS x)]) AS u`
    return `(SELECT v.x * (${bigquery.double(1)} + v.z * ${sum}) FROM (${square}) AS v)`
  },
  like: (pattern) => bigquery.text(spellLike(pattern)),
}

/** They answer NULL where the operators raise an error: overflow, and division by zero. */
const safeFunctions: Readonly<Record<string, string>> = {
  '+': 'SAFE_ADD',
  '-': 'SAFE_SUBTRACT',
  '*': 'SAFE_MULTIPLY',
  '/': 'SAFE_DIVIDE',
}

const spellings: Readonly<Record<Dialect, Spelling>> = { duckdb, bigquery }

function spellDouble(value: number): string {
  if (Number.isFinite(value)) return Object.is(value, -0) ? '-0' : String(value)
  return value > 0 ? 'inf' : '-inf'
}

function spellLike(pattern: LikePattern): string {
  return pattern
    .map((part) => {
      if (part === 'one') return '_'
      return part === 'any' ? '%' : part.text.replaceAll(/[\\%_]/g, '\\$&')
    })
    .join('')
}

function escapeText(character: string): string {
  if (character === '\\' || character === "'") return `\\${character}`
  return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`
}
