import type { Priors } from './options.ts'
import type { Points } from './points.ts'
import { dispersionOf, relativeVariance } from './slice-error.ts'
import { pointAt, pointValues, recolour } from './slice-point.ts'
import { moveTo, type Slice } from './slice.ts'

/**
 * χ² of a light curve and its derivatives. Parameters are a vector z, t0 (days since the points' origin),
 * x0, x1, c. Everything is allocated once a fit.
 */
export interface Likelihood {
  readonly points: Points
  /** One slice a band, in the order of the points' bands. */
  readonly slices: readonly Slice[]
  readonly priors: Priors | null
  /** 1 for the points that take part. */
  readonly used: Uint8Array
  /** Variance of each point: of the measurement and, where it is asked for, of the model. */
  readonly variance: Float64Array
  /** The deviation that points of a band have in common: their colour dispersion times their flux. */
  readonly common: Float64Array
  /** There is such a thing. */
  correlated: boolean
  readonly model: Float64Array
  readonly jacobian: Float64Array
  evaluations: number
}

export const parameterCount = 5

/** χ² (with priors, if there are any) and its quadratic form: −½ gradient, ½ curvature. */
export interface Quadratic {
  chisq: number
  /** The part of it that comes from the priors. */
  priorChisq: number
  readonly gradient: Float64Array
  readonly curvature: Float64Array
}

export const quadratic = (): Quadratic => ({
  chisq: Infinity,
  priorChisq: 0,
  gradient: new Float64Array(parameterCount),
  curvature: new Float64Array(parameterCount * parameterCount),
})

export function likelihoodOf(
  points: Points,
  slices: readonly Slice[],
  priors: Priors | null,
): Likelihood {
  const { count } = points
  return {
    points,
    slices,
    priors,
    used: new Uint8Array(count).fill(1),
    variance: points.variance.slice(),
    common: new Float64Array(count),
    correlated: false,
    model: new Float64Array(count),
    jacobian: new Float64Array(count * parameterCount),
    evaluations: 0,
  }
}

const point = new Float64Array(pointValues)

/** The model's fluxes of the points that take part, and their derivatives. */
function evaluate(likelihood: Likelihood, parameters: Float64Array): void {
  const { points, slices, used, model, jacobian } = likelihood
  const z = parameters[0] ?? 0
  const t0 = parameters[1] ?? 0
  const x0 = parameters[2] ?? 0
  const x1 = parameters[3] ?? 0
  const c = parameters[4] ?? 0
  const a = 1 / (1 + z)
  likelihood.evaluations += 1
  const { time } = points
  for (let b = 0; b < slices.length; b++) {
    const slice = slices[b]
    const band = points.bands[b]
    if (slice === undefined || band === undefined) continue
    moveTo(slice, z)
    recolour(slice, c)
    for (let i = band.from; i < band.to; i++) {
      if (used[i] === 0) continue
      const phase = ((time[i] ?? 0) - t0) * a
      pointAt(slice, phase, point)
      const shape = (point[0] ?? 0) + x1 * (point[1] ?? 0)
      const slope = x0 * ((point[2] ?? 0) + x1 * (point[3] ?? 0))
      const at = i * parameterCount
      model[i] = x0 * shape
      jacobian[at] = x0 * ((point[6] ?? 0) + x1 * (point[7] ?? 0)) - slope * phase * a
      jacobian[at + 1] = -slope * a
      jacobian[at + 2] = shape
      jacobian[at + 3] = x0 * (point[1] ?? 0)
      jacobian[at + 4] = x0 * ((point[4] ?? 0) + x1 * (point[5] ?? 0))
    }
  }
}

const shared = new Float64Array(parameterCount)

/** χ² at some parameters, into `out`. */
export function assess(likelihood: Likelihood, parameters: Float64Array, out: Quadratic): void {
  evaluate(likelihood, parameters)
  const { points, used, variance, model, jacobian } = likelihood
  const { gradient, curvature } = out
  let chisq = 0
  let g0 = 0
  let g1 = 0
  let g2 = 0
  let g3 = 0
  let g4 = 0
  let c00 = 0
  let c10 = 0
  let c11 = 0
  let c20 = 0
  let c21 = 0
  let c22 = 0
  let c30 = 0
  let c31 = 0
  let c32 = 0
  let c33 = 0
  let c40 = 0
  let c41 = 0
  let c42 = 0
  let c43 = 0
  let c44 = 0
  // Written out: this is where fits spend their time.
  for (let i = 0; i < points.count; i++) {
    if (used[i] === 0) continue
    const weight = 1 / (variance[i] ?? 1)
    const residual = (points.flux[i] ?? 0) - (model[i] ?? 0)
    const at = i * parameterCount
    const j0 = jacobian[at] ?? 0
    const j1 = jacobian[at + 1] ?? 0
    const j2 = jacobian[at + 2] ?? 0
    const j3 = jacobian[at + 3] ?? 0
    const j4 = jacobian[at + 4] ?? 0
    const w0 = weight * j0
    const w1 = weight * j1
    const w2 = weight * j2
    const w3 = weight * j3
    const w4 = weight * j4
    chisq += residual * residual * weight
    g0 += w0 * residual
    g1 += w1 * residual
    g2 += w2 * residual
    g3 += w3 * residual
    g4 += w4 * residual
    c00 += w0 * j0
    c10 += w1 * j0
    c11 += w1 * j1
    c20 += w2 * j0
    c21 += w2 * j1
    c22 += w2 * j2
    c30 += w3 * j0
    c31 += w3 * j1
    c32 += w3 * j2
    c33 += w3 * j3
    c40 += w4 * j0
    c41 += w4 * j1
    c42 += w4 * j2
    c43 += w4 * j3
    c44 += w4 * j4
  }
  gradient[0] = g0
  gradient[1] = g1
  gradient[2] = g2
  gradient[3] = g3
  gradient[4] = g4
  curvature[0] = c00
  curvature[5] = c10
  curvature[6] = c11
  curvature[10] = c20
  curvature[11] = c21
  curvature[12] = c22
  curvature[15] = c30
  curvature[16] = c31
  curvature[17] = c32
  curvature[18] = c33
  curvature[20] = c40
  curvature[21] = c41
  curvature[22] = c42
  curvature[23] = c43
  curvature[24] = c44
  if (likelihood.correlated) chisq -= inCommon(likelihood, out)
  out.priorChisq = likelihood.priors === null ? 0 : addPriors(likelihood.priors, parameters, out)
  out.chisq = chisq + out.priorChisq
}

