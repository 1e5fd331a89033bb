import {
  chebyshevNodes,
  dustColumns,
  errorColumns,
  kappa,
  lastOf,
  type BandTable,
} from './band-table.ts'
import { cubicSlopes, cubicWeights } from './grid.ts'
import type { DustLaw } from './options.ts'
import { unknowable } from './source.ts'

/**
 * A band's table at one redshift, and its rows at one colour: all that a light curve is made of. One slice
 * is moved from redshift to redshift and from colour to colour in place; nothing is allocated on the way.
 */
export interface Slice {
  readonly table: BandTable
  /** The redshift it stands at. */
  z: number
  readonly dustWeights: readonly number[]
  readonly mwebv: number
  /** By phase, component, node; and the derivative by z. */
  readonly flux: Float64Array
  readonly fluxByZ: Float64Array
  /** Colour law and extinction at the nodes, and their derivatives by z. */
  readonly law: Float64Array
  readonly lawByZ: Float64Array
  readonly extinction: Float64Array
  readonly extinctionByZ: Float64Array
  /** Factors of the nodes at the present colour: of the flux, of its derivatives by c and by z. */
  readonly factor: Float64Array
  readonly factorByC: Float64Array
  readonly factorByZ: Float64Array
  /** Six values a phase: M0, M1, then their derivatives by c and by z; made when first asked for. */
  readonly rows: Float64Array
  readonly made: Uint32Array
  colour: number
  /** With derivatives by z? */
  readonly free: boolean
  /** The error model at this redshift, and its phases. */
  readonly errors: Float64Array
  dispersion: number
  least: number
}

/** What a band gives at a time, for x0 = 1: M0, M1 and their derivatives by phase, c and z. */
export const pointValues = 8

/** A slice that stands nowhere yet: `moveTo` comes first, then `recolour`. */
export function sliceOf(
  table: BandTable,
  dust: { readonly law: DustLaw; readonly rv: number; readonly mwebv: number },
  free: boolean,
): Slice {
  const { terms, phases, errorPhases } = table
  const size = phases.count * 2 * terms
  const nodes = (): Float64Array => new Float64Array(terms)
  return {
    table,
    z: NaN,
    dustWeights: dustColumns.map((column) =>
      column === 'f99'
        ? Number(dust.law === 'f99')
        : column === `${dust.law} a`
          ? dust.rv
          : Number(column === `${dust.law} b`),
    ),
    mwebv: dust.mwebv,
    flux: new Float64Array(size),
    fluxByZ: new Float64Array(free ? size : 0),
    law: nodes(),
    lawByZ: nodes(),
    extinction: nodes(),
    extinctionByZ: nodes(),
    factor: nodes(),
    factorByC: nodes(),
    factorByZ: nodes(),
    rows: new Float64Array(phases.count * 6),
    made: new Uint32Array(phases.count),
    colour: 0,
    free,
    errors: new Float64Array(errorPhases.count * errorColumns),
    dispersion: 0,
    least: 0,
  }
}

const weights = new Float64Array(4)
const slopes = new Float64Array(4)

/** Bring a slice to a redshift within its table. */
export function moveTo(slice: Slice, z: number): void {
  if (slice.z === z) return
  const { table, flux, fluxByZ } = slice
  const { redshifts, terms, interval } = table
  const at = (z - redshifts.first) / redshifts.step
  const from = Math.min(Math.max(Math.floor(at) - 1, 0), redshifts.count - 4)
  lagrange(at - from, redshifts.step)
  const w0 = weights[0] ?? 0
  const w1 = weights[1] ?? 0
  const w2 = weights[2] ?? 0
  const w3 = weights[3] ?? 0
  const size = flux.length
  const a0 = from * size
  const a1 = a0 + size
  const a2 = a1 + size
  const a3 = a2 + size
  const all = table.flux
  if (slice.free) {
    const s0 = slopes[0] ?? 0
    const s1 = slopes[1] ?? 0
    const s2 = slopes[2] ?? 0
    const s3 = slopes[3] ?? 0
    for (let i = 0; i < size; i++) {
      const f0 = all[a0 + i] ?? 0
      const f1 = all[a1 + i] ?? 0
      const f2 = all[a2 + i] ?? 0
      const f3 = all[a3 + i] ?? 0
      flux[i] = w0 * f0 + w1 * f1 + w2 * f2 + w3 * f3
      fluxByZ[i] = s0 * f0 + s1 * f1 + s2 * f2 + s3 * f3
    }
  } else {
    for (let i = 0; i < size; i++) {
      flux[i] =
        w0 * (all[a0 + i] ?? 0) +
        w1 * (all[a1 + i] ?? 0) +
        w2 * (all[a2 + i] ?? 0) +
        w3 * (all[a3 + i] ?? 0)
    }
  }

  const [red, blue] = interval
  const range = lastOf(redshifts) - redshifts.first
  const share = (z - redshifts.first) / range
  const bottom = red[0] + (red[1] - red[0]) * share
  const top = blue[0] + (blue[1] - blue[0]) * share
  const nodes = nodesFor(terms)
  for (let j = 0; j < terms; j++) {
    const u = nodes[j] ?? 0
    slice.law[j] = 0.5 * (bottom + top + (top - bottom) * u)
    slice.lawByZ[j] = (0.5 * ((red[1] - red[0]) * (1 - u) + (blue[1] - blue[0]) * (1 + u))) / range
    let value = 0
    let slope = 0
    if (slice.mwebv !== 0) {
      for (let column = 0; column < slice.dustWeights.length; column++) {
        const part = slice.dustWeights[column] ?? 0
        const values = table.dust[column]
        if (part === 0 || values === undefined) continue
        for (let q = 0; q < 4; q++) {
          const here = part * (values[(from + q) * terms + j] ?? 0)
          value += (weights[q] ?? 0) * here
          slope += (slopes[q] ?? 0) * here
        }
      }
    }
    slice.extinction[j] = value * slice.mwebv
    slice.extinctionByZ[j] = slope * slice.mwebv
  }
  slice.dispersion = 0
  slice.least = 0
  slice.errors.fill(0)
  const lines = slice.errors.length
  for (let q = 0; q < 4; q++) {
    const weight = weights[q] ?? 0
    slice.dispersion += weight * (table.dispersion[from + q] ?? 0)
    slice.least += weight * (table.least[from + q] ?? 0)
    for (let i = 0; i < lines; i++) {
      slice.errors[i] =
        (slice.errors[i] ?? 0) + weight * (table.errors[(from + q) * lines + i] ?? 0)
    }
  }
  slice.z = z
  slice.colour += 1
}

