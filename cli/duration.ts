/** Durations as a person types them. */
import { NightjarError } from '../core/errors.ts'

const units: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000 }

/** `90s`, `30m`, `12h`: milliseconds. */
export function parseDuration(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)([smh])$/.exec(text) ?? []
  const ms = Number(number) * (units[unit ?? ''] ?? NaN)
  if (ms > 0 && ms <= 7 * 24 * 3_600_000) return ms
  throw new NightjarError(
    'config_invalid',
    `Cannot take duration "${text}": write it as 90s, 30m or 12h, a week at most`,
  )
}
