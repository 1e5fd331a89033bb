/** Fluxes (AB, zero point 25), magnitudes, and what a detector makes of them. */
import { fluxNoise, type Exposure } from './exposure.ts'
import type { SkyObject } from './object.ts'
import { createRandom } from './random.ts'

/** Electrons per DN of ZTF's camera. */
const gain = 6.2

export const fluxOfMag = (mag: number): number => 10 ** (-0.4 * (mag - 25))
export const magOfFlux = (flux: number): number => 25 - 2.5 * Math.log10(flux)

/** DN of a flux of zero point 25 in an exposure. */
export function countsOf(flux: number, { zeroPoint }: Exposure): number {
  return flux * 10 ** (0.4 * (zeroPoint - 25))
}

export interface Measurement {
  /** Difference flux and its deviation as measured, DN. */
  counts: number
  noise: number
  /** At 5 sigma or above: an alert was sent, and the history shows it. */
  detected: boolean
  positive: boolean
  magpsf: number
  sigmapsf: number
}

/**
 * Measure an object in an exposure. The noise is drawn by object and exposure, so the same pair gives
 * the same numbers in every packet that tells of it.
 */
export function measure(object: SkyObject, exposure: Exposure): Measurement {
  const truth = countsOf(object.flux(exposure.jd, exposure.fid), exposure)
  const random = createRandom('measure', object.seed, exposure.jd)
  const noise = Math.hypot(fluxNoise(exposure), Math.sqrt(Math.abs(truth) / gain))
  const counts = truth + noise * random.normal()
  const size = Math.max(Math.abs(counts), 1)
  return {
    counts,
    noise,
    detected: Math.abs(counts) >= 5 * noise,
    positive: counts > 0,
    magpsf: exposure.zeroPoint - 2.5 * Math.log10(size),
    sigmapsf: Math.hypot((1.0857 * noise) / size, 0.012),
  }
}
