/** Selectors by chance, for tests that compare two answers to each. */
import type { Random } from '../../simulator/random.ts'

export interface KnownName {
  name: string
  kind: 'integer' | 'double' | 'text' | 'boolean' | 'none'
  /** Values that it has somewhere: literals are taken from them, so that rims are met. */
  values: readonly (string | number | bigint)[]
}

export interface GenerateOptions {
  random: Random
  names: readonly KnownName[]
  /** Positions, degrees, for cones that end exactly at one of them. */
  positions?: readonly { ra: number; dec: number }[]
  depth?: number
}

const operators = ['=', '<>', '<', '<=', '>', '>=']
const odd = [
  '0',
  '-0.0',
  '-999',
  '-999.0',
  '1e400',
  '-1e400',
  '9223372036854775807',
  '1e308',
  '5E-324',
]
const huge = ['-9223372036854775808', '9223372036854775808', '-99999999999999999999', '3037000500']

/** One selector that parses. */
export function generateSelector({
  random,
  names,
  positions = [],
  depth = 3,
}: GenerateOptions): string {
  const byKind = (...kinds: KnownName['kind'][]): KnownName =>
    random.pick(names.filter(({ kind }) => kinds.includes(kind)))
  const numeric = (): KnownName => byKind('integer', 'double')
  return condition(depth)

  function condition(left: number): string {
    if (left > 0 && random.chance(0.6)) {
      const one = condition(left - 1)
      if (random.chance(0.25)) return `NOT (${one})`
      const two = condition(left - 1)
      const comparable = one !== 'NULL' && two !== 'NULL'
      if (comparable && random.chance(0.1)) return `(${one}) ${random.pick(['=', '<>'])} (${two})`
      return `(${one} ${random.pick(['AND', 'OR'])} ${two})`
    }
    const dice = random.next()
    if (dice < 0.45) return numbers(left)
    if (dice < 0.55) {
      const { name } = random.pick(names)
      return `${name} IS ${random.pick(['', 'NOT '])}NULL`
    }
    if (dice < 0.65) return `${value(left)} ${not()}BETWEEN ${value(0)} AND ${value(0)}`
    if (dice < 0.8) return texts()
    if (dice < 0.9 && positions.length > 1) return cone()
    if (dice < 0.93) return random.pick(['TRUE', 'FALSE', 'NULL'])
    return mismatch()
  }

  function numbers(left: number): string {
    const known = numeric()
    if (random.chance(0.6)) return `${known.name} ${random.pick(operators)} ${literal(known)}`
    return `${value(left)} ${random.pick(operators)} ${value(left)}`
  }

  function value(left: number): string {
    const dice = random.next()
    if (left > 0 && dice < 0.35) {
      return `(${value(left - 1)} ${random.pick(['+', '-', '*', '/'])} ${value(left - 1)})`
    }
    if (dice < 0.4) return `-${numeric().name}`
    return dice < 0.8 ? numeric().name : literal(numeric())
  }

  function literal({ values }: KnownName): string {
    const dice = random.next()
    if (dice < 0.05) return random.pick(odd)
    if (dice < 0.08) return random.pick(huge)
    const taken = values.length === 0 ? 0 : random.pick(values)
    if (typeof taken === 'bigint') {
      return dice < 0.7 ? String(taken) : dice < 0.85 ? `${taken}.0` : String(taken + 1n)
    }
    const number = Number(taken)
    if (!Number.isFinite(number)) return '1.5'
    // What a person types: a float32 by its own digits is not the double next to it.
    return dice < 0.3 ? String(Number(number.toPrecision(3))) : String(number)
  }

  function texts(): string {
    const known = byKind('text')
    const dice = random.next()
    const taken = String(known.values.length === 0 ? 'x' : random.pick(known.values))
    const other = String(known.values.length === 0 ? 'y' : random.pick(known.values))
    const cased = random.chance(0.2) ? taken.toLowerCase() : taken
    if (dice < 0.35) return `${known.name} ${random.pick(['=', '<>'])} ${quoted(cased)}`
    if (dice < 0.45) return `${known.name} ${random.pick(operators)} ${byKind('text').name}`
    if (dice < 0.65) {
      const list = [taken, other].map(quoted).join(', ')
      return `${random.pick(names).name} ${not()}IN (${list})`
    }
    return `${random.pick([known, random.pick(names)]).name} ${not()}LIKE ${pattern(cased)}`
  }

  function pattern(text: string): string {
    const characters = [...text].slice(0, 20).map((character) => {
      const dice = random.next()
      return dice < 0.1 ? '_' : dice < 0.2 ? '%' : dice < 0.25 ? `!${character}` : character
    })
    if (random.chance(0.3)) characters.push('%')
    const escape = random.chance(0.5) ? " ESCAPE '!'" : ''
    return `${quoted(characters.join(''))}${escape}`
  }

  function cone(): string {
    const centre = random.pick(positions)
    const rim = random.pick(positions)
    const near = random.chance(0.5)
      ? { ra: centre.ra, dec: centre.dec + random.pick([0, 1e-4, -1e-4, 0.5]) }
      : centre
    const radius = random.chance(0.6)
      ? separation(near, rim)
      : random.pick([0, 0.001, 1, 30, 90, 180])
    const dec = Math.max(-90, Math.min(90, near.dec))
    return `cone(${plain(near.ra)}, ${plain(dec)}, ${plain(radius)})`
  }

  function mismatch(): string {
    const one = random.pick(names).name
    const two = random.pick([random.pick(names).name, "'abc'", '5', 'TRUE', 'FALSE'])
    const order = two.startsWith("'") ? random.pick(['=', '<>']) : random.pick(operators)
    const fits = two !== 'TRUE' && two !== 'FALSE' ? order : random.pick(['=', '<>'])
    return `${one} ${fits} ${two}`
  }

  function not(): string {
    return random.chance(0.3) ? 'NOT ' : ''
  }
}

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`

const plain = (value: number): string => String(value)

/** Degrees between two positions, by the haversine of the machine's own library. */
export function separation(a: { ra: number; dec: number }, b: { ra: number; dec: number }): number {
  const radians = Math.PI / 180
  const dec = Math.sin(((b.dec - a.dec) * radians) / 2) ** 2
  const ra = Math.sin(((b.ra - a.ra) * radians) / 2) ** 2
  const h = dec + Math.cos(a.dec * radians) * Math.cos(b.dec * radians) * ra
  return (2 * Math.asin(Math.min(1, Math.sqrt(h)))) / radians
}
