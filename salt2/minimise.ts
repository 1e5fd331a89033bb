import { factorise, solve } from './cholesky.ts'
import { assess, parameterCount, quadratic, type Likelihood, type Quadratic } from './likelihood.ts'

/** Bounds of each parameter, and which of them are free. */
export interface Domain {
  readonly lower: Float64Array
  readonly upper: Float64Array
  /** Indices of the free parameters, ascending. */
  readonly free: readonly number[]
}

export interface Minimum {
  readonly parameters: Float64Array
  readonly at: Quadratic
  readonly converged: boolean
}

/** A step that promises less than this is none: a thousandth of a deviation from the minimum. */
const enough = 1e-6
const mostSteps = 200

const matrix = new Float64Array(parameterCount * parameterCount)
const step = new Float64Array(parameterCount)
const list = new Int32Array(parameterCount)

/**
 * Levenberg and Marquardt's descent from a start, within bounds: a parameter that lies on a bound and
 * wants beyond it is held there for the step. Ends where a step promises nothing, or after 200; or where
 * it comes so near to a minimum known already that it would end there.
 */
export function minimise(
  likelihood: Likelihood,
  start: Float64Array,
  domain: Domain,
  known?: Minimum,
): Minimum {
  const { lower, upper, free } = domain
  let here = start.slice()
  clamp(here, domain)
  let there = here.slice()
  let at = quadratic()
  let next = quadratic()
  assess(likelihood, here, at)
  let damping = 1e-3
  for (let steps = 0; steps < mostSteps; steps++) {
    let count = 0
    for (const p of free) {
      const wants = at.gradient[p] ?? 0
      const stuck =
        ((here[p] ?? 0) <= (lower[p] ?? 0) && wants < 0) ||
        ((here[p] ?? 0) >= (upper[p] ?? 0) && wants > 0)
      if (!stuck) list[count++] = p
    }
    const promise = count === 0 ? 0 : stepFrom(at, count, damping)
    if (!(promise >= 0)) {
      damping *= 10
      if (damping > 1e10) return { parameters: here, at, converged: false }
      continue
    }
    if (promise < enough && damping <= 1) return { parameters: here, at, converged: true }
    there.set(here)
    for (let k = 0; k < count; k++) {
      const p = list[k] ?? 0
      there[p] = (here[p] ?? 0) + (step[k] ?? 0)
    }
    clamp(there, domain)
    assess(likelihood, there, next)
    if (next.chisq <= at.chisq) {
      const gain = at.chisq - next.chisq
      ;[here, there] = [there, here]
      ;[at, next] = [next, at]
      damping = Math.max(damping * 0.1, 1e-9)
      if (known !== undefined && isNear(known, here, at, free)) return known
      // Over a corner of χ² no step keeps its promise: then what is gained decides.
      if (gain < enough && promise < 1e-3) return { parameters: here, at, converged: true }
    } else {
      damping *= 10
      if (damping > 1e10) {
        // Nothing lower to be found in this direction, however short the step.
        return { parameters: here, at, converged: promise < 1 }
      }
    }
  }
  return { parameters: here, at, converged: false }
}

/** Within half a deviation of a minimum, and no lower than it. */
function isNear(
  known: Minimum,
  here: Float64Array,
  { chisq }: Quadratic,
  free: readonly number[],
): boolean {
  if (chisq < known.at.chisq || chisq > known.at.chisq + 0.5) return false
  const { curvature } = known.at
  let square = 0
  for (const p of free) {
    const dp = (here[p] ?? 0) - (known.parameters[p] ?? 0)
    for (const q of free) {
      if (q > p) break
      const dq = (here[q] ?? 0) - (known.parameters[q] ?? 0)
      square += (q === p ? 1 : 2) * dp * dq * (curvature[p * parameterCount + q] ?? 0)
    }
  }
  return square < 0.25
}

/** The damped step of the listed parameters into `step`; answers how much it promises, NaN if none. */
function stepFrom({ gradient, curvature }: Quadratic, count: number, damping: number): number {
  for (let i = 0; i < count; i++) {
    const p = list[i] ?? 0
    for (let j = 0; j <= i; j++) {
      matrix[i * count + j] = curvature[p * parameterCount + (list[j] ?? 0)] ?? 0
    }
    matrix[i * count + i] = (matrix[i * count + i] ?? 0) * (1 + damping)
    step[i] = gradient[p] ?? 0
  }
  if (!factorise(matrix, count)) return NaN
  solve(matrix, count, step)
  let promise = 0
  for (let i = 0; i < count; i++) promise += (step[i] ?? 0) * (gradient[list[i] ?? 0] ?? 0)
  return promise
}

function clamp(parameters: Float64Array, { lower, upper, free }: Domain): void {
  for (const p of free) {
    parameters[p] = Math.min(Math.max(parameters[p] ?? 0, lower[p] ?? 0), upper[p] ?? 0)
  }
}

/** The covariance of the free parameters at a minimum, row by row; undefined where data leave one open. */
export function covarianceAt(
  { curvature }: Quadratic,
  free: readonly number[],
): number[][] | undefined {
  const n = free.length
  const factor = Float64Array.from({ length: n * n }, (_, i) => {
    const row = free[Math.floor(i / n)] ?? 0
    const column = free[i % n] ?? 0
    return curvature[Math.max(row, column) * parameterCount + Math.min(row, column)] ?? 0
  })
  if (!factorise(factor, n)) return undefined
  return free.map((_, i) => {
    const unit = new Float64Array(n)
    unit[i] = 1
    solve(factor, n, unit)
    return [...unit]
  })
}
