/**
 * What values do to each other at run time. A value is a number, a bigint (a 64-bit integer), a text or
 * a boolean; null is unknown. A number that stands for an integer is always safe as one (below 2^53), so
 * whenever number and bigint meet, Java's promotion to double and the exact comparison agree.
 */
import type { ArithmeticOperator, ComparisonOperator } from './tree.ts'

export type Scalar = number | bigint | string | boolean | null

/** True, false, or null for unknown. */
export type Verdict = boolean | null

const least = -(2n ** 63n)
const most = 2n ** 63n - 1n

/** A property's value as a selector sees it: anything but the four types is unknown. */
export function scalarOf(value: unknown): Scalar {
  switch (typeof value) {
    case 'number':
    case 'bigint':
    case 'string':
    case 'boolean':
      return value
    default:
      return null
  }
}

/** The value of a field that is a double. */
export function doubleOf(value: unknown): number | null {
  if (typeof value === 'number') return value
  return typeof value === 'bigint' ? Number(value) : null
}

/** The value of a field that is an integer. */
export function integerOf(value: unknown): number | bigint | null {
  return typeof value === 'number' || typeof value === 'bigint' ? value : null
}

export function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

export function booleanOf(value: unknown): boolean | null {
  return typeof value === 'boolean' ? value : null
}

/**
 * Compare two values of which one's type is not known beforehand. Types that are not alike compare
 * false (JMS 3.8.1.2), also by `<>`; booleans have no order; NaN compares as IEEE 754 says.
 */
export function compare(operator: ComparisonOperator, a: Scalar, b: Scalar): Verdict {
  if (a === null || b === null) return null
  if (isNumber(a) && isNumber(b)) {
    const alike = typeof a === typeof b
    return compareNumbers(operator, alike ? a : Number(a), alike ? b : Number(b))
  }
  if (typeof a === 'string' && typeof b === 'string') {
    return compareNumbers(operator, compareTexts(a, b), 0)
  }
  if (typeof a === 'boolean' && typeof b === 'boolean') {
    return operator === '=' ? a === b : operator === '<>' ? a !== b : false
  }
  return false
}

/** Like `compare`, but a text beside a number is read as one, as ActiveMQ does for STOMP's selectors. */
export function compareConverting(operator: ComparisonOperator, a: Scalar, b: Scalar): Verdict {
  if (typeof a === 'string' && isNumber(b)) return compare(operator, readLike(a, b) ?? a, b)
  if (typeof b === 'string' && isNumber(a)) return compare(operator, a, readLike(b, a) ?? b)
  if (typeof a === 'string' && typeof b === 'boolean') {
    return compare(operator, a.toLowerCase() === 'true', b)
  }
  if (typeof b === 'string' && typeof a === 'boolean') {
    return compare(operator, a, b.toLowerCase() === 'true')
  }
  return compare(operator, a, b)
}

function readLike(text: string, other: number | bigint): number | bigint | undefined {
  if (/^[+-]?\d{1,19}$/.test(text)) return BigInt(text)
  const isWhole = typeof other === 'bigint'
  if (isWhole || !/^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*$/.test(text)) return undefined
  return Number(text)
}

function compareNumbers(operator: ComparisonOperator, a: number | bigint, b: number | bigint) {
  switch (operator) {
    case '=':
      return a === b
    case '<>':
      return a !== b
    case '<':
      return a < b
    case '<=':
      return a <= b
    case '>':
      return a > b
    case '>=':
      return a >= b
  }
}

/**
 * The order of texts by code points, which is that of their UTF-8 bytes in DuckDB and BigQuery.
 * JavaScript's own is by UTF-16 units: it puts the pairs before U+E000 to U+FFFF.
 */
export function compareTexts(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    let x = a.charCodeAt(i)
    let y = b.charCodeAt(i)
    if (x === y) continue
    if (x >= 0xd800 && y >= 0xd800) {
      if (x < 0xe000) x += 0x10000
      if (y < 0xe000) y += 0x10000
    }
    return x - y
  }
  return a.length - b.length
}

/**
 * Arithmetic on doubles. NaN and infinity, a division by zero and an overflow are unknown: a selector
 * never throws on a message, and an engine that refuses them can say the same by NULL.
 */
export function onDoubles(
  operator: ArithmeticOperator,
  left: Scalar,
  right: Scalar,
): number | null {
  const a = finite(left)
  const b = finite(right)
  if (a === null || b === null) return null
  if (operator === '/' && b === 0) return null
  return finite(
    operator === '+' ? a + b : operator === '-' ? a - b : operator === '*' ? a * b : a / b,
  )
}

/** Exact arithmetic on integers; a result, or an operand, beyond 64 bits is unknown. */
export function onIntegers(
  operator: ArithmeticOperator,
  left: Scalar,
  right: Scalar,
): number | bigint | null {
  if (operator === '/') return onDoubles(operator, left, right)
  if (!isNumber(left) || !isNumber(right)) return null
  if (typeof left === 'number' && typeof right === 'number') {
    const result = onDoubles(operator, left, right)
    if (Number.isSafeInteger(result)) return result
  }
  const a = narrow(BigInt(left))
  const b = narrow(BigInt(right))
  if (a === null || b === null) return null
  return narrow(operator === '+' ? a + b : operator === '-' ? a - b : a * b)
}

/** Arithmetic on values of which one's type is not known beforehand. */
export function onAny(
  operator: ArithmeticOperator,
  left: Scalar,
  right: Scalar,
): number | bigint | null {
  const exact =
    (typeof left === 'bigint' && (typeof right === 'bigint' || Number.isSafeInteger(right))) ||
    (typeof right === 'bigint' && Number.isSafeInteger(left))
  return exact ? onIntegers(operator, left, right) : onDoubles(operator, left, right)
}

/** `-value`, `+value`; unknown for what is no finite number. */
export function signed(operator: '+' | '-', value: Scalar): number | bigint | null {
  if (typeof value === 'bigint') return narrow(operator === '+' ? value : -value)
  return typeof value === 'number' ? finite(operator === '+' ? value : -value) : null
}

export function and3(...terms: Verdict[]): Verdict {
  return terms.includes(false) ? false : terms.includes(null) ? null : true
}

export function or3(...terms: Verdict[]): Verdict {
  return terms.includes(true) ? true : terms.includes(null) ? null : false
}

export function not3(term: Verdict): Verdict {
  return term === null ? null : !term
}

function isNumber(value: Scalar): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint'
}

function finite(value: Scalar): number | null {
  if (typeof value === 'number') return Number.isFinite(value) ? value : null
  return typeof value === 'bigint' && narrow(value) !== null ? Number(value) : null
}

function narrow(value: bigint): bigint | null {
  return value < least || value > most ? null : value
}
