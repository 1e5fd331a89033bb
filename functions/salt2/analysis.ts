/** A light curve judged, fitted, and asked when and how bright its maximum will be. No world in it. */
import type { CurveOf, Fit, FitResult, FitSalt2, ModelCurve } from '../../salt2/result.ts'
import type { Model } from '../../salt2/model.ts'
import type { Photometry } from '../../salt2/photometry.ts'
import { defaultPriors, type Redshift } from '../../salt2/options.ts'
import { failedCut } from './cuts.ts'
import { mjdOf, onePerExposure, type Measurement, type ZtfBand } from './measurement.ts'
import type { FitSettings } from './settings.ts'

/** The arithmetic of `salt2/` with a model to do it with. */
export interface Fitter {
  model: Model
  fit: FitSalt2
  curve: CurveOf
}

/** What is known of an object besides its light curve. */
export interface Surroundings {
  /** Redshift, of its host for one. */
  z?: number
  /** E(B−V) of the Milky Way, mag, and who says so. */
  mwebv: number
  mwebvSource: string
}

/** A measurement, and what the fit made of it. */
export interface AnalysedPoint extends Measurement {
  used: boolean
  /** (data − model) / error, the model's own with it, for those that were used. */
  pull?: number
}

export type Reason = FitResult['reason'] | 'failed_cuts'

export interface Analysis {
  success: boolean
  reason: Reason
  /** A sentence for people. */
  message: string
  points: AnalysedPoint[]
  /** The best fit, if there is one: with the known redshift, else held by the priors. */
  fit: PlainFit | null
  /** The fit held by the priors, where the newest point lies before the maximum. */
  forecast: PlainFit | null
  surroundings: Surroundings
  settings: string
  /** Null where it came to no fit. */
  model: string | null
}

/** A fit as JSON keeps it. */
export interface PlainFit extends Omit<Fit, 'used'> {
  used: readonly number[]
}

/** AB magnitude of 1 nJy, the unit of measurements. */
export const nanojanskyZeroPoint = 31.4

/** The model's name of a band. */
export const bandpassOf = (band: ZtfBand): string => `ztf${band}`

/**
 * Analyse all that is known of an object. Never throws for what a light curve may be; the fitter is
 * opened only where there is something to fit.
 */
export async function analyse(
  measurements: readonly Measurement[],
  surroundings: Surroundings,
  openFitter: () => Promise<Fitter>,
  settings: FitSettings,
): Promise<Analysis> {
  const { name, windowDays } = settings
  const newest = Math.max(...measurements.map(({ jd }) => jd))
  const points = onePerExposure(measurements).filter(({ jd }) => jd >= newest - windowDays)
  const base = { surroundings, settings: name }
  const failed = failedCut(points, settings.cuts)
  if (failed !== undefined) {
    const untouched = points.map((point) => ({ ...point, used: false }))
    const verdict = { success: false, reason: 'failed_cuts', message: failed } as const
    return { ...base, ...verdict, model: null, points: untouched, fit: null, forecast: null }
  }

  const { model, fit: fitSalt2, curve } = await openFitter()
  const photometry = photometryOf(points)
  const solve = (redshift: Redshift): FitResult =>
    fitSalt2(photometry, model, {
      redshift,
      mwebv: surroundings.mwebv,
      modelCovariance: settings.modelCovariance,
      phaseRange: settings.phaseRange,
      errorFloor: settings.errorFloor,
      minPoints: settings.cuts.minDetections,
      minSignal: settings.cuts.minSignal,
    })
  const [min, max] = within(settings.redshifts, model.redshiftRange)
  const held: Redshift = { kind: 'priors', min, max, priors: defaultPriors }
  const { z } = surroundings
  const { success, reason, message, fit } = solve(z === undefined ? held : { kind: 'fixed', z })
  if (fit === null) {
    const untouched = points.map((point) => ({ ...point, used: false }))
    const verdict = { success, reason, message, model: model.name }
    return { ...base, ...verdict, points: untouched, fit: null, forecast: null }
  }
  const rising = fit.phaseSpan[1] < 0
  const forecast = !rising ? null : z === undefined ? fit : solve(held).fit
  const pulls = pullsOf(points, fit, settings, (band, times) =>
    curve(model, fit, bandpassOf(band), times, nanojanskyZeroPoint),
  )
  return {
    ...base,
    ...{ success, reason, message, model: model.name },
    points: points.map((point, i) => {
      const pull = pulls[i]
      return { ...point, used: fit.used[i] === 1, ...(pull !== undefined && { pull }) }
    }),
    fit: plainFit(fit),
    forecast: forecast && plainFit(forecast),
  }
}

/** A fit as the arithmetic gave it. */
export function fitOf({ used, ...rest }: PlainFit): Fit {
  return { ...rest, used: Uint8Array.from(used) }
}

const plainFit = ({ used, ...rest }: Fit): PlainFit => ({ ...rest, used: [...used] })

function photometryOf(points: readonly Measurement[]): Photometry {
  return {
    time: points.map(({ jd }) => mjdOf(jd)),
    band: points.map(({ band }) => bandpassOf(band)),
    flux: points.map(({ flux }) => flux),
    fluxError: points.map(({ fluxErr }) => fluxErr),
    zeroPoint: nanojanskyZeroPoint,
  }
}

function pullsOf(
  points: readonly Measurement[],
  fit: Fit,
  { errorFloor, modelCovariance }: FitSettings,
  curveOf: (band: ZtfBand, times: number[]) => ModelCurve,
): (number | undefined)[] {
  return points.map(({ band, jd, flux, fluxErr }, i) => {
    if (fit.used[i] !== 1) return undefined
    const expected = curveOf(band, [mjdOf(jd)])
    const own = modelCovariance ? (expected.modelError[0] ?? 0) : 0
    return (flux - (expected.flux[0] ?? NaN)) / Math.hypot(fluxErr, errorFloor * flux, own)
  })
}

const within = (
  [low, high]: readonly [number, number],
  [least, most]: readonly [number, number],
): [number, number] => [Math.max(low, least), Math.min(high, most)]
