import { tableZeroPoint } from './band-table.ts'
import type { Model } from './model.ts'
import { parameterNames, type Fit, type ModelCurve } from './result.ts'
import { settle } from './settings.ts'
import { dispersionOf, relativeVariance } from './slice-error.ts'
import { pointAt, pointValues, recolour } from './slice-point.ts'
import { moveTo, takeSlice } from './slice.ts'

const point = new Float64Array(pointValues)

/**
 * A fit's light curve in a band, at times in days on the photometry's scale and at an AB zero point. All NaN
 * where the model does not know the band at this redshift.
 */
export function modelCurve(
  model: Model,
  fit: Fit,
  band: string,
  time: ArrayLike<number>,
  zeroPoint: number,
): ModelCurve {
  const flux = new Float64Array(time.length).fill(NaN)
  const parameterError = flux.slice()
  const modelError = flux.slice()
  const curve = { flux, parameterError, modelError }
  const settings = settle(fit.options, model.redshiftRange)
  if ('reason' in settings) return curve
  const table = model.table(band, settings.redshift.min, settings.redshift.max)
  if (table === undefined) return curve

  const { z, t0, x0, x1, c } = fit.parameters
  const slice = takeSlice(table, settings.dust, settings.free)
  moveTo(slice, z)
  recolour(slice, c)
  const a = 1 / (1 + z)
  const scale = 10 ** (0.4 * (zeroPoint - tableZeroPoint))
  const free = fit.free.map((name) => parameterNames.indexOf(name))
  for (let i = 0; i < time.length; i++) {
    const phase = ((time[i] ?? NaN) - t0) * a
    pointAt(slice, phase, point)
    const of = (at: number): number => (point[at] ?? 0) + x1 * (point[at + 1] ?? 0)
    const slope = x0 * of(2)
    const slopes = [
      x0 * of(6) - slope * phase * a,
      -slope * a,
      of(0),
      x0 * (point[1] ?? 0),
      x0 * of(4),
    ]
    let variance = 0
    for (const [j, p] of free.entries()) {
      for (const [k, q] of free.entries()) {
        variance += (slopes[p] ?? 0) * (slopes[q] ?? 0) * (fit.covariance[j]?.[k] ?? NaN)
      }
    }
    const value = x0 * of(0)
    flux[i] = value * scale
    parameterError[i] = Math.sqrt(Math.max(0, variance)) * scale
    const relative = value === 0 ? 0 : relativeVariance(slice, phase, x1) + dispersionOf(slice) ** 2
    modelError[i] = Math.abs(value) * Math.sqrt(relative) * scale
  }
  return curve
}
