/** A record as a picture: which numbers are told and how they are rounded. */
import type { StampName } from '../../../core/cutout.ts'
import {
  bandpassOf,
  fitOf,
  nanojanskyZeroPoint,
  type Analysis,
  type Fitter,
  type PlainFit,
} from '../analysis.ts'
import { bands, mjdOf } from '../measurement.ts'
import type { FitRecord } from '../record.ts'
import { measured, plainNumber } from './numbers.ts'
import { sexagesimal } from './position.ts'
import type { Picture, PictureCurve } from './picture.ts'

const nanoPerMicro = 1000
/** Points of a curve: half a day at most apart. */
const samples = 141

/** The picture of a record; its curves are the model's, asked again. */
export function pictureOf(
  record: Pick<FitRecord, 'objectId' | 'ra' | 'dec' | 'analysis'>,
  { model, curve }: Pick<Fitter, 'model' | 'curve'>,
  stamps: Readonly<Partial<Record<StampName, Uint8Array>>>,
): Picture {
  const { objectId, ra, dec, analysis } = record
  const { fit, points } = analysis
  const times = points.map(({ jd }) => mjdOf(jd))
  const first = Math.min(...times)
  const last = Math.max(...times)
  return {
    objectId,
    captions: [ra === null || dec === null ? '' : sexagesimal(ra, dec), captionOf(analysis, last)],
    points: points.map(({ band, kind, jd, flux, fluxErr, used, pull }) => ({
      ...{ band, kind, used, mjd: mjdOf(jd) },
      ...{ flux: flux / nanoPerMicro, fluxErr: fluxErr / nanoPerMicro },
      ...(pull !== undefined && { pull }),
    })),
    curves: fit === null ? [] : curvesOf(analysis, fit, { model, curve }),
    ...(fit !== null && { maximum: { mjd: fit.peak.time, error: fit.peak.timeError } }),
    days: fit === null ? plainDays(first, last) : daysOf(fit, first, last),
    parameters: fit === null ? [] : parametersOf(analysis, fit),
    ...(!analysis.success && { notice: noticeOf(analysis) }),
    stamps,
  }
}

function captionOf({ fit, forecast, model }: Analysis, last: number): string {
  if (forecast === null) {
    const how = fit?.options.redshift.kind === 'fixed' ? ', z known' : ', z free with priors'
    return fit === null ? '' : `${model}${how}`
  }
  const { time, timeError } = forecast.peak
  return `maximum in ${(time - last).toFixed(1)} ± ${timeError.toFixed(1)} days`
}

const noticeOf = ({ reason, message }: Analysis): string =>
  reason === 'failed_cuts' ? `not fitted: ${message}` : message

/** A month and a half about a maximum and what was seen near it; never years. */
function daysOf({ parameters: { z, t0 } }: PlainFit, first: number, last: number) {
  const stretch = 1 + z
  const from = Math.max(first - t0 - 4, -26 * stretch)
  const to = Math.min(last - t0 + 4, 70 * stretch)
  return { from: Math.min(from, -16 * stretch), to: Math.max(to, 18 * stretch) }
}

const plainDays = (first: number, last: number) => ({ from: first - 2, to: last + 2 })

function curvesOf(
  { points }: Analysis,
  fit: PlainFit,
  { model, curve }: Pick<Fitter, 'model' | 'curve'>,
): PictureCurve[] {
  const { z, t0 } = fit.parameters
  const mjd = Array.from({ length: samples }, (_, i) => t0 + (1 + z) * (-20 + i / 2))
  return bands
    .filter((band) => points.some((point) => point.band === band && point.used))
    .map((band) => {
      const found = curve(model, fitOf(fit), bandpassOf(band), mjd, nanojanskyZeroPoint)
      const { flux, parameterError, modelError } = found
      return {
        band,
        mjd,
        flux: flux.map((value) => value / nanoPerMicro),
        // Before the explosion the model says that it knows nothing: that is no news.
        fluxErr: flux.map((value, i) => {
          const own = Math.min(modelError[i] ?? 0, Math.abs(value))
          return Math.hypot(parameterError[i] ?? 0, own) / nanoPerMicro
        }),
      }
    })
}

function parametersOf({ surroundings }: Analysis, fit: PlainFit): Picture['parameters'] {
  const { parameters, errors, peak, options, chisq, dof, nDataByBand } = fit
  const known = options.redshift.kind === 'fixed'
  const counts = bands.flatMap((band) => {
    const count = nDataByBand[bandpassOf(band)] ?? 0
    return count === 0 ? [] : [`${count} ${band}`]
  })
  const peaks = bands.flatMap((band) => {
    const own = peak.bands[bandpassOf(band)]
    if (own === undefined || (nDataByBand[bandpassOf(band)] ?? 0) === 0) return []
    return [{ name: `${band} at max`, ...measured(own.mag, own.magError) }]
  })
  return [
    known
      ? { name: 'z, known', value: plainNumber(parameters.z, 4) }
      : { name: 'z', ...measured(parameters.z, errors.z) },
    { name: 'maximum', ...measured(peak.time, peak.timeError) },
    { name: 'mB', ...measured(peak.mB, peak.mBError) },
    { name: 'x1', ...measured(parameters.x1, errors.x1) },
    { name: 'c', ...measured(parameters.c, errors.c) },
    ...peaks,
    { name: 'χ²/dof', value: `${plainNumber(chisq, 1)} / ${dof}` },
    { name: 'points', value: counts.join(', ') },
    { name: 'E(B−V)', value: plainNumber(surroundings.mwebv, 3) },
  ]
}
