import { chebyshevNodes, dustColumns, errorColumns, lastOf, type BandTable } from './band-table.ts'
import type { DustLaw } from './options.ts'

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
export function moveRow(slice: Slice, row: number): void {
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
