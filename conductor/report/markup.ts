/** Text that goes into the page: nothing that came over the network is ever taken as markup. */
export function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;')
}

/** A table; a cell that begins with a digit is set as a number. `raw` cells are markup already. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const head = heads.map((text) => `<th>${escape(text)}</th>`).join('')
  const body = rows.map((row) => `<tr>${row.map(cell).join('')}</tr>`).join('\n')
  return `<div class="wide"><table><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table></div>`
}

const cell = (text: string): string =>
  /^[\d–-]/.test(text) ? `<td class="n">${escape(text)}</td>` : `<td>${escape(text)}</td>`

export const count = (value: number): string => value.toLocaleString('en-US')

/** `840 ms`, `3.2 s`, `4.1 min`, `2.5 h`, `3.1 d`. */
export function duration(ms: number): string {
  if (!Number.isFinite(ms)) return '–'
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['min', 60_000],
    ['s', 1000],
  ] as const
  for (const [unit, size] of units) {
    if (Math.abs(ms) >= size) return `${Number((ms / size).toPrecision(2))} ${unit}`
  }
  return `${Math.round(ms)} ms`
}

/** `840 B`, `52.3 kB`, `14.1 GB`; decimal, as buckets are paid. */
export function size(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let at = 0
  let value = bytes
  while (value >= 1000 && at < units.length - 1) {
    value /= 1000
    at++
  }
  return `${Number(value.toPrecision(3))} ${units[at]}`
}
