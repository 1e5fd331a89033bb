import type { Fid } from './exposure.ts'
import { iaBands, iaPhases, iaRedshifts } from './ia-table.ts'

/** What SALT2 calls a supernova: redshift, day of B maximum, size, stretch, colour. */
export interface Salt2Parameters {
  z: number
  t0: number
  x0: number
  x1: number
  c: number
}

/** Flux of a SN Ia (AB, zero point 25) at a Julian date; 0 before -20 and after +49 rest-frame days. */
export function iaFlux({ z, t0, x0, x1, c }: Salt2Parameters, jd: number, fid: Fid): number {
  const column = ((jd - t0) / (1 + z) - iaPhases.first) / iaPhases.step
  if (column < 0 || column > iaPhases.count - 1) return 0
  const { mean, stretch, color } = iaBands[fid]
  const row = z / (iaRedshifts[1] as number)
  const flux = spline2(mean, row, column) + x1 * spline2(stretch, row, column)
  return Math.max(0, (x0 / 0.001) * flux * Math.exp(c * spline(color, row)))
}

function spline2(table: readonly (readonly number[])[], row: number, column: number): number {
  return spline(
    table.map((line) => spline(line, column)),
    row,
  )
}

/** Catmull-Rom through equally spaced values. */
function spline(values: readonly number[], at: number): number {
  const i = Math.min(values.length - 2, Math.max(0, Math.floor(at)))
  const u = at - i
  const b = values[i] as number
  const c = values[i + 1] as number
  const a = values[i - 1] ?? 2 * b - c
  const d = values[i + 2] ?? 2 * c - b
  return b + 0.5 * u * (c - a + u * (2 * a - 5 * b + 4 * c - d + u * (3 * (b - c) + d - a)))
}
