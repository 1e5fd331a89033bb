import {
  abZeroPoint,
  effectiveWave,
  fluxStep,
  lightSpeed,
  nodesOf,
  planck,
  rangeOf,
  type Bandpass,
  type Nodes,
} from './bandpass.ts'
import { factorise, solve } from './cholesky.ts'
import { extinctionLaw } from './dust.ts'
import { cellOf, cubicWeights, fractionOf, gridAt } from './grid.ts'
import { dispersionAt, leastVariance, type Source } from './source.ts'

/**
 * A model integrated over a band, for a range of redshifts, so that a light curve costs tens of
 * multiplications a point instead of thousands.
 *
 * At one redshift the flux of a band at a phase row is Σ W(λ) M(row, λ) exp(−κ (c CL(λ) + E A(λ))), with
 * κ = 0.4 ln 10. The exponential is smooth in CL, so it is replaced by the polynomial in CL through
 * `terms` Chebyshev nodes, and the sum by Σ_j flux_j exp(−κ (c CL_j + E A_j)): the sums over wavelength
 * are done once, and colour and dust stay free. Between phases the model's own cubic rule holds; between
 * redshifts a cubic through the four nearest.
 */
export interface BandTable {
  readonly band: string
  readonly family: Source['family']
  /** z of the first, their distance, and how many; at least 4. */
  readonly redshifts: Axis
  /** Rest-frame days of the rows of `flux` and of `errors`. */
  readonly phases: Axis
  readonly errorPhases: Axis
  /** How many nodes in CL. */
  readonly terms: number
  /** CL of the outermost nodes' interval: red and blue end at the first and at the last redshift. */
  readonly interval: readonly [red: Ends, blue: Ends]
  /** AB flux at zero point 25 for x0 = 1: by redshift, phase, component (M0, M1), node. */
  readonly flux: Float64Array
  /** Extinction at the nodes for E(B−V) = 1, by redshift and node, for each of `dustColumns`. */
  readonly dust: readonly Float64Array[]
  /** Error model at the band's effective wavelength, by redshift and phase, `errorColumns` each. */
  readonly errors: Float64Array
  /** Colour dispersion, a fraction of flux; and what stands in for a negative variance; by redshift. */
  readonly dispersion: Float64Array
  readonly least: Float64Array
}

export interface Axis {
  readonly first: number
  readonly step: number
  readonly count: number
}

type Ends = readonly [number, number]

export const lastOf = ({ first, step, count }: Axis): number => first + step * (count - 1)

/** Variances of M0 and M1, their covariance, and the scaling of SALT2 (1 for SALT3). */
export const errorColumns = 4

/** What `dust` holds: the parts a and b of A = a R_V + b of two laws, and Fitzpatrick's at R_V 3.1. */
export const dustColumns = ['ccm89 a', 'ccm89 b', 'odonnell94 a', 'odonnell94 b', 'f99'] as const

/** AB magnitude of flux 1 in tables and in fits. */
export const tableZeroPoint = 25

export const kappa = 0.4 * Math.LN10

/** Chebyshev nodes on −1 … 1, from blue to red end of the interval. */
export const chebyshevNodes = (terms: number): Float64Array =>
  Float64Array.from({ length: terms }, (_, j) => Math.cos((Math.PI * (j + 0.5)) / terms))

/** True where a band lies inside a model's wavelengths at both ends of a range of redshifts. */
export function covers({ m0 }: Source, band: Bandpass, min: number, max: number): boolean {
  const [low, high] = rangeOf(band)
  const first = m0.wave[0] ?? NaN
  const last = m0.wave[m0.wave.length - 1] ?? NaN
  return low / (1 + max) > first && high / (1 + min) < last
}

