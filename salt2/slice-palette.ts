import { kappa } from './band-table.ts'
import { moveRow, paletteColours, type Slice } from './slice.ts'

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
