import type { Model } from './model.ts'
import type { FitOptions } from './options.ts'
import type { Photometry } from './photometry.ts'

/** The model's parameters, in the order in which matrices and rows have them. */
export const parameterNames = ['z', 't0', 'x0', 'x1', 'c'] as const
export type ParameterName = (typeof parameterNames)[number]

/**
 * z; t0, date of maximum in rest-frame B, days on the scale of the photometry; x0, amplitude; x1, stretch;
 * c, colour (mag).
 */
export type Parameters = Readonly<Record<ParameterName, number>>

/**
 * How a fit ended. `ok`: at a minimum within bounds. `at_bound`: at a minimum that lies on a bound; there
 * are parameters, and their errors are too small. `no_convergence`: the parameters are the best seen.
 * `undetermined`: the data leave a parameter open, as one band alone leaves the colour. The others have
 * no parameters.
 */
export type FitReason =
  | 'ok'
  | 'at_bound'
  | 'no_convergence'
  | 'undetermined'
  | 'too_few_points'
  | 'no_signal'
  | 'redshift_out_of_range'
  | 'input_invalid'

export interface FitResult {
  /** True for `ok` only. */
  readonly success: boolean
  readonly reason: FitReason
  /** A sentence for people, with the values that decided. */
  readonly message: string
  /** Points that took no part from the start, by why. */
  readonly rejected: {
    /** NaN or infinite in any column, or an error that is not above 0. */
    readonly notANumber: number
    /** A band that the model does not have, or does not cover at this redshift. */
    readonly unknownBand: number
  }
  readonly fit: Fit | null
}

export interface Fit {
  readonly parameters: Parameters
  /** One standard deviation each; of a fixed parameter 0. */
  readonly errors: Parameters
  /** Those that were free, in the order of `covariance`. */
  readonly free: readonly ParameterName[]
  /** Of the free parameters, row by row. */
  readonly covariance: readonly (readonly number[])[]
  /** Of the data alone. */
  readonly chisq: number
  /** Of the priors: the sum of the squares of `pulls`; 0 without priors. */
  readonly priorChisq: number
  /** How far, in its deviations, each prior was stretched; null without priors. */
  readonly pulls: { readonly x1: number; readonly c: number; readonly magnitude: number } | null
  /** Points that took part, less free parameters. */
  readonly dof: number
  readonly nData: number
  readonly nDataByBand: Readonly<Record<string, number>>
  /** For each point of the input: 1 if it took part. */
  readonly used: Uint8Array
  /** Rest-frame days of the first and last point that took part, from t0. */
  readonly phaseSpan: readonly [number, number]
  /** Parameters that lie on a bound. */
  readonly atBound: readonly ParameterName[]
  readonly peak: Peak
  /** Milky Way dust that was applied: E(B−V) in mag. */
  readonly mwebv: number
  /** Best fits sought in turn (phase cut, model covariance), and evaluations of the light curve. */
  readonly rounds: number
  readonly evaluations: number
  /** What the light curve is made of besides the parameters. */
  readonly options: FitOptions
}

/** The maximum as one observes it, Milky Way dust included. Errors come from the fit's covariance. */
export interface Peak {
  /** Date of maximum in rest-frame B: t0, days, and its error. */
  readonly time: number
  readonly timeError: number
  /** −2.5 log10 x0 + 10.635: rest-frame B without Milky Way dust, in the convention of JLA and Pantheon. */
  readonly mB: number
  readonly mBError: number
  /** Date and AB magnitude of a band's own maximum: for ZTF's bands, and others that have points. */
  readonly bands: Readonly<Record<string, BandPeak>>
}

export interface BandPeak {
  readonly time: number
  readonly mag: number
  readonly magError: number
}

/** The model's light curve in a band, for a plot: all of the length of the times asked for. */
export interface ModelCurve {
  /** Flux in units of the zero point asked for; 0 outside the model's phases. */
  readonly flux: Float64Array
  /** One deviation: of the parameters, by their covariance; and of the model itself. */
  readonly parameterError: Float64Array
  readonly modelError: Float64Array
}

/** `fitSalt2` of `fit.ts`: never throws; whatever is wrong with the input is the reason of the result. */
export type FitSalt2 = (photometry: Photometry, model: Model, options: FitOptions) => FitResult

/** `modelCurve` of `curve.ts`: a fit at times (days, the photometry's scale), at an AB zero point. */
export type CurveOf = (
  model: Model,
  fit: Fit,
  band: string,
  time: ArrayLike<number>,
  zeroPoint: number,
) => ModelCurve