const knownNodes = new Map<number, Float64Array>()

function nodesFor(terms: number): Float64Array {
  const known = knownNodes.get(terms)
  if (known !== undefined) return known
  const nodes = chebyshevNodes(terms)
  knownNodes.set(terms, nodes)
  return nodes
}

/** Weights of four equidistant nodes for a place counted from the first, and their slopes by z. */
function lagrange(at: number, step: number): void {
  const a = at
  const b = at - 1
  const c = at - 2
  const d = at - 3
  weights[0] = -(b * c * d) / 6
  weights[1] = (a * c * d) / 2
  weights[2] = -(a * b * d) / 2
  weights[3] = (a * b * c) / 6
  slopes[0] = -(c * d + b * d + b * c) / 6 / step
  slopes[1] = (c * d + a * d + a * c) / 2 / step
  slopes[2] = -(b * d + a * d + a * b) / 2 / step
  slopes[3] = (b * c + a * c + a * b) / 6 / step
}

/** Bring a slice to a colour. */
export function recolour(slice: Slice, c: number): void {
  for (let j = 0; j < slice.table.terms; j++) {
    const law = slice.law[j] ?? 0
    const factor = Math.exp(-kappa * (c * law + (slice.extinction[j] ?? 0)))
    slice.factor[j] = factor
    slice.factorByC[j] = -kappa * law * factor
    slice.factorByZ[j] =
      -kappa * (c * (slice.lawByZ[j] ?? 0) + (slice.extinctionByZ[j] ?? 0)) * factor
  }
  // What was made for the former colour is stale at once.
  slice.colour += 1
}

function makeRow(slice: Slice, row: number): void {
  const { rows, flux, fluxByZ, factor, factorByC, factorByZ } = slice
  const { terms } = slice.table
  let at = row * 2 * terms
  for (let component = 0; component < 2; component++) {
    let value = 0
    let byC = 0
    let byZ = 0
    if (slice.free) {
      for (let j = 0; j < terms; j++) {
        const f = flux[at + j] ?? 0
        value += f * (factor[j] ?? 0)
        byC += f * (factorByC[j] ?? 0)
        byZ += f * (factorByZ[j] ?? 0) + (fluxByZ[at + j] ?? 0) * (factor[j] ?? 0)
      }
    } else {
      for (let j = 0; j < terms; j++) {
        const f = flux[at + j] ?? 0
        value += f * (factor[j] ?? 0)
        byC += f * (factorByC[j] ?? 0)
      }
    }
    rows[row * 6 + component] = value
    rows[row * 6 + 2 + component] = byC
    rows[row * 6 + 4 + component] = byZ
    at += terms
  }
  slice.made[row] = slice.colour
}

/**
 * What the band gives at a rest-frame phase, into `out`: M0, M1, then their derivatives by phase, by c
 * and by z at that phase. All 0 outside the model's phases.
 */
