/**
 * A property set, and its JSON as ctrl_events writes it: each value a text below the name of its type, an
 * array as the same key again, names with dots nested. Boost's property tree decides the spelling:
 *
 *     {"one":{"int":"1"},"four":{"int":"5","int":"6"},"logger":{"status":{"string":"s"}}}
 */
import { NightjarError } from '../core/errors.ts'
import { maxDepth, parsePairs, type PairTree } from './payload-json.ts'

export type PropertyType =
  'string' | 'bool' | 'int' | 'long' | 'long long' | 'float' | 'double' | 'datetime'

/** `datetime` is nanoseconds since 1970; `long`, `long long` and `datetime` are exact. */
export type PropertyValue = string | boolean | number | bigint

export interface Property {
  type: PropertyType
  /** One value, or the several of an array, in order. */
  values: readonly PropertyValue[]
}

/** Properties by their names, of which the dots are levels, in the order they were set. */
export type PropertySet = ReadonlyMap<string, Property>

export const propertyTypes: readonly PropertyType[] = [
  ...(['string', 'bool', 'int', 'long', 'long long', 'float', 'double', 'datetime'] as const),
]

const types: ReadonlySet<string> = new Set(propertyTypes)

export const isPropertyType = (text: string): text is PropertyType => types.has(text)

const wide: ReadonlySet<PropertyType> = new Set<PropertyType>(['long', 'long long', 'datetime'])

/**
 * Make a property set of plain values: integers are `int`, or `long long` where they are bigints; other
 * numbers `double`; a type is named by giving a property itself.
 */
export function propertySet(
  values: Readonly<Record<string, PropertyValue | readonly PropertyValue[] | Property>>,
): PropertySet {
  return new Map(Object.entries(values).map(([name, value]) => [name, propertyOf(name, value)]))
}

function propertyOf(
  name: string,
  value: PropertyValue | readonly PropertyValue[] | Property,
): Property {
  if (typeof value === 'object' && 'type' in value) return value
  const values = typeof value === 'object' ? value : [value]
  const kinds = new Set(values.map(typeOf))
  const [type] = kinds
  if (type === undefined) throw fault(`property "${name}"`, 'an array needs a value')
  if (kinds.size === 1) return { type, values }
  if ([...kinds].every((kind) => kind === 'int' || kind === 'double')) {
    return { type: 'double', values }
  }
  throw fault(`property "${name}"`, `its values are of types ${[...kinds].join(', ')}`)
}

function typeOf(value: PropertyValue): PropertyType {
  if (typeof value === 'string') return 'string'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'bigint') return 'long long'
  return Number.isInteger(value) && Math.abs(value) < 2 ** 31 ? 'int' : 'double'
}

/** What a property's single value is; undefined where it is absent or an array. */
export function propertyValue(set: PropertySet, name: string): PropertyValue | undefined {
  const values = set.get(name)?.values ?? []
  return values.length === 1 ? values[0] : undefined
}

type Level = Map<string, Level | Property>

/** Write the payload, with the line feed at its end. */
export function formatPayload(set: PropertySet): string {
  const root: Level = new Map()
  for (const [name, property] of set) {
    const steps = stepsOf(name)
    const last = steps.pop() ?? name
    let level = root
    for (const step of steps) {
      const next = level.get(step) ?? new Map<string, Level | Property>()
      if (!(next instanceof Map)) throw fault(`property "${name}"`, `"${step}" is a value already`)
      level.set(step, next)
      level = next
    }
    if (level.has(last)) throw fault(`property "${name}"`, 'it is a set of properties already')
    level.set(last, property)
  }
  return `${formatLevel(root)}\n`
}

/** A name's levels. The innermost object of a payload is that of the type. */
function stepsOf(name: string): string[] {
  const steps = name.split('.', maxDepth + 1)
  if (steps.length <= maxDepth) return steps
  throw fault(`property "${name}"`, `it has more than ${maxDepth} levels`)
}

function formatLevel(level: Level): string {
  const parts = [...level].map(
    ([name, value]) =>
      `${quoted(name)}:${value instanceof Map ? formatLevel(value) : formatProperty(value)}`,
  )
  return `{${parts.join(',')}}`
}

