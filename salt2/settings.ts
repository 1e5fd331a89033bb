import {
  defaultPriors,
  type Bounds,
  type DustLaw,
  type FitOptions,
  type Priors,
} from './options.ts'
import type { FitReason } from './result.ts'

/** Options with their defaults filled in. */
export interface Settings {
  readonly redshift: { readonly min: number; readonly max: number }
  /** z is free. */
  readonly free: boolean
  /** Redshifts to begin from. */
  readonly redshifts: readonly number[]
  readonly priors: Priors | null
  readonly dust: { readonly law: DustLaw; readonly rv: number; readonly mwebv: number }
  readonly modelCovariance: boolean
  readonly phaseRange: Bounds | null
  readonly errorFloor: number
  readonly minPoints: number
  readonly minSignal: number
  readonly t0: Bounds | null
  readonly x1: Bounds
  readonly c: Bounds
}

/** Fill in defaults; or say why the options make no sense. */
export function settle(
  options: FitOptions,
  range: readonly [number, number],
): Settings | { readonly reason: FitReason; readonly message: string } {
  const { redshift } = options
  const min = redshift.kind === 'fixed' ? redshift.z : redshift.min
  const max = redshift.kind === 'fixed' ? redshift.z : redshift.max
  if (!(min >= range[0] && max <= range[1])) {
    const asked = min === max ? `z = ${min}` : `z from ${min} to ${max}`
    return {
      reason: 'redshift_out_of_range',
      message: `Cannot fit at ${asked}: the model is for ${range[0]} to ${range[1]}`,
    }
  }
  const free = redshift.kind !== 'fixed'
  const priors = redshift.kind === 'priors' ? (redshift.priors ?? defaultPriors) : null
  const freeCount = free ? 5 : 4
  const settings: Settings = {
    redshift: { min, max },
    free,
    redshifts: free ? between(min, max) : [min],
    priors,
    dust: { law: options.dustLaw ?? 'ccm89', rv: options.rv ?? 3.1, mwebv: options.mwebv ?? 0 },
    modelCovariance: options.modelCovariance ?? true,
    phaseRange: options.phaseRange === undefined ? [-15, 45] : options.phaseRange,
    errorFloor: options.errorFloor ?? 0,
    minPoints: Math.max(options.minPoints ?? 5, priors === null ? freeCount : 2),
    minSignal: options.minSignal ?? 5,
    t0: options.t0 ?? null,
    x1: options.x1 ?? [-5, 5],
    c: options.c ?? [-1, 2],
  }
  const numbers = [
    settings.dust.rv,
    settings.dust.mwebv,
    settings.errorFloor,
    settings.minPoints,
    settings.minSignal,
    ...Object.values(priors ?? {}),
  ]
  const ranges = [
    ...(free ? [[min, max] as const] : []),
    ...(settings.phaseRange === null ? [] : [settings.phaseRange]),
    ...(settings.t0 === null ? [] : [settings.t0]),
    settings.x1,
    settings.c,
  ]
  const fault =
    numbers.find((value) => !Number.isFinite(value)) !== undefined
      ? 'an option is not a number'
      : ranges.some(([low, high]) => !(low < high) || !Number.isFinite(high - low))
        ? 'a lower bound is not below its upper bound'
        : settings.errorFloor < 0
          ? 'the error floor is negative'
          : priors !== null && min <= 0
            ? `with priors the lower bound of z must be above 0, and is ${min}`
            : undefined
  return fault === undefined
    ? settings
    : { reason: 'input_invalid', message: `Cannot fit: ${fault}` }
}

/** Redshifts from bound to bound, some 0.03 apart but never more than twelve. */
function between(min: number, max: number): number[] {
  const count = Math.min(12, Math.max(3, 1 + Math.ceil((max - min) / 0.03)))
  return Array.from({ length: count }, (_, i) => min + (i * (max - min)) / (count - 1))
}
