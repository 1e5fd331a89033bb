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
 * A band's table at one redshift, and its rows at one colour: all that a light curve is made of. A slice is
 * moved from redshift to redshift and from colour to colour in place; rows are made when they are first
 * asked for, and nothing is allocated on the way.
 */
export interface Slice {
  readonly table: BandTable
  /** With derivatives by z? */
  readonly free: boolean
  mwebv: number
  dustWeights: readonly number[]
  /** The redshift it stands at: the first of four of the table's, their weights and slopes. */
  z: number
  from: number
  readonly weights: Float64Array
  readonly slopes: Float64Array
  /** By phase, component, node, and the derivative by z; of those rows that carry the present mark. */
  readonly flux: Float64Array
  readonly fluxByZ: Float64Array
  readonly moved: Uint32Array
  place: number
  /** Colour law and extinction at the nodes, and their derivatives by z. */
  readonly law: Float64Array
  readonly lawByZ: Float64Array
  readonly extinction: Float64Array
  readonly extinctionByZ: Float64Array
  /** Factors of the nodes at the present colour: of the flux, of its derivatives by c and by z. */
  readonly factor: Float64Array
  readonly factorByC: Float64Array
  readonly factorByZ: Float64Array
  /** Six values a phase: M0, M1, then their derivatives by c and by z; of rows with the present mark. */
  readonly rows: Float64Array
  readonly made: Uint32Array
  colour: number
  /** M0 and M1 for several colours at once, for searches: factors, and rows with their marks. */
  readonly paletteFactor: Float64Array
  readonly palette: Float64Array
  readonly painted: Uint32Array
  paint: number
  /** The error model, at the redshift of `errorsAt`. */
  readonly errors: Float64Array
  errorsAt: number
  dispersion: number
  least: number
}

/** What a band gives at a time, for x0 = 1: M0, M1 and their derivatives by phase, c and z. */
export const pointValues = 8

/** So many colours has a palette. */
export const paletteColours = 4

export interface Dust {
  readonly law: DustLaw
  readonly rv: number
  readonly mwebv: number
}

const taken = new WeakMap<BandTable, { fixed?: Slice; free?: Slice }>()

/**
 * The slice of a table, standing nowhere yet: `moveTo` comes first, then `recolour`. There is one slice of
 * a table (and one with derivatives by z), which each fit takes over from the one before.
 */
export function takeSlice(table: BandTable, dust: Dust, free: boolean): Slice {
  const known = taken.get(table) ?? {}
  taken.set(table, known)
  const slice = (free ? known.free : known.fixed) ?? newSlice(table, free)
  if (free) known.free = slice
  else known.fixed = slice
  slice.z = NaN
  slice.mwebv = dust.mwebv
  slice.dustWeights = dustColumns.map((column) =>
    column === 'f99'
      ? Number(dust.law === 'f99')
      : column === `${dust.law} a`
        ? dust.rv
        : Number(column === `${dust.law} b`),
  )
  return slice
}

function newSlice(table: BandTable, free: boolean): Slice {
  const { terms, phases, errorPhases } = table
  const size = phases.count * 2 * terms
  const nodes = (): Float64Array => new Float64Array(terms)
  return {
    table,
    free,
    mwebv: 0,
    dustWeights: [],
    z: NaN,
    from: 0,
    weights: new Float64Array(4),
    slopes: new Float64Array(4),
    flux: new Float64Array(size),
    fluxByZ: new Float64Array(free ? size : 0),
    moved: new Uint32Array(phases.count),
    place: 1,
    law: nodes(),
    lawByZ: nodes(),
    extinction: nodes(),
    extinctionByZ: nodes(),
    factor: nodes(),
    factorByC: nodes(),
    factorByZ: nodes(),
    rows: new Float64Array(phases.count * 6),
    made: new Uint32Array(phases.count),
    colour: 1,
    paletteFactor: new Float64Array(terms * paletteColours),
    palette: new Float64Array(phases.count * 2 * paletteColours),
    painted: new Uint32Array(phases.count),
    paint: 1,
    errors: new Float64Array(errorPhases.count * errorColumns),
    errorsAt: NaN,
    dispersion: 0,
    least: 0,
  }
}

