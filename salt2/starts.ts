import { pullsOf, type Likelihood } from './likelihood.ts'
import type { Bounds } from './options.ts'
import { paletteAt, repaint } from './slice-palette.ts'
import { moveTo, paletteColours } from './slice.ts'

/**
 * Where to begin: χ² has several minima, above all in the date, and a descent ends in that of its start.
 */

const pairs = new Float64Array(2 * paletteColours)

/** Of the palette's colours, that of an average supernova. */
const colours = [-0.15, 0.1, 0.4, 0.8] as const
const usual = 1

/** Bring all palettes to a redshift. */
function repaintAll({ slices }: Likelihood, z: number): void {
  for (const slice of slices) {
    moveTo(slice, z)
    repaint(slice, colours)
  }
}

/**
 * A guess from the brightest point that stands out of the noise: in each band the highest flux over the
 * highest of an average supernova; the band in which that is most tells amplitude and date.
 */
export function guess(likelihood: Likelihood, z: number, minSignal: number): Float64Array {
  const { points, slices } = likelihood
  repaintAll(likelihood, z)
  let most = 0
  let date = 0
  for (const [b, slice] of slices.entries()) {
    const band = points.bands[b]
    if (band === undefined) continue
    let brightest = -1
    for (let i = band.from; i < band.to; i++) {
      const flux = points.flux[i] ?? 0
      if (flux * flux < minSignal * minSignal * (points.variance[i] ?? 0)) continue
      if (brightest < 0 || flux > (points.flux[brightest] ?? 0)) brightest = i
    }
    let highest = 0
    let phase = 0
    for (let day = -8; day <= 8; day++) {
      paletteAt(slice, day, pairs)
      const flux = pairs[usual] ?? 0
      if (flux > highest) {
        highest = flux
        phase = day
      }
    }
    const ratio = brightest < 0 || highest === 0 ? 0 : (points.flux[brightest] ?? 0) / highest
    if (ratio > most) {
      most = ratio
      date = (points.time[brightest] ?? 0) - phase * (1 + z)
    }
  }
  return Float64Array.of(z, date, most, 0, colours[usual])
}

const reach = 18
const stride = 2
const dates = 1 + (2 * reach) / stride
/** Two starts nearer than this in date, colour and redshift would end alike. */
const apart = { t0: 5, c: 0.3, z: 0.05 }

interface Start {
  cost: number
  readonly parameters: Float64Array
}

const costs = new Float64Array(dates * paletteColours)
const trials = Array.from({ length: dates * paletteColours }, () => new Float64Array(5))

/**
 * Where to begin: the best of a grid of dates about a guess, of colours and of redshifts, at each of which
 * amplitude and stretch follow from a linear problem; and the guess. Up to `most`, the best first, each
 * some way from the others.
 */
export function searchStarts(
  likelihood: Likelihood,
  guessed: Float64Array,
  redshifts: readonly number[],
  bounds: { readonly x1: Bounds; readonly c: Bounds; readonly t0: Bounds },
  most: number,
): Float64Array[] {
  const { priors } = likelihood
  const stretch = priors === null ? 3 : 2 * priors.x1
  const low = Math.max(bounds.x1[0], -stretch)
  const high = Math.min(bounds.x1[1], stretch)
  const found: Start[] = []
  for (const z of redshifts) {
    repaintAll(likelihood, z)
    for (let d = 0; d < dates; d++) {
      const t0 = (guessed[1] ?? 0) - reach + d * stride
      tryDate(likelihood, z, t0, low, high, d)
      if (t0 >= bounds.t0[0] && t0 <= bounds.t0[1]) continue
      for (let k = 0; k < paletteColours; k++) costs[d * paletteColours + k] = Infinity
    }
    for (let k = 0; k < paletteColours; k++) {
      if ((colours[k] ?? 0) < bounds.c[0] || (colours[k] ?? 0) > bounds.c[1]) continue
      for (let d = 0; d < dates; d++) {
        // Only the valleys along the date are of interest.
        const at = d * paletteColours + k
        const cost = costs[at] ?? Infinity
        const before = d === 0 ? Infinity : (costs[at - paletteColours] ?? Infinity)
        const after = d === dates - 1 ? Infinity : (costs[at + paletteColours] ?? Infinity)
        const trial = trials[at]
        if (trial === undefined || !(cost < before && cost <= after)) continue
        found.push({ cost, parameters: trial.slice() })
      }
    }
  }
  found.sort((a, b) => a.cost - b.cost)
  const chosen: Float64Array[] = []
  const isNew = (parameters: Float64Array): boolean =>
    chosen.every((other) => distance(other, parameters) >= 1)
  for (const { parameters } of found) {
    if (chosen.length >= most) break
    if (isNew(parameters)) chosen.push(parameters)
  }
  if (isNew(guessed)) chosen.push(guessed)
  return chosen
}

