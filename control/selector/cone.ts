/**
 * The cone search by the haversine, in arithmetic that every engine does alike. The sine of an engine's
 * own library differs from another's in the last bit, and so would verdicts at the rim; sums and products
 * of doubles are the same everywhere (IEEE 754). So the sine is a polynomial, the same one, term by term,
 * here and in SQL.
 */
import type { Cone } from './tree.ts'

/** Taylor's terms of sin x / x in x², from the second on: good to 1e-18 for x up to 90 degrees. */
const terms = sineTerms(11)

const radiansPerDegree = Math.PI / 180

/** What is fixed about a cone. Positions outside [low, high] in declination are outside. */
export interface Rim {
  ra: number
  dec: number
  low: number
  high: number
  /** Cosine of the centre's declination. */
  cosine: number
  /** Square of the sine of half the radius. */
  limit: number
}

export function rimOf({ ra, dec, radius }: Pick<Cone, 'ra' | 'dec' | 'radius'>): Rim {
  // A little wider than the rim, so that this never decides at it.
  const reach = radius * (1 + 1e-9) + 1e-9
  return {
    ra,
    dec,
    low: dec - reach,
    high: dec + reach,
    cosine: sine(90 - Math.abs(dec)),
    // Rounding may take the antipode beyond 1.
    limit: radius === 180 ? 2 : sine(radius / 2) ** 2,
  }
}

/** The test of a position (ra 0 to 360, dec −90 to 90, degrees); NaN is outside. */
export function coneTest(cone: Cone): (ra: number, dec: number) => boolean {
  const rim = rimOf(cone)
  return function inCone(ra, dec) {
    if (!(dec >= rim.low && dec <= rim.high && ra >= 0 && ra <= 360)) return false
    const across = Math.abs(ra - rim.ra) / 2
    const a = sine(Math.abs(dec - rim.dec) / 2)
    const b = sine(Math.min(across, 180 - across))
    const c = sine(90 - Math.abs(dec))
    return a * a + c * rim.cosine * (b * b) <= rim.limit
  }
}

/** The same test as SQL, of DuckDB as of BigQuery; `number` writes a double. NULL is unknown. */
export function coneSql(
  cone: Cone,
  ra: string,
  dec: string,
  number: (value: number) => string,
): string {
  const rim = rimOf(cone)
  const across = `(ABS(${ra} - ${number(rim.ra)}) / ${number(2)})`
  const a = sineSql(`(ABS(${dec} - ${number(rim.dec)}) / ${number(2)})`, number)
  const b = sineSql(`LEAST(${across}, ${number(180)} - ${across})`, number)
  const c = sineSql(`(${number(90)} - ABS(${dec}))`, number)
  return (
    `CASE WHEN ${ra} IS NULL OR ${dec} IS NULL THEN NULL ` +
    `WHEN ${dec} BETWEEN ${number(rim.low)} AND ${number(rim.high)} ` +
    `AND ${ra} BETWEEN ${number(0)} AND ${number(360)} ` +
    `THEN ${a} * ${a} + ${c} * ${number(rim.cosine)} * (${b} * ${b}) <= ${number(rim.limit)} ` +
    'ELSE FALSE END'
  )
}

/** Sine of an angle in degrees, at most 90 in size. */
function sine(degrees: number): number {
  const x = degrees * radiansPerDegree
  const z = x * x
  let sum = terms.at(-1) as number
  for (let i = terms.length - 2; i >= 0; i--) sum = (terms[i] as number) + z * sum
  return x * (1 + z * sum)
}

function sineSql(degrees: string, number: (value: number) => string): string {
  const x = `(${degrees} * ${number(radiansPerDegree)})`
  const z = `(${x} * ${x})`
  let sum = number(terms.at(-1) as number)
  for (let i = terms.length - 2; i >= 0; i--) {
    sum = `(${number(terms[i] as number)} + ${z} * ${sum})`
  }
  return `(${x} * (${number(1)} + ${z} * ${sum}))`
}

function sineTerms(count: number): number[] {
  const found: number[] = []
  let factorial = 1
  for (let n = 1; n <= count; n++) {
    factorial *= 2 * n * (2 * n + 1)
    found.push((n % 2 === 1 ? -1 : 1) / factorial)
  }
  return found
}
