import { errorColumns } from './band-table.ts'
import { cubicWeights } from './grid.ts'
import { moveRow, type Slice } from './slice.ts'
import { unknowable } from './source.ts'

const weights = new Float64Array(4)

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
