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

/** How an engine writes what the test is made of. */
export interface ConeSpelling {
  double(value: number): string
  /** `x (1 + x² (t1 + x² (t2 + …)))`, for an expression x that should stand in it but a few times. */
  oddPolynomial(x: string, terms: readonly number[]): string
}

/** The same test as SQL; NULL is unknown. */
export function coneSql(
  cone: Cone,
  ra: string,
  dec: string,
  { double, oddPolynomial }: ConeSpelling,
): string {
  const rim = rimOf(cone)
  const sineSql = (degrees: string): string =>
    oddPolynomial(`(${degrees} * ${double(radiansPerDegree)})`, terms)
  const across = `(ABS(${ra} - ${double(rim.ra)}) / ${double(2)})`
  const a = sineSql(`(ABS(${dec} - ${double(rim.dec)}) / ${double(2)})`)
  const b = sineSql(`LEAST(${across}, ${double(180)} - ${across})`)
  const c = sineSql(`(${double(90)} - ABS(${dec}))`)
  return (
    `CASE WHEN ${ra} IS NULL OR ${dec} IS NULL THEN NULL ` +
    `WHEN ${dec} BETWEEN ${double(rim.low)} AND ${double(rim.high)} ` +
    `AND ${ra} BETWEEN ${double(0)} AND ${double(360)} ` +
    `THEN ${a} * ${a} + ${c} * ${double(rim.cosine)} * (${b} * ${b}) <= ${double(rim.limit)} ` +
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

function sineTerms(count: number): number[] {
  const found: number[] = []
  let factorial = 1
  for (let n = 1; n <= count; n++) {
    factorial *= 2 * n * (2 * n + 1)
    found.push((n % 2 === 1 ? -1 : 1) / factorial)
  }
  return found
}