const weights = new Float64Array(4)
const slopes = new Float64Array(4)

/** Bring a slice to a redshift within its table. */
export function moveTo(slice: Slice, z: number): void {
  if (slice.z === z) return
  const { redshifts, terms, interval, dust } = slice.table
  const at = (z - redshifts.first) / redshifts.step
  const from = Math.min(Math.max(Math.floor(at) - 1, 0), redshifts.count - 4)
  lagrange(slice, at - from, redshifts.step)
  slice.z = z
  slice.from = from
  slice.place += 1
  slice.colour += 1
  slice.paint += 1

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
  }
  slice.extinction.fill(0)
  slice.extinctionByZ.fill(0)
  if (slice.mwebv === 0) return
  for (let column = 0; column < dust.length; column++) {
    const part = slice.mwebv * (slice.dustWeights[column] ?? 0)
    const values = dust[column]
    if (part === 0 || values === undefined) continue
    for (let j = 0; j < terms; j++) {
      let value = 0
      let slope = 0
      for (let q = 0; q < 4; q++) {
        const here = values[(from + q) * terms + j] ?? 0
        value += (slice.weights[q] ?? 0) * here
        slope += (slice.slopes[q] ?? 0) * here
      }
      slice.extinction[j] = (slice.extinction[j] ?? 0) + part * value
      slice.extinctionByZ[j] = (slice.extinctionByZ[j] ?? 0) + part * slope
    }
  }
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
function lagrange({ weights, slopes }: Slice, at: number, step: number): void {
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

/** Bring a row to the slice's redshift. */
function moveRow(slice: Slice, row: number): void {
  const { flux, fluxByZ, weights, slopes } = slice
  const all = slice.table.flux
  const width = 2 * slice.table.terms
  const first = row * width
  const a0 = slice.from * flux.length
  const a1 = a0 + flux.length
  const a2 = a1 + flux.length
  const a3 = a2 + flux.length
  const w0 = weights[0] ?? 0
  const w1 = weights[1] ?? 0
  const w2 = weights[2] ?? 0
  const w3 = weights[3] ?? 0
  if (slice.free) {
    const s0 = slopes[0] ?? 0
    const s1 = slopes[1] ?? 0
    const s2 = slopes[2] ?? 0
    const s3 = slopes[3] ?? 0
    for (let i = first; i < first + width; i++) {
      const f0 = all[a0 + i] ?? 0
      const f1 = all[a1 + i] ?? 0
      const f2 = all[a2 + i] ?? 0
      const f3 = all[a3 + i] ?? 0
      flux[i] = w0 * f0 + w1 * f1 + w2 * f2 + w3 * f3
      fluxByZ[i] = s0 * f0 + s1 * f1 + s2 * f2 + s3 * f3
    }
  } else {
    for (let i = first; i < first + width; i++) {
      flux[i] =
        w0 * (all[a0 + i] ?? 0) +
        w1 * (all[a1 + i] ?? 0) +
        w2 * (all[a2 + i] ?? 0) +
        w3 * (all[a3 + i] ?? 0)
    }
  }
  slice.moved[row] = slice.place
}

/** Bring a slice to a colour. */
export function recolour(slice: Slice, c: number): void {
  const { law, lawByZ, extinction, extinctionByZ, factor, factorByC, factorByZ } = slice
  for (let j = 0; j < slice.table.terms; j++) {
    const value = Math.exp(-kappa * (c * (law[j] ?? 0) + (extinction[j] ?? 0)))
    factor[j] = value
    factorByC[j] = -kappa * (law[j] ?? 0) * value
    factorByZ[j] = -kappa * (c * (lawByZ[j] ?? 0) + (extinctionByZ[j] ?? 0)) * value
  }
  // What was made for the former colour is stale at once.
  slice.colour += 1
}

/** Bring a slice's palette to some colours. */
export function repaint(slice: Slice, colours: readonly number[]): void {
  const { law, extinction, paletteFactor } = slice
  for (let j = 0; j < slice.table.terms; j++) {
    for (let k = 0; k < paletteColours; k++) {
      const exponent = (colours[k] ?? 0) * (law[j] ?? 0) + (extinction[j] ?? 0)
      paletteFactor[j * paletteColours + k] = Math.exp(-kappa * exponent)
    }
  }
  slice.paint += 1
}

function paintRow(slice: Slice, row: number): void {
  if (slice.moved[row] !== slice.place) moveRow(slice, row)
  const { flux, palette, paletteFactor } = slice
  const { terms } = slice.table
  for (let component = 0; component < 2; component++) {
    const at = (row * 2 + component) * terms
    let v0 = 0
    let v1 = 0
    let v2 = 0
    let v3 = 0
    for (let j = 0; j < terms; j++) {
      const f = flux[at + j] ?? 0
      const here = j * paletteColours
      v0 += f * (paletteFactor[here] ?? 0)
      v1 += f * (paletteFactor[here + 1] ?? 0)
      v2 += f * (paletteFactor[here + 2] ?? 0)
      v3 += f * (paletteFactor[here + 3] ?? 0)
    }
    const to = (row * 2 + component) * paletteColours
    palette[to] = v0
    palette[to + 1] = v1
    palette[to + 2] = v2
    palette[to + 3] = v3
  }
  slice.painted[row] = slice.paint
}

/**
 * M0, then M1, at a phase, for each colour of the palette, into `out`. Straight between phases, which is
 * enough to find where to begin.
 */
export function paletteAt(slice: Slice, phase: number, out: Float64Array): void {
  const { phases } = slice.table
  const at = (phase - phases.first) / phases.step
  const last = phases.count - 1
  if (!(at >= 0 && at <= last)) {
    out.fill(0)
    return
  }
  const row = Math.min(Math.floor(at), last - 1)
  const t = at - row
  if (slice.painted[row] !== slice.paint) paintRow(slice, row)
  if (slice.painted[row + 1] !== slice.paint) paintRow(slice, row + 1)
  const width = 2 * paletteColours
  const from = row * width
  const { palette } = slice
  for (let k = 0; k < width; k++) {
    out[k] = (1 - t) * (palette[from + k] ?? 0) + t * (palette[from + width + k] ?? 0)
  }
}

function makeRow(slice: Slice, row: number): void {
  if (slice.moved[row] !== slice.place) moveRow(slice, row)
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

/** The colour dispersion at the slice's redshift: a deviation, as a fraction of flux. */
export function dispersionOf(slice: Slice): number {
  moveErrors(slice)
  return slice.dispersion
}

function moveErrors(slice: Slice): void {
  if (slice.errorsAt === slice.z) return
  const { table, errors, from, weights } = slice
  const lines = errors.length
  errors.fill(0)
  slice.dispersion = 0
  slice.least = 0
  for (let q = 0; q < 4; q++) {
    const weight = weights[q] ?? 0
    slice.dispersion += weight * (table.dispersion[from + q] ?? 0)
    slice.least += weight * (table.least[from + q] ?? 0)
    for (let i = 0; i < lines; i++) {
      errors[i] = (errors[i] ?? 0) + weight * (table.errors[(from + q) * lines + i] ?? 0)
    }
  }
  slice.errorsAt = slice.z
}

const noise = new Float64Array(errorColumns)

/**
 * The model's own relative variance at a phase, without the colour dispersion: what of the flux it does
 * not know. Colour and dust do not enter.
 */
export function relativeVariance(slice: Slice, phase: number, x1: number): number {
  const { table, errors } = slice
  moveErrors(slice)
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
    const row = (inner ? cell - 1 : cell) + q
    if (slice.moved[row] !== slice.place) moveRow(slice, row)
    const from = (row * 2 + component) * terms
    for (let j = 0; j < terms; j++) sum += (weights[q] ?? 0) * (slice.flux[from + j] ?? 0)
  }
  return sum
}
