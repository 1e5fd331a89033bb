import {
  addModelCovariance,
  apparentB,
  likelihoodOf,
  parameterCount,
  pullsOf,
  type Likelihood,
} from './likelihood.ts'
import { covarianceAt, minimise, type Domain, type Minimum } from './minimise.ts'
import type { Model } from './model.ts'
import { settle, type Settings } from './settings.ts'
import type { FitOptions } from './options.ts'
import { bandPeaks } from './peak.ts'
import type { Photometry } from './photometry.ts'
import { pointsOf, type Points } from './points.ts'
import {
  parameterNames,
  type Fit,
  type FitReason,
  type FitResult,
  type Parameters,
} from './result.ts'
import { takeSlice } from './slice.ts'
import { guess, searchStarts } from './starts.ts'

/** More points than this no survey has of a supernova: they are refused, so that time is bounded. */
const mostPoints = 20_000
/** Descents from places of a grid, and one from a guess. */
const mostStarts = 4
/** Rounds of the phase cut and of the model covariance; sncosmo ends after as many. */
const mostCuts = 10
const mostRounds = 22
/** Days that a first guess of the date may be off. */
const margin = 3
/** The model covariance has settled when nothing moves by more than this many deviations. */
const settled = 0.1

/**
 * Fit a SALT model to a light curve. Never throws: what is wrong with the input, or with the fit, is the
 * reason of the result. Takes time in proportion to the points, of which there may be 20,000.
 */
export function fitSalt2(photometry: Photometry, model: Model, options: FitOptions): FitResult {
  const nothing = { notANumber: 0, unknownBand: 0 }
  const fail = (reason: FitReason, message: string, rejected = nothing): FitResult => ({
    success: false,
    reason,
    message,
    rejected,
    fit: null,
  })
  const settings = settle(options, model.redshiftRange)
  if ('reason' in settings) return fail(settings.reason, settings.message)
  const columns = [photometry.time, photometry.band, photometry.flux, photometry.fluxError]
  if (typeof photometry.zeroPoint !== 'number') columns.push(photometry.zeroPoint)
  const lengths = columns.map(({ length }) => length)
  if (new Set(lengths).size !== 1) {
    return fail('input_invalid', `Cannot fit: the columns have ${lengths.join(', ')} points`)
  }
  if (photometry.time.length > mostPoints) {
    const count = photometry.time.length
    return fail('input_invalid', `Cannot fit: ${count} points are more than ${mostPoints}`)
  }

  const { min, max } = settings.redshift
  const tableOf = (band: string) => model.table(band, min, max)
  const points = pointsOf(photometry, (band) => tableOf(band) !== undefined, settings.errorFloor)
  const refuse = (reason: FitReason, message: string): FitResult =>
    fail(reason, message, points.rejected)
  if (points.count < settings.minPoints)
    return refuse('too_few_points', tooFew(points.count, settings))
  const signal = highestSignal(points)
  if (!(signal >= settings.minSignal)) {
    return refuse(
      'no_signal',
      `The highest flux is ${signal.toFixed(1)} times its error, less than ${settings.minSignal}`,
    )
  }

  const slices = points.bands.flatMap(({ band }) => {
    const table = tableOf(band)
    return table === undefined ? [] : [takeSlice(table, settings.dust, settings.free)]
  })
  const likelihood = likelihoodOf(points, slices, settings.priors)
  const found = seek(likelihood, settings)
  if (typeof found === 'string') return refuse('too_few_points', found)
  return judge(found, likelihood, settings, options, model, photometry)
}

const tooFew = (count: number, { minPoints }: Settings): string =>
  `${count} usable points are fewer than ${minPoints}`

function highestSignal({ flux, variance }: Points): number {
  let highest = -Infinity
  for (let i = 0; i < flux.length; i++) {
    highest = Math.max(highest, (flux[i] ?? 0) / Math.sqrt(variance[i] ?? 1))
  }
  return highest
}

interface Found {
  readonly minimum: Minimum
  readonly domain: Domain
  readonly rounds: number
}

