import { tableZeroPoint } from './band-table.ts'
import type { Model } from './model.ts'
import type { BandPeak, Parameters } from './result.ts'
import type { Settings } from './settings.ts'
import { pointAt, pointValues, recolour, shapeAt } from './slice-point.ts'
import { moveTo, takeSlice, type Slice } from './slice.ts'

const shape = new Float64Array(2)
const point = new Float64Array(pointValues)

/** Bands whose maximum is told whether there are points in them or not. */
const forecastBands = ['ztfg', 'ztfr', 'ztfi']

/** Date and magnitude of the maximum in ZTF's bands and in others that have points. */
export function bandPeaks(
  model: Model,
  observed: readonly string[],
  settings: Settings,
  parameters: Parameters,
  free: readonly number[],
  covariance: readonly (readonly number[])[],
): Record<string, BandPeak> {
  const peaks: Record<string, BandPeak> = {}
  for (const band of new Set([...forecastBands, ...observed])) {
    const table = model.table(band, settings.redshift.min, settings.redshift.max)
    if (table === undefined) continue
    const slice = takeSlice(table, settings.dust, settings.free)
    moveTo(slice, parameters.z)
    recolour(slice, parameters.c)
    const phase = highestPhase(slice, parameters.x1)
    pointAt(slice, phase, point)
    const of = (at: number): number => (point[at] ?? 0) + parameters.x1 * (point[at + 1] ?? 0)
    const flux = of(0)
    if (!(flux > 0)) continue
    // At a maximum the date does not matter to first order; nor does what z does to it.
    const slopes = [of(6) / flux, 0, 1 / parameters.x0, (point[1] ?? 0) / flux, of(4) / flux]
    let variance = 0
    for (const [i, p] of free.entries()) {
      for (const [j, q] of free.entries()) {
        variance += (slopes[p] ?? 0) * (slopes[q] ?? 0) * (covariance[i]?.[j] ?? NaN)
      }
    }
    peaks[band] = {
      time: parameters.t0 + phase * (1 + parameters.z),
      mag: tableZeroPoint - 2.5 * Math.log10(parameters.x0 * flux),
      magError: (2.5 / Math.LN10) * Math.sqrt(variance),
    }
  }
  return peaks
}

/** The phase of the highest flux, to a hundredth of a day: by days, tenths, hundredths. */
function highestPhase(slice: Slice, x1: number): number {
  let middle = 2
  let reach = 12
  for (const step of [1, 0.1, 0.01]) {
    let best = middle
    let highest = -Infinity
    for (let phase = middle - reach; phase <= middle + reach; phase += step) {
      shapeAt(slice, phase, shape)
      const flux = (shape[0] ?? 0) + x1 * (shape[1] ?? 0)
      if (flux > highest) {
        highest = flux
        best = phase
      }
    }
    middle = best
    reach = step
  }
  return middle
}
