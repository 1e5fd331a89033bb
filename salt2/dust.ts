import type { DustLaw } from './options.ts'

/**
 * Extinction by dust at a wavelength in Å, in magnitudes for E(B−V) = 1.
 *
 * Cardelli, Clayton & Mathis 1989, ApJ 345, 245; O'Donnell 1994, ApJ 422, 158 (optical part);
 * Fitzpatrick 1999, PASP 111, 63. From 1000 Å to the infrared.
 */
export function extinctionLaw(law: DustLaw, rv: number): (wave: number) => number {
  if (law === 'f99') return fitzpatrick(rv)
  const optical = law === 'ccm89' ? cardelliOptical : odonnellOptical
  return (wave) => {
    const x = 1e4 / wave
    const [a, b] = x < 1.1 ? infrared(x) : x < 3.3 ? optical(x - 1.82) : ultraviolet(x)
    return a * rv + b
  }
}

type Pair = readonly [number, number]

const infrared = (x: number): Pair => [0.574 * x ** 1.61, -0.527 * x ** 1.61]

const cardelliOptical = (y: number): Pair => [
  polynomial(y, [1, 0.17699, -0.50447, -0.02427, 0.72085, 0.01979, -0.7753, 0.32999]),
  polynomial(y, [0, 1.41338, 2.28305, 1.07233, -5.38434, -0.62251, 5.3026, -2.09002]),
]

const odonnellOptical = (y: number): Pair => [
  polynomial(y, [1, 0.104, -0.609, 0.701, 1.137, -1.718, -0.827, 1.647, -0.505]),
  polynomial(y, [0, 1.952, 2.908, -3.989, -7.985, 11.102, 5.491, -10.805, 3.347]),
]

function ultraviolet(x: number): Pair {
  const y = Math.max(0, x - 5.9)
  return [
    1.752 - 0.316 * x - 0.104 / ((x - 4.67) ** 2 + 0.341) + y * y * (-0.04473 - 0.009779 * y),
    -3.09 + 1.825 * x + 1.206 / ((x - 4.62) ** 2 + 0.263) + y * y * (0.213 + 0.1207 * y),
  ]
}

const polynomial = (x: number, factors: readonly number[]): number =>
  factors.reduceRight((sum, factor) => sum * x + factor, 0)

/** Fitzpatrick's curve: anchors in the optical and infrared, a formula in the ultraviolet. */
function fitzpatrick(rv: number): (wave: number) => number {
  const c2 = -0.824 + 4.717 / rv
  const c1 = 2.03 - 3.007 * c2
  const formula = (x: number): number => {
    const y = Math.max(0, x - 5.9)
    const bump = (x * x) / ((x * x - 4.596 ** 2) ** 2 + 0.99 ** 2 * x * x)
    return c1 + c2 * x + 3.23 * bump + 0.41 * y * y * (0.5392 + 0.05644 * y)
  }
  const places = [Infinity, 26500, 12200, 6000, 5470, 4670, 4110, 2700, 2600].map((w) => 1e4 / w)
  const anchors = [
    0,
    (0.26469 * rv) / 3.1,
    (0.82925 * rv) / 3.1,
    polynomial(rv, [-0.422809, 1.0027, 2.13572e-4]),
    polynomial(rv, [-5.1354e-2, 1.00216, -7.35778e-5]),
    polynomial(rv, [0.700127, 1.00184, -3.32598e-5]),
    polynomial(rv, [1.19456, 1.01707, -5.46959e-3, 7.97809e-4, -4.45636e-5]),
    ...places.slice(7).map((x) => formula(x) + rv),
  ]
  const spline = naturalSpline(places, anchors)
  return (wave) => (wave < 2700 ? formula(1e4 / wave) + rv : spline(1e4 / wave))
}

/** The cubic spline through points, without curvature at its ends. */
function naturalSpline(x: readonly number[], y: readonly number[]): (at: number) => number {
  const n = x.length
  const gap = (i: number): number => (x[i + 1] ?? NaN) - (x[i] ?? NaN)
  const rise = (i: number): number => ((y[i + 1] ?? NaN) - (y[i] ?? NaN)) / gap(i)
  const curvature = new Float64Array(n)
  const factor = new Float64Array(n)
  // Thomas's algorithm: down, then back up.
  for (let i = 1; i < n - 1; i++) {
    const pivot = 2 * (gap(i - 1) + gap(i)) - gap(i - 1) * (factor[i - 1] ?? 0)
    factor[i] = gap(i) / pivot
    curvature[i] = (6 * (rise(i) - rise(i - 1)) - gap(i - 1) * (curvature[i - 1] ?? 0)) / pivot
  }
  for (let i = n - 2; i >= 1; i--) {
    curvature[i] = (curvature[i] ?? 0) - (factor[i] ?? 0) * (curvature[i + 1] ?? 0)
  }
  return (at) => {
    let i = 0
    while (i < n - 2 && (x[i + 1] ?? NaN) <= at) i += 1
    const h = gap(i)
    const s = ((x[i + 1] ?? NaN) - at) / h
    const t = 1 - s
    const bend = (s ** 3 - s) * (curvature[i] ?? 0) + (t ** 3 - t) * (curvature[i + 1] ?? 0)
    return s * (y[i] ?? NaN) + t * (y[i + 1] ?? NaN) + (bend * h * h) / 6
  }
}
