import { moveSlices, pullsOf, type Likelihood } from './likelihood.ts'
import type { Bounds } from './options.ts'
import { shapeAt } from './slice.ts'

/**
 * Where to begin: χ² has several minima, above all in the date, and a descent ends in that of its start.
 */

const shape = new Float64Array(2)

/**
 * A guess from the brightest point that stands out of the noise: in each band the highest flux over the
 * highest of an average supernova; the band in which that is most tells amplitude and date.
 */
export function guess(likelihood: Likelihood, z: number, minSignal: number): Float64Array {
  const { points, slices } = likelihood
  moveSlices(likelihood, z, 0)
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
    for (let day = -20; day <= 50; day++) {
      shapeAt(slice, day, shape)
      if ((shape[0] ?? 0) > highest) {
        highest = shape[0] ?? 0
        phase = day
      }
    }
    const ratio = brightest < 0 || highest === 0 ? 0 : (points.flux[brightest] ?? 0) / highest
    if (ratio > most) {
      most = ratio
      date = (points.time[brightest] ?? 0) - phase * (1 + z)
    }
  }
  return Float64Array.of(z, date, most, 0, 0)
}

const colours = [-0.15, 0.1, 0.4] as const
const reach = 18
const stride = 2
/** Two starts nearer than this in date, colour and redshift would end alike. */
const apart = { t0: 5, c: 0.3, z: 0.05 }

/**
 * The best of a grid of dates about a guess, of colours and of redshifts: at each, amplitude and stretch
 * follow from a linear problem. Up to `most` starts, the best first, each some way from the others.
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
  const found: { cost: number; parameters: Float64Array }[] = []
  const trial = new Float64Array(5)
  for (const z of redshifts) {
    for (const colour of colours) {
      const c = Math.min(Math.max(colour, bounds.c[0]), bounds.c[1])
      moveSlices(likelihood, z, c)
      let previous = Infinity
      let falling = false
      let best: { cost: number; parameters: Float64Array } | undefined
      for (let shift = -reach; shift <= reach; shift += stride) {
        const t0 = (guessed[1] ?? 0) + shift
        if (t0 < bounds.t0[0] || t0 > bounds.t0[1]) continue
        trial[0] = z
        trial[1] = t0
        trial[4] = c
        const cost = fitAmplitudes(likelihood, trial, low, high)
        // Only the valleys along the date are of interest.
        if (cost < previous) {
          falling = true
          best = { cost, parameters: trial.slice() }
        } else if (falling) {
          if (best !== undefined) found.push(best)
          falling = false
        }
        previous = cost
      }
      if (falling && best !== undefined) found.push(best)
    }
  }
  found.sort((a, b) => a.cost - b.cost)
  const chosen: Float64Array[] = []
  for (const { cost, parameters } of found) {
    if (chosen.length >= most || cost === Infinity) break
    if (chosen.every((other) => distance(other, parameters) >= 1)) chosen.push(parameters)
  }
  return chosen
}

const distance = (a: Float64Array, b: Float64Array): number =>
  Math.hypot(
    ((a[0] ?? 0) - (b[0] ?? 0)) / apart.z,
    ((a[1] ?? 0) - (b[1] ?? 0)) / apart.t0,
    ((a[4] ?? 0) - (b[4] ?? 0)) / apart.c,
  )

/** Put the best amplitude and stretch into a trial whose other parameters stand; answers χ². */
function fitAmplitudes(
  { points, slices, used, priors }: Likelihood,
  trial: Float64Array,
  low: number,
  high: number,
): number {
  const a = 1 / (1 + (trial[0] ?? 0))
  const t0 = trial[1] ?? 0
  let m00 = 0
  let m01 = 0
  let m11 = 0
  let d0 = 0
  let d1 = 0
  let dd = 0
  for (let b = 0; b < slices.length; b++) {
    const slice = slices[b]
    const band = points.bands[b]
    if (slice === undefined || band === undefined) continue
    for (let i = band.from; i < band.to; i++) {
      if (used[i] === 0) continue
      shapeAt(slice, ((points.time[i] ?? 0) - t0) * a, shape)
      const weight = 1 / (points.variance[i] ?? 1)
      const flux = points.flux[i] ?? 0
      const m0 = shape[0] ?? 0
      const m1 = shape[1] ?? 0
      m00 += m0 * m0 * weight
      m01 += m0 * m1 * weight
      m11 += m1 * m1 * weight
      d0 += m0 * flux * weight
      d1 += m1 * flux * weight
      dd += flux * flux * weight
    }
  }
  const determinant = m00 * m11 - m01 * m01
  let x0 = (d0 * m11 - d1 * m01) / determinant
  let x1 = (d1 * m00 - d0 * m01) / determinant / x0
  if (!(x0 > 0) || !(x1 >= low && x1 <= high)) {
    x1 = x0 > 0 && x1 > high ? high : x0 > 0 && x1 < low ? low : 0
    x0 = (d0 + x1 * d1) / (m00 + 2 * x1 * m01 + x1 * x1 * m11)
    if (!(x0 > 0)) return Infinity
  }
  trial[2] = x0
  trial[3] = x1
  const chisq = dd - 2 * x0 * (d0 + x1 * d1) + x0 * x0 * (m00 + 2 * x1 * m01 + x1 * x1 * m11)
  if (priors === null) return chisq
  const pulls = pullsOf(priors, trial)
  return chisq + pulls.x1 ** 2 + pulls.c ** 2 + pulls.magnitude ** 2
}
