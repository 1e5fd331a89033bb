import { NightjarError } from '../core/errors.ts'
import { numberRows } from './text.ts'

/** A bandpass: transmission of photons by wavelength in Å, straight between its samples, 0 outside. */
export interface Bandpass {
  readonly name: string
  readonly wave: Float64Array
  readonly transmission: Float64Array
}

/** Places to integrate a bandpass at: midpoints of equal steps. */
export interface Nodes {
  readonly wave: Float64Array
  readonly transmission: Float64Array
  readonly step: number
}

/** Planck's constant, erg s, and the speed of light, Å/s (CODATA 2018, exact). */
export const planck = 6.62607015e-27
export const lightSpeed = 2.99792458e18

/** Å between nodes: of a flux, and of zero point and effective wavelength. */
export const fluxStep = 5
const fineStep = 1

/**
 * Read a bandpass (columns wavelength in Å, transmission) and trim it as sncosmo does: to where it
 * lets through a thousandth of its maximum or more, and one sample beyond on each side. Without the
 * trimming zero points differ by 2e-5.
 */
export function parseBandpass(name: string, text: string): Bandpass {
  const rows = numberRows(text, `bandpass ${name}`, 2)
  const wave = rows.map((row) => row[0] ?? NaN)
  const transmission = rows.map((row) => row[1] ?? NaN)
  if (rows.length < 2 || wave.some((value, i) => i > 0 && !(value > (wave[i - 1] ?? NaN)))) {
    throw new NightjarError(
      'input_invalid',
      `Cannot read bandpass ${name}: its ${rows.length} wavelengths do not ascend`,
    )
  }
  const least = 0.001 * transmission.reduce((a, b) => Math.max(a, b), 0)
  const first = transmission.findIndex((value) => value >= least)
  const last = transmission.findLastIndex((value) => value >= least)
  const from = Math.max(0, first - 1)
  const to = Math.min(wave.length, last + 2)
  return {
    name,
    wave: Float64Array.from(wave.slice(from, to)),
    transmission: Float64Array.from(transmission.slice(from, to)),
  }
}

/** First and last wavelength, Å. */
export const rangeOf = ({ wave }: Bandpass): readonly [number, number] => [
  wave[0] ?? NaN,
  wave[wave.length - 1] ?? NaN,
]

/** The nodes for a step of about `step` Å, of a bandpass whose wavelengths are multiplied by `scale`. */
export function nodesOf(band: Bandpass, step: number, scale = 1): Nodes {
  const [low, high] = rangeOf(band)
  const from = low * scale
  const count = Math.ceil((high * scale - from) / step)
  const width = (high * scale - from) / count
  const wave = new Float64Array(count)
  const transmission = new Float64Array(count)
  let cell = 0
  for (let i = 0; i < count; i++) {
    const at = from + (i + 0.5) * width
    wave[i] = at
    const unscaled = at / scale
    while (cell < band.wave.length - 2 && (band.wave[cell + 1] ?? 0) <= unscaled) cell += 1
    const left = band.wave[cell] ?? 0
    const right = band.wave[cell + 1] ?? 0
    const low = band.transmission[cell] ?? 0
    const rise = (band.transmission[cell + 1] ?? 0) - low
    transmission[i] = low + (rise * (unscaled - left)) / (right - left)
  }
  return { wave, transmission, step: width }
}

/** Transmission-weighted mean wavelength, Å; of the bandpass shifted by `scale`. */
export function effectiveWave(band: Bandpass, scale = 1): number {
  const { wave, transmission } = nodesOf(band, fineStep, scale)
  let weighted = 0
  let sum = 0
  for (let i = 0; i < wave.length; i++) {
    weighted += (wave[i] ?? 0) * (transmission[i] ?? 0)
    sum += transmission[i] ?? 0
  }
  return weighted / sum
}

/** Photons/s/cm² of a source of AB magnitude 0: 3631 Jy. */
export function abZeroPoint(band: Bandpass): number {
  const { wave, transmission, step } = nodesOf(band, fineStep)
  let sum = 0
  for (let i = 0; i < wave.length; i++) sum += (transmission[i] ?? 0) / (wave[i] ?? 0)
  return ((3631e-23 * step) / planck) * sum
}