/** Search the best fit; a sentence where the phase cut leaves too few points. */
function seek(likelihood: Likelihood, settings: Settings): Found | string {
  const { redshift, phaseRange } = settings
  const middle = (redshift.min + redshift.max) / 2
  const guessed = guess(likelihood, middle, settings.minSignal)
  const domain = domainOf(likelihood.points, settings, guessed)
  let rounds = 1
  // A guess is some days off. A point that is late by as much would pull the date towards itself until it
  // is within the phases, and stay: better to begin without it.
  const early = phaseRange === null ? null : ([phaseRange[0], phaseRange[1] - margin] as const)
  if (cut(likelihood, guessed, early) < settings.minPoints) {
    const taking = cut(likelihood, guessed, phaseRange)
    if (taking < settings.minPoints) return afterCut(taking, settings)
  }
  let best = search(likelihood, guessed, domain, settings)

  const seen = new Set(phaseRange === null ? [] : [maskOf(likelihood)])
  const recut = (): boolean | string => {
    const taking = cut(likelihood, best.parameters, phaseRange)
    if (taking < settings.minPoints) return afterCut(taking, settings)
    const mask = maskOf(likelihood)
    return !seen.has(mask) && seen.add(mask).size > 0
  }
  for (let i = 0; phaseRange !== null && i < mostCuts; i++) {
    const changed = recut()
    if (typeof changed === 'string') return changed
    if (!changed) break
    rounds += 1
    const again = minimise(likelihood, best.parameters, domain)
    const moved = Math.abs((again.parameters[1] ?? 0) - (best.parameters[1] ?? 0))
    best = moved > 3 ? search(likelihood, again.parameters, domain, settings) : again
  }

  if (settings.modelCovariance) {
    for (let i = 0; i < mostRounds; i++) {
      const before = best.parameters
      addModelCovariance(likelihood, before)
      best = minimise(likelihood, before, domain)
      rounds += 1
      const changed = phaseRange === null ? false : recut()
      if (typeof changed === 'string') return changed
      if (!changed && hasSettled(before, best, domain)) break
    }
  }
  return { minimum: best, domain, rounds }
}

const afterCut = (count: number, { minPoints, phaseRange }: Settings): string =>
  `${count} points within phases ${phaseRange?.join(' … ') ?? ''} are fewer than ${minPoints}`

/** Descend from the guess and from the best places of a grid; the lowest end counts. */
function search(
  likelihood: Likelihood,
  guessed: Float64Array,
  domain: Domain,
  settings: Settings,
): Minimum {
  const bounds = {
    x1: settings.x1,
    c: settings.c,
    t0: [domain.lower[1] ?? -Infinity, domain.upper[1] ?? Infinity] as const,
  }
  const starts = searchStarts(likelihood, guessed, settings.redshifts, bounds, mostStarts)
  let best = minimise(likelihood, starts[0] ?? guessed, domain)
  for (const start of starts.slice(1)) {
    const other = minimise(likelihood, start, domain, best)
    if (other.at.chisq < best.at.chisq) best = other
  }
  return best
}

function domainOf(points: Points, settings: Settings, guessed: Float64Array): Domain {
  const { redshift, t0, x1, c } = settings
  const last = points.time.reduce((a, b) => Math.max(a, b), 0)
  const stretch = 1 + redshift.max
  const dates =
    t0 === null
      ? [-50 * stretch, last + 20 * stretch]
      : [t0[0] - points.origin, t0[1] - points.origin]
  const faintest = 1e-6 * (guessed[2] ?? 0)
  return {
    lower: Float64Array.of(redshift.min, dates[0] ?? 0, faintest, x1[0], c[0]),
    upper: Float64Array.of(redshift.max, dates[1] ?? 0, Infinity, x1[1], c[1]),
    free: settings.free ? [0, 1, 2, 3, 4] : [1, 2, 3, 4],
  }
}

/** Let those points take part that lie within the phases; answers how many. */
function cut(
  { points, used }: Likelihood,
  parameters: Float64Array,
  range: readonly [number, number] | null,
): number {
  if (range === null) return points.count
  const a = 1 / (1 + (parameters[0] ?? 0))
  let count = 0
  for (let i = 0; i < points.count; i++) {
    const phase = ((points.time[i] ?? 0) - (parameters[1] ?? 0)) * a
    const inside = phase > range[0] && phase < range[1]
    used[i] = inside ? 1 : 0
    if (inside) count += 1
  }
  return count
}