/** Integrate a model over a band at redshifts that it covers. */
export function bandTable(
  source: Source,
  band: Bandpass,
  redshifts: Axis,
  terms: number,
): BandTable {
  const { m0, m1, law } = source
  const width = m0.wave.length
  const rows = m0.phase.length
  const nodes = nodesOf(band, fluxStep)
  const [low, high] = rangeOf(band)
  const zs = Array.from({ length: redshifts.count }, (_, i) => redshifts.first + i * redshifts.step)
  // Straight in z, so that the nodes move smoothly: CL itself has corners where its range ends.
  const red = enclosing(redshifts, (z) => law.at(high / (1 + z)), -1)
  const blue = enclosing(redshifts, (z) => law.at(low / (1 + z)), 1)
  const unit =
    (nodes.step / (planck * lightSpeed) / abZeroPoint(band)) * 10 ** (0.4 * tableZeroPoint)
  const laws = dustLaws()

  const flux = new Float64Array(zs.length * rows * 2 * terms)
  const dust = dustColumns.map(() => new Float64Array(zs.length * terms))
  const errorPhases = axisOf(source.variance0.phase)
  const errors = new Float64Array(zs.length * errorPhases.count * errorColumns)
  const dispersion = new Float64Array(zs.length)
  const least = new Float64Array(zs.length)
  const acrossWave = new Float64Array(4)
  // For each wavelength of the model, what it adds to each term.
  const spread = new Float64Array(width * terms)
  const sums = new Float64Array(terms)

  for (const [iz, z] of zs.entries()) {
    const a = 1 / (1 + z)
    const share = zs.length < 2 ? 0 : iz / (zs.length - 1)
    const bottom = red[0] + (red[1] - red[0]) * share
    const top = blue[0] + (blue[1] - blue[0]) * share
    const basis = lagrangeAt(
      nodes,
      (wave) => (2 * law.at(wave * a) - bottom - top) / (top - bottom),
      terms,
    )
    spread.fill(0)
    let from = width
    let to = 0
    for (let k = 0; k < nodes.wave.length; k++) {
      const wave = nodes.wave[k] ?? NaN
      const weight = wave * (nodes.transmission[k] ?? 0) * a * unit
      const cell = cellOf(m0.wave, wave * a)
      cubicWeights(fractionOf(m0.wave, cell, wave * a), acrossWave)
      from = Math.min(from, cell - 1)
      to = Math.max(to, cell + 3)
      for (let q = 0; q < 4; q++) {
        const part = weight * (acrossWave[q] ?? 0)
        const at = (cell - 1 + q) * terms
        for (let j = 0; j < terms; j++) {
          spread[at + j] = (spread[at + j] ?? 0) + part * (basis[k * terms + j] ?? 0)
        }
      }
    }
    for (let row = 0; row < rows; row++) {
      for (let component = 0; component < 2; component++) {
        const { values } = component === 0 ? m0 : m1
        sums.fill(0)
        for (let w = Math.max(0, from); w < Math.min(width, to); w++) {
          const value = values[row * width + w] ?? 0
          for (let j = 0; j < terms; j++) {
            sums[j] = (sums[j] ?? 0) + value * (spread[w * terms + j] ?? 0)
          }
        }
        flux.set(sums, ((iz * rows + row) * 2 + component) * terms)
      }
    }
    const fitted = projection(nodes, basis, terms)
    for (const [column, extinction] of laws.entries()) {
      dust[column]?.set(fitted(extinction), iz * terms)
    }
    const wave = effectiveWave(band, a)
    // SALT3 tells variances in squared mean flux density: put them in squared band flux.
    const mean = source.family === 'salt3' ? a * unit * weightOf(nodes) : 1
    for (let row = 0; row < errorPhases.count; row++) {
      const phase = source.variance0.phase[row] ?? NaN
      const at = (iz * errorPhases.count + row) * errorColumns
      errors[at] = gridAt(source.variance0, phase, wave) * mean * mean
      errors[at + 1] = gridAt(source.variance1, phase, wave) * mean * mean
      errors[at + 2] = gridAt(source.covariance, phase, wave) * mean * mean
      errors[at + 3] = source.scaling === null ? 1 : gridAt(source.scaling, phase, wave)
    }
    dispersion[iz] = dispersionAt(source, wave)
    least[iz] = leastVariance * mean * mean
  }
  return {
    band: band.name,
    family: source.family,
    redshifts,
    phases: axisOf(m0.phase),
    errorPhases,
    terms,
    interval: [red, blue],
    flux,
    dust,
    errors,
    dispersion,
    least,
  }
}

/** The chord of a function over the axis, moved to that side (±1) of it on which nothing is left out. */
function enclosing(axis: Axis, value: (z: number) => number, side: 1 | -1): Ends {
  const first = value(axis.first)
  const last = value(lastOf(axis))
  let shift = 0
  for (let i = 0; i < axis.count; i++) {
    const chord = first + ((last - first) * i) / (axis.count - 1)
    shift = Math.max(shift, side * (value(axis.first + i * axis.step) - chord))
  }
  return [first + side * shift, last + side * shift]
}

