/** Rows of text in columns: numbers to the right, words to the left, a rule under the heads. */
export function formatTable(
  heads: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const numeric = heads.map((_, i) => rows.every((row) => /^[-+.,\d%–]*$/.test(row[i] ?? '')))
  const widths = heads.map((head, i) =>
    Math.max(head.length, ...rows.map((row) => (row[i] ?? '').length)),
  )
  const line = (cells: readonly string[]): string =>
    widths
      .map((width, i) => {
        const cell = cells[i] ?? ''
        return numeric[i] ? cell.padStart(width) : cell.padEnd(width)
      })
      .join('  ')
      .trimEnd()
  const rule = widths.map((width) => '─'.repeat(width)).join('──')
  return [line(heads), rule, ...rows.map(line)].join('\n') + '\n'
}

/** 1234567 → `1,234,567`. */
export function formatCount(count: number | bigint): string {
  return String(count).replaceAll(/\B(?=(\d{3})+$)/g, ',')
}

/** Bytes in the unit that keeps three digits: `71.6 kB`, `1.34 GB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let value = bytes
  let unit = 0
  // What would be rounded to 1000 is 1.00 of the next unit already.
  while (value >= (unit === 0 ? 1000 : 999.5) && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  const digits = unit === 0 || value >= 999.5 ? String(Math.round(value)) : value.toPrecision(3)
  return `${digits} ${units[unit]}`
}

/** Seconds as a person says them: `8 s`, `3 min 20 s`, `2 h 05 min`. */
export function formatDuration(seconds: number): string {
  const whole = Math.round(seconds)
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, '0')} min`
}

/** A number as a person reads it: a float32 by the digits that a float32 has, `16.89`, not `16.889999…`. */
export function formatNumber(value: number): string {
  if (Number.isInteger(value) || Math.fround(value) !== value) return String(value)
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits))
    if (Math.fround(short) === value) return String(short)
  }
  return String(value)
}
