/** How the columns of a table that stands take in those of a row shape: additively, or not at all. */
import { NightjarError } from './errors.ts'
import { sameName, type Column, type ColumnType } from './row.ts'

/** The narrower type of each pair is stored in the wider without loss, and in nothing else. */
const widerOf: Readonly<Partial<Record<ColumnType, ColumnType>>> = {
  INT32: 'INT64',
  FLOAT32: 'FLOAT64',
}

/**
 * The columns that hold both. Those that stand keep place and name; new ones follow. Throws
 * `row_rejected` where a column would have to hold two types.
 */
export function mergeColumns(
  standing: readonly Column[],
  wanted: readonly Column[],
  table: string,
  path = '',
): Column[] {
  const merged = new Map(standing.map((column) => [sameName(column.name), column]))
  for (const column of wanted) {
    const before = merged.get(sameName(column.name))
    merged.set(
      sameName(column.name),
      before === undefined ? column : mergeColumn(before, column, table, path),
    )
  }
  return [...merged.values()]
}

function mergeColumn(standing: Column, wanted: Column, table: string, path: string): Column {
  const at = `${path}${standing.name}`
  const type = typeForBoth(standing.type, wanted.type)
  if (type === undefined || standing.mode !== wanted.mode) {
    throw new NightjarError(
      'row_rejected',
      `Cannot store the row in "${table}": column "${at}" is ${typeName(standing)} there ` +
        `and ${typeName(wanted)} in the row`,
    )
  }
  if (type !== 'RECORD') return { ...standing, type }
  const fields = mergeColumns(standing.fields ?? [], wanted.fields ?? [], table, `${at}.`)
  return { ...standing, fields }
}

/** The type that holds both without loss, or undefined where there is none. */
export function typeForBoth(one: ColumnType, other: ColumnType): ColumnType | undefined {
  if (one === other || widerOf[other] === one) return one
  return widerOf[one] === other ? other : undefined
}

function typeName({ type, mode }: Column): string {
  return mode === 'REPEATED' ? `REPEATED ${type}` : type
}