/**
 * What the points of a band have in common is one more direction of its covariance: by Sherman and
 * Morrison's formula it takes something off. Answers how much of χ².
 */
function inCommon(likelihood: Likelihood, { gradient, curvature }: Quadratic): number {
  const { points, used, variance, common, model, jacobian } = likelihood
  let taken = 0
  for (const { from, to } of points.bands) {
    let size = 1
    let along = 0
    shared.fill(0)
    for (let i = from; i < to; i++) {
      if (used[i] === 0) continue
      const u = common[i] ?? 0
      const weighted = u / (variance[i] ?? 1)
      size += u * weighted
      along += weighted * ((points.flux[i] ?? 0) - (model[i] ?? 0))
      for (let p = 0; p < parameterCount; p++) {
        shared[p] = (shared[p] ?? 0) + weighted * (jacobian[i * parameterCount + p] ?? 0)
      }
    }
    taken += (along * along) / size
    for (let p = 0; p < parameterCount; p++) {
      const part = (shared[p] ?? 0) / size
      gradient[p] = (gradient[p] ?? 0) - part * along
      const line = p * parameterCount
      for (let q = 0; q <= p; q++) {
        curvature[line + q] = (curvature[line + q] ?? 0) - part * (shared[q] ?? 0)
      }
    }
  }
  return taken
}

/** How far each prior is stretched, in its deviations. */
export function pullsOf(
  priors: Priors,
  parameters: Float64Array,
): { x1: number; c: number; magnitude: number } {
  const x1 = parameters[3] ?? 0
  const c = parameters[4] ?? 0
  const magnitude =
    apparentB(parameters[2] ?? 0) -
    distanceModulus(priors, parameters[0] ?? 0) +
    priors.alpha * x1 -
    priors.beta * c
  return {
    x1: x1 / priors.x1,
    c: c / priors.c,
    magnitude: (magnitude - priors.absoluteMagnitude) / priors.magnitudeDeviation,
  }
}

/** Rest-frame B of an amplitude, in the convention of JLA and Pantheon. */
export const apparentB = (x0: number): number => -2.5 * Math.log10(x0) + 10.635

const lightSpeedKms = 299_792.458

/** Distance modulus to second order in z. */
export function distanceModulus(priors: Priors, z: number): number {
  const { hubbleConstant, deceleration } = priors
  const megaparsec = (lightSpeedKms / hubbleConstant) * z * (1 + ((1 - deceleration) * z) / 2)
  return 5 * Math.log10(megaparsec) + 25
}

function distanceSlope({ deceleration }: Priors, z: number): number {
  const half = (1 - deceleration) / 2
  return (5 / Math.LN10) * (1 / z + half / (1 + half * z))
}

const pull = new Float64Array(parameterCount)

function addPriors(priors: Priors, parameters: Float64Array, out: Quadratic): number {
  const { x1, c, magnitude } = pullsOf(priors, parameters)
  pull.fill(0)
  pull[3] = 1 / priors.x1
  addResidual(x1, out)
  pull.fill(0)
  pull[4] = 1 / priors.c
  addResidual(c, out)
  const unit = 1 / priors.magnitudeDeviation
  pull[0] = -distanceSlope(priors, parameters[0] ?? 0) * unit
  pull[2] = (-2.5 / Math.LN10 / (parameters[2] ?? 0)) * unit
  pull[3] = priors.alpha * unit
  pull[4] = -priors.beta * unit
  addResidual(magnitude, out)
  return x1 * x1 + c * c + magnitude * magnitude
}

/** One more residual, whose derivatives are in `pull`. */
function addResidual(residual: number, { gradient, curvature }: Quadratic): void {
  for (let p = 0; p < parameterCount; p++) {
    const slope = pull[p] ?? 0
    if (slope === 0) continue
    gradient[p] = (gradient[p] ?? 0) - slope * residual
    for (let q = 0; q <= p; q++) {
      const at = p * parameterCount + q
      curvature[at] = (curvature[at] ?? 0) + slope * (pull[q] ?? 0)
    }
  }
}

/** Let the points' variances hold the model's own covariance, as it is at some parameters. */
export function addModelCovariance(likelihood: Likelihood, parameters: Float64Array): void {
  evaluate(likelihood, parameters)
  likelihood.correlated = true
  const { points, slices, used, variance, common, model } = likelihood
  const a = 1 / (1 + (parameters[0] ?? 0))
  const t0 = parameters[1] ?? 0
  const x1 = parameters[3] ?? 0
  for (const [b, slice] of slices.entries()) {
    const band = points.bands[b]
    if (band === undefined) continue
    for (let i = band.from; i < band.to; i++) {
      if (used[i] === 0) continue
      const flux = model[i] ?? 0
      const phase = ((points.time[i] ?? 0) - t0) * a
      const relative = relativeVariance(slice, phase, x1)
      variance[i] = (points.variance[i] ?? 0) + relative * flux * flux
      common[i] = dispersionOf(slice) * flux
    }
  }
}
