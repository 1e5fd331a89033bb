import {
  abZeroPoint,
  effectiveWave,
  fluxStep,
  lightSpeed,
  nodesOf,
  planck,
  type Bandpass,
} from './bandpass.ts'
import { gridAt } from './grid.ts'
import type { Parameters } from './result.ts'
import { dispersionAt, leastVariance, unknowable, type Source } from './source.ts'

/**
 * The model as its definition reads, wavelength by wavelength: the measure of the tables, which fits use
 * because they are hundreds of times as fast.
 */

/** Flux density seen by the observer, erg/s/cm²/Å, at a time in days and a wavelength in Å. */
export function fluxDensity(
  source: Source,
  { z, t0, x0, x1, c }: Parameters,
  time: number,
  wave: number,
): number {
  const a = 1 / (1 + z)
  const phase = (time - t0) * a
  const rest = wave * a
  const flux = gridAt(source.m0, phase, rest) + x1 * gridAt(source.m1, phase, rest)
  return a * x0 * flux * 10 ** (-0.4 * source.law.at(rest) * c)
}

/**
 * Flux in a band, in units of an AB zero point. `extinction` gives magnitudes at an observed wavelength.
 */
export function bandFlux(
  source: Source,
  band: Bandpass,
  parameters: Parameters,
  time: ArrayLike<number>,
  zeroPoint: number,
  extinction: (wave: number) => number = () => 0,
): Float64Array {
  const nodes = nodesOf(band, fluxStep)
  const scale = (nodes.step / (planck * lightSpeed) / abZeroPoint(band)) * 10 ** (0.4 * zeroPoint)
  return Float64Array.from(time, (at) => {
    let sum = 0
    for (const [i, wave] of nodes.wave.entries()) {
      const weight = wave * (nodes.transmission[i] ?? 0) * 10 ** (-0.4 * extinction(wave))
      sum += weight * fluxDensity(source, parameters, at, wave)
    }
    return sum * scale
  })
}

/**
 * The covariance of the model with itself, as a fraction of the fluxes of both points, row by row. Points
 * of one band share the colour dispersion; each has a variance of its own, from its phase.
 */
export function relativeCovariance(
  source: Source,
  bands: readonly Bandpass[],
  { z, t0, x1 }: Pick<Parameters, 'z' | 't0' | 'x1'>,
  time: ArrayLike<number>,
): Float64Array {
  const n = bands.length
  const a = 1 / (1 + z)
  const result = new Float64Array(n * n)
  const shared = new Map<Bandpass, { wave: number; dispersion: number }>()
  for (let i = 0; i < n; i++) {
    const band = bands[i]
    if (band === undefined) continue
    let of = shared.get(band)
    if (of === undefined) {
      const wave = effectiveWave(band, a)
      of = { wave, dispersion: dispersionAt(source, wave) ** 2 }
      shared.set(band, of)
    }
    for (let j = 0; j < n; j++) if (bands[j] === band) result[i * n + j] = of.dispersion
    const phase = ((time[i] ?? NaN) - t0) * a
    result[i * n + i] = of.dispersion + relativeVariance(source, band, a, phase, of.wave, x1)
  }
  return result
}

function relativeVariance(
  source: Source,
  band: Bandpass,
  a: number,
  phase: number,
  wave: number,
  x1: number,
): number {
  // Its own grid, of 5 Å in the rest frame; no colour, no dust.
  const nodes = nodesOf(band, fluxStep, a)
  let flux0 = 0
  let flux1 = 0
  let sum = 0
  for (const [i, at] of nodes.wave.entries()) {
    const weight = at * (nodes.transmission[i] ?? 0)
    flux0 += weight * gridAt(source.m0, phase, at)
    flux1 += weight * gridAt(source.m1, phase, at)
    sum += weight
  }
  const flux = flux0 + x1 * flux1
  if (!(flux > 0)) return unknowable
  const at = (grid: Source['m0']): number => gridAt(grid, phase, wave)
  let variance =
    at(source.variance0) + 2 * x1 * at(source.covariance) + x1 * x1 * at(source.variance1)
  if (variance < 0) variance = leastVariance
  if (source.scaling === null) return variance / (flux / sum) ** 2
  return variance * (flux0 / flux) ** 2 * at(source.scaling) ** 2
}