const maskOf = ({ used }: Likelihood): string => used.join('')

function hasSettled(before: Float64Array, { parameters, at }: Minimum, { free }: Domain): boolean {
  const covariance = covarianceAt(at, free)
  if (covariance === undefined) return true
  return free.every((p, k) => {
    const moved = Math.abs((parameters[p] ?? 0) - (before[p] ?? 0))
    return moved <= settled * Math.sqrt(covariance[k]?.[k] ?? 0)
  })
}

/** Put what was found into words and units. */
function judge(
  { minimum, domain, rounds }: Found,
  likelihood: Likelihood,
  settings: Settings,
  options: FitOptions,
  model: Model,
  photometry: Photometry,
): FitResult {
  const { points, used } = likelihood
  const vector = minimum.parameters
  const { free } = domain
  const named = (value: (p: number) => number): Parameters => ({
    z: value(0),
    t0: value(1),
    x0: value(2),
    x1: value(3),
    c: value(4),
  })
  const determined = covarianceAt(minimum.at, free)
  const covariance = determined ?? free.map(() => free.map(() => NaN))
  const errors = new Float64Array(parameterCount)
  for (const [k, p] of free.entries()) errors[p] = Math.sqrt(covariance[k]?.[k] ?? NaN)
  const atBound = free
    .filter((p) => {
      const value = vector[p] ?? NaN
      return value <= (domain.lower[p] ?? NaN) || value >= (domain.upper[p] ?? NaN)
    })
    .flatMap((p) => parameterNames[p] ?? [])

  const nDataByBand: Record<string, number> = {}
  const taken = new Uint8Array(photometry.time.length)
  const a = 1 / (1 + (vector[0] ?? 0))
  let nData = 0
  let first = Infinity
  let last = -Infinity
  for (const { band, from, to } of points.bands) {
    for (let i = from; i < to; i++) {
      if (used[i] === 0) continue
      const phase = ((points.time[i] ?? 0) - (vector[1] ?? 0)) * a
      first = Math.min(first, phase)
      last = Math.max(last, phase)
      nData += 1
      nDataByBand[band] = (nDataByBand[band] ?? 0) + 1
      taken[points.index[i] ?? 0] = 1
    }
  }
  const observed = points.bands.map(({ band }) => band)
  const parameters = named((p) => (vector[p] ?? 0) + (p === 1 ? points.origin : 0))
  const fit: Fit = {
    parameters,
    errors: named((p) => errors[p] ?? 0),
    free: free.flatMap((p) => parameterNames[p] ?? []),
    covariance,
    chisq: minimum.at.chisq - minimum.at.priorChisq,
    priorChisq: minimum.at.priorChisq,
    pulls: settings.priors === null ? null : pullsOf(settings.priors, vector),
    dof: nData - free.length,
    nData,
    nDataByBand,
    used: taken,
    phaseSpan: [first, last],
    atBound,
    peak: {
      time: parameters.t0,
      timeError: errors[1] ?? NaN,
      mB: apparentB(parameters.x0),
      mBError: ((2.5 / Math.LN10) * (errors[2] ?? NaN)) / parameters.x0,
      bands: bandPeaks(model, observed, settings, parameters, free, covariance),
    },
    mwebv: settings.dust.mwebv,
    rounds,
    evaluations: likelihood.evaluations,
    options,
  }
  const answer = (reason: FitReason, message: string): FitResult => ({
    success: reason === 'ok',
    reason,
    message,
    rejected: points.rejected,
    fit,
  })
  if (!minimum.converged) {
    return answer('no_convergence', `No minimum after ${likelihood.evaluations} evaluations`)
  }
  if (determined === undefined) {
    return answer('undetermined', `${nData} points leave one of ${fit.free.join(', ')} open`)
  }
  if (atBound.length > 0) {
    const where = atBound.map((name) => `${name} = ${parameters[name]}`).join(', ')
    return answer('at_bound', `The minimum lies on a bound: ${where}`)
  }
  return answer('ok', `χ² ${fit.chisq.toFixed(1)} for ${fit.dof} degrees of freedom`)
}
