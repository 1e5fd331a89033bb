/** Durations of a command line. */
import { durationOf } from '../core/duration.ts'
import { NightjarError } from '../core/errors.ts'

const week = 7 * 24 * 3_600_000

/** `90s`, `30m`, `12h`, `7d`: milliseconds. */
export function parseDuration(text: string): number {
  const ms = durationOf(text) ?? NaN
  if (ms > 0 && ms <= week) return ms
  throw new NightjarError(
    'config_invalid',
    `Cannot take duration "${text}": write it as 90s, 30m, 12h or 7d, a week at most`,
  )
}