const formatProperty = ({ type, values }: Property): string =>
  `{${values.map((value) => `"${type}":${quoted(formatValue(type, value))}`).join(',')}}`

function formatValue(type: PropertyType, value: PropertyValue): string {
  if (type === 'bool') return value === true ? '1' : '0'
  if (type === 'double' && typeof value === 'number') return general(value, 17)
  if (type === 'float' && typeof value === 'number') return general(Math.fround(value), 9)
  return String(value)
}

/** A number as C's `%g` writes it with so many digits. */
function general(value: number, digits: number): string {
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
  if (value === 0) return Object.is(value, -0) ? '-0' : '0'
  const [mantissa = '', power = '0'] = value.toExponential(digits - 1).split('e')
  const exponent = Number(power)
  const strip = (text: string): string =>
    text.includes('.') ? text.replace(/0+$/, '').replace(/\.$/, '') : text
  if (exponent >= -4 && exponent < digits) return strip(value.toFixed(digits - 1 - exponent))
  const sign = exponent < 0 ? '-' : '+'
  return `${strip(mantissa)}e${sign}${String(Math.abs(exponent)).padStart(2, '0')}`
}

const quoted = (text: string): string => JSON.stringify(text).replaceAll('/', '\\/')

/** Read a payload. Throws `input_invalid` for what is none, or has a value that its type does not. */
export function parsePayload(text: string): PropertySet {
  const set = new Map<string, Property & { values: PropertyValue[] }>()
  readLevel(parsePairs(text), '', set)
  return set
}

function readLevel(
  pairs: PairTree,
  prefix: string,
  set: Map<string, Property & { values: PropertyValue[] }>,
): void {
  for (const [key, value] of pairs) {
    const name = prefix + key
    if (typeof value === 'string') throw fault(`payload at "${name}"`, 'a value needs a type')
    const [first] = value
    // A property that is called like a type cannot be told from a value: the original's own fault.
    if (first === undefined || !isPropertyType(first[0]) || typeof first[1] !== 'string') {
      readLevel(value, `${name}.`, set)
      continue
    }
    // Dots may stand in a key as well: what is read can be written.
    stepsOf(name)
    const [type] = first
    const values = value.map(([tag, item]) => {
      if (tag === type && typeof item === 'string') return readValue(name, type, item)
      throw fault(`payload at "${name}"`, `"${tag}" stands beside ${type}`)
    })
    const before = set.get(name)
    if (before !== undefined && before.type !== type) {
      throw fault(`payload at "${name}"`, `it is ${before.type} and ${type}`)
    }
    if (before === undefined) set.set(name, { type, values })
    // Added to, not copied: a name may come a hundred thousand times.
    else for (const one of values) before.values.push(one)
  }
}

/** A value from its text. Throws `input_invalid`. */
export function readValue(name: string, type: PropertyType, text: string): PropertyValue {
  if (type === 'string') return text
  if (type === 'bool') {
    if (/^(?:1|true)$/.test(text)) return true
    if (/^(?:0|false)$/.test(text)) return false
  } else if (wide.has(type)) {
    if (/^[+-]?\d{1,19}$/.test(text)) {
      const value = BigInt(text.replace(/^\+/, ''))
      if (BigInt.asIntN(64, value) === value) return value
    }
  } else if (type === 'int') {
    const value = Number(text)
    if (/^[+-]?\d{1,10}$/.test(text) && (value | 0) === value) return value
  } else {
    const special: Readonly<Record<string, number>> = { inf: Infinity, '-inf': -Infinity, nan: NaN }
    if (Object.hasOwn(special, text)) return special[text] ?? NaN
    if (/^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(text)) {
      return type === 'float' ? Math.fround(Number(text)) : Number(text)
    }
  }
  throw fault(`payload at "${name}"`, `"${text.slice(0, 80)}" is no ${type}`)
}

function fault(what: string, why: string): NightjarError {
  // A name in it may be as long as a payload.
  return new NightjarError('input_invalid', `Cannot take ${shortened(what)}: ${shortened(why)}`)
}

const shortened = (text: string): string => (text.length > 200 ? `${text.slice(0, 200)}…` : text)
