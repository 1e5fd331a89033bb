/** Durations as a person writes them. */
const units: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 24 * 3_600_000,
}

/** `90s`, `30m`, `12h`, `7d` in milliseconds; undefined where it is none. Zero is one. */
export function durationOf(text: string): number | undefined {
  const [, number, unit] = /^(\d+(?:\.\d+)?)([smhd])$/.exec(text) ?? []
  const factor = units[unit ?? '']
  return factor === undefined ? undefined : Number(number) * factor
}