const distance = (a: Float64Array, b: Float64Array): number =>
  Math.hypot(
    ((a[0] ?? 0) - (b[0] ?? 0)) / apart.z,
    ((a[1] ?? 0) - (b[1] ?? 0)) / apart.t0,
    ((a[4] ?? 0) - (b[4] ?? 0)) / apart.c,
  )

/** Weighted sums of M0², M0 M1, M1², M0 f and M1 f for each colour. */
const sums = new Float64Array(5 * paletteColours)

/**
 * χ² for a redshift and a date at each colour, with the best amplitude and a stretch within bounds, into
 * the costs and trials of date `d`.
 */
function tryDate(
  likelihood: Likelihood,
  z: number,
  t0: number,
  low: number,
  high: number,
  d: number,
): void {
  const { points, slices, used, priors } = likelihood
  const a = 1 / (1 + z)
  const { time, flux, variance } = points
  let total = 0
  sums.fill(0)
  for (let b = 0; b < slices.length; b++) {
    const slice = slices[b]
    const band = points.bands[b]
    if (slice === undefined || band === undefined) continue
    for (let i = band.from; i < band.to; i++) {
      if (used[i] === 0) continue
      paletteAt(slice, ((time[i] ?? 0) - t0) * a, pairs)
      const weight = 1 / (variance[i] ?? 1)
      const value = flux[i] ?? 0
      total += value * value * weight
      for (let k = 0; k < paletteColours; k++) {
        const m0 = pairs[k] ?? 0
        const m1 = pairs[k + paletteColours] ?? 0
        const w0 = m0 * weight
        const w1 = m1 * weight
        const at = k * 5
        sums[at] = (sums[at] ?? 0) + w0 * m0
        sums[at + 1] = (sums[at + 1] ?? 0) + w0 * m1
        sums[at + 2] = (sums[at + 2] ?? 0) + w1 * m1
        sums[at + 3] = (sums[at + 3] ?? 0) + w0 * value
        sums[at + 4] = (sums[at + 4] ?? 0) + w1 * value
      }
    }
  }
  for (let k = 0; k < paletteColours; k++) {
    const at = d * paletteColours + k
    const trial = trials[at]
    if (trial === undefined) continue
    costs[at] = Infinity
    const m00 = sums[k * 5] ?? 0
    const m01 = sums[k * 5 + 1] ?? 0
    const m11 = sums[k * 5 + 2] ?? 0
    const d0 = sums[k * 5 + 3] ?? 0
    const d1 = sums[k * 5 + 4] ?? 0
    const determinant = m00 * m11 - m01 * m01
    let x0 = (d0 * m11 - d1 * m01) / determinant
    let x1 = (d1 * m00 - d0 * m01) / determinant / x0
    if (!(x0 > 0) || !(x1 >= low && x1 <= high)) {
      x1 = x0 > 0 && x1 > high ? high : x0 > 0 && x1 < low ? low : 0
      x0 = (d0 + x1 * d1) / (m00 + 2 * x1 * m01 + x1 * x1 * m11)
      if (!(x0 > 0)) continue
    }
    trial[0] = z
    trial[1] = t0
    trial[2] = x0
    trial[3] = x1
    trial[4] = colours[k] ?? 0
    const square = m00 + 2 * x1 * m01 + x1 * x1 * m11
    let cost = total - 2 * x0 * (d0 + x1 * d1) + x0 * x0 * square
    if (priors !== null) {
      const pulls = pullsOf(priors, trial)
      cost += pulls.x1 ** 2 + pulls.c ** 2 + pulls.magnitude ** 2
    }
    costs[at] = cost
  }
}
