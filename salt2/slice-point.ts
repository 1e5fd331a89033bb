import { kappa } from './band-table.ts'
import { cubicSlopes, cubicWeights } from './grid.ts'
import { moveRow, type Slice } from './slice.ts'

/** What a band gives at a time, for x0 = 1: M0, M1 and their derivatives by phase, c and z. */
export const pointValues = 8

const weights = new Float64Array(4)
const slopes = new Float64Array(4)

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