/** Phases of a model are a day apart or at least equally far; anything else is none of ours. */
function axisOf(phases: Float64Array): Axis {
  const first = phases[0] ?? NaN
  return {
    first,
    step: ((phases[phases.length - 1] ?? NaN) - first) / (phases.length - 1),
    count: phases.length,
  }
}

const weightOf = ({ wave, transmission }: Nodes): number =>
  wave.reduce((sum, at, i) => sum + at * (transmission[i] ?? 0), 0)

/** The Lagrange polynomials of the Chebyshev nodes at each wavelength, by their Chebyshev sums. */
function lagrangeAt(nodes: Nodes, reduced: (wave: number) => number, terms: number): Float64Array {
  const basis = new Float64Array(nodes.wave.length * terms)
  const places = chebyshevNodes(terms)
  const at = (u: number, m: number, T: Float64Array): number =>
    m === 0 ? 1 : m === 1 ? u : 2 * u * (T[m - 1] ?? 0) - (T[m - 2] ?? 0)
  const here = new Float64Array(terms)
  const there = new Float64Array(terms)
  for (const [k, wave] of nodes.wave.entries()) {
    const u = reduced(wave)
    for (let m = 0; m < terms; m++) here[m] = at(u, m, here)
    for (const [j, place] of places.entries()) {
      let sum = -1
      for (let m = 0; m < terms; m++) {
        there[m] = at(place, m, there)
        sum += 2 * (here[m] ?? 0) * (there[m] ?? 0)
      }
      basis[k * terms + j] = sum / terms
    }
  }
  return basis
}

function dustLaws(): ((wave: number) => number)[] {
  const parts = (['ccm89', 'odonnell94'] as const).flatMap((law) => {
    const at = [extinctionLaw(law, 0), extinctionLaw(law, 1)] as const
    return [(wave: number) => at[1](wave) - at[0](wave), at[0]]
  })
  return [...parts, extinctionLaw('f99', 3.1)]
}

/**
 * The values at the nodes of that polynomial in CL which comes closest, weighted by the transmission, to
 * a function of wavelength. (Its values at the nodes themselves would do less well: where the range
 * of the colour law ends, extinction has a corner as a function of CL.)
 */
function projection(
  { wave, transmission }: Nodes,
  basis: Float64Array,
  terms: number,
): (extinction: (wave: number) => number) => Float64Array {
  // Chebyshev polynomials at the wavelengths, from the Lagrange ones and their own values at the nodes.
  const size = Math.min(terms, dustDegree + 1)
  const atNodes = Float64Array.from({ length: terms * size }, (_, i) =>
    Math.cos((Math.PI * (i % size) * (Math.floor(i / size) + 0.5)) / terms),
  )
  const polynomials = new Float64Array(wave.length * size)
  for (let k = 0; k < wave.length; k++) {
    for (let m = 0; m < size; m++) {
      let sum = 0
      for (let j = 0; j < terms; j++)
        sum += (basis[k * terms + j] ?? 0) * (atNodes[j * size + m] ?? 0)
      polynomials[k * size + m] = sum
    }
  }
  const matrix = new Float64Array(size * size)
  for (const [k, at] of wave.entries()) {
    const weight = at * (transmission[k] ?? 0)
    for (let i = 0; i < size * size; i++) {
      const row = polynomials[k * size + Math.floor(i / size)] ?? 0
      matrix[i] = (matrix[i] ?? 0) + weight * row * (polynomials[k * size + (i % size)] ?? 0)
    }
  }
  const solvable = factorise(matrix, size)
  return (extinction) => {
    const vector = new Float64Array(size)
    for (const [k, at] of wave.entries()) {
      const value = at * (transmission[k] ?? 0) * extinction(at)
      for (let m = 0; m < size; m++) {
        vector[m] = (vector[m] ?? 0) + value * (polynomials[k * size + m] ?? 0)
      }
    }
    if (!solvable) return new Float64Array(terms).fill(NaN)
    solve(matrix, size, vector)
    return Float64Array.from({ length: terms }, (_, j) =>
      vector.reduce((sum, factor, m) => sum + factor * (atNodes[j * size + m] ?? 0), 0),
    )
  }
}

/** Degree in CL of what stands in for an extinction law within a band. */
const dustDegree = 6