export function pointAt(slice: Slice, phase: number, out: Float64Array): void {
  const { phases } = slice.table
  const at = (phase - phases.first) / phases.step
  const last = phases.count - 1
  if (!(at >= 0 && at <= last)) {
    out.fill(0)
    return
  }
  const cell = Math.min(Math.floor(at), last - 1)
  const t = at - cell
  let from = cell
  let taps = 2
  if (cell >= 1 && cell <= last - 2) {
    from = cell - 1
    taps = 4
    cubicWeights(t, weights)
    cubicSlopes(t, slopes)
  } else {
    weights[0] = 1 - t
    weights[1] = t
    slopes[0] = -1
    slopes[1] = 1
  }
  let v0 = 0
  let v1 = 0
  let p0 = 0
  let p1 = 0
  let c0 = 0
  let c1 = 0
  let z0 = 0
  let z1 = 0
  const { rows, made, colour } = slice
  for (let q = 0; q < taps; q++) {
    const row = from + q
    if (made[row] !== colour) makeRow(slice, row)
    const w = weights[q] ?? 0
    const s = slopes[q] ?? 0
    const here = row * 6
    const m0 = rows[here] ?? 0
    const m1 = rows[here + 1] ?? 0
    v0 += w * m0
    v1 += w * m1
    p0 += s * m0
    p1 += s * m1
    c0 += w * (rows[here + 2] ?? 0)
    c1 += w * (rows[here + 3] ?? 0)
    z0 += w * (rows[here + 4] ?? 0)
    z1 += w * (rows[here + 5] ?? 0)
  }
  out[0] = v0
  out[1] = v1
  out[2] = p0 / phases.step
  out[3] = p1 / phases.step
  out[4] = c0
  out[5] = c1
  out[6] = z0
  out[7] = z1
}

/** M0 and M1 alone, for searches that try many dates: a quarter of the work. */
export function shapeAt(slice: Slice, phase: number, out: Float64Array): void {
  const { phases } = slice.table
  const at = (phase - phases.first) / phases.step
  const last = phases.count - 1
  out[0] = 0
  out[1] = 0
  if (!(at >= 0 && at <= last)) return
  const cell = Math.min(Math.floor(at), last - 1)
  const t = at - cell
  const inner = cell >= 1 && cell <= last - 2
  const from = inner ? cell - 1 : cell
  if (inner) cubicWeights(t, weights)
  else {
    weights[0] = 1 - t
    weights[1] = t
  }
  const { rows, made, colour } = slice
  let v0 = 0
  let v1 = 0
  for (let q = 0; q < (inner ? 4 : 2); q++) {
    const row = from + q
    if (made[row] !== colour) makeRow(slice, row)
    const w = weights[q] ?? 0
    v0 += w * (rows[row * 6] ?? 0)
    v1 += w * (rows[row * 6 + 1] ?? 0)
  }
  out[0] = v0
  out[1] = v1
}

const noise = new Float64Array(errorColumns)

/**
 * The model's own relative variance at a phase, without the colour dispersion: what of the flux it does
 * not know. Colour and dust do not enter.
 */
export function relativeVariance(slice: Slice, phase: number, x1: number): number {
  const { table, errors } = slice
  const flux0 = plainFlux(slice, phase, 0)
  const flux = flux0 + x1 * plainFlux(slice, phase, 1)
  if (!(flux > 0)) return unknowable
  const { errorPhases } = table
  const at = (phase - errorPhases.first) / errorPhases.step
  const last = errorPhases.count - 1
  noise.fill(0)
  if (at >= 0 && at <= last) {
    const cell = Math.min(Math.floor(at), last - 1)
    const inner = cell >= 1 && cell <= last - 2
    if (inner) cubicWeights(at - cell, weights)
    else {
      weights[0] = 1 - (at - cell)
      weights[1] = at - cell
    }
    const from = inner ? cell - 1 : cell
    for (let q = 0; q < (inner ? 4 : 2); q++) {
      for (let k = 0; k < errorColumns; k++) {
        noise[k] =
          (noise[k] ?? 0) + (weights[q] ?? 0) * (errors[(from + q) * errorColumns + k] ?? 0)
      }
    }
  }
  let variance = (noise[0] ?? 0) + 2 * x1 * (noise[2] ?? 0) + x1 * x1 * (noise[1] ?? 0)
  if (variance < 0) variance = slice.least
  const scale = table.family === 'salt2' ? flux0 * (noise[3] ?? 0) : 1
  return (variance * scale * scale) / (flux * flux)
}

/** Flux of a component without colour and dust. */
function plainFlux(slice: Slice, phase: number, component: number): number {
  const { phases, terms } = slice.table
  const at = (phase - phases.first) / phases.step
  const last = phases.count - 1
  if (!(at >= 0 && at <= last)) return 0
  const cell = Math.min(Math.floor(at), last - 1)
  const inner = cell >= 1 && cell <= last - 2
  if (inner) cubicWeights(at - cell, weights)
  else {
    weights[0] = 1 - (at - cell)
    weights[1] = at - cell
  }
  let sum = 0
  for (let q = 0; q < (inner ? 4 : 2); q++) {
    const from = (((inner ? cell - 1 : cell) + q) * 2 + component) * terms
    for (let j = 0; j < terms; j++) sum += (weights[q] ?? 0) * (slice.flux[from + j] ?? 0)
  }
  return sum
}
