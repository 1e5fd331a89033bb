import { NightjarError } from '../core/errors.ts'

/** Rows of numbers of a text table; `#` begins a comment. Every row has `columns` or more. */
export function numberRows(text: string, what: string, columns: number): number[][] {
  const rows: number[][] = []
  for (const [index, line] of text.split('\n').entries()) {
    const words = (line.split('#', 1)[0] ?? '').trim()
    if (words === '') continue
    const row = words.split(/\s+/).map(Number)
    if (row.length < columns || row.some((value) => !Number.isFinite(value))) {
      throw new NightjarError(
        'input_invalid',
        `Cannot read ${what}: line ${index + 1} is not ${columns} numbers: ${line.slice(0, 80)}`,
      )
    }
    rows.push(row)
  }
  return rows
}
