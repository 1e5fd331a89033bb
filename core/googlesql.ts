/** Our columns as GoogleSQL writes them: types, identifiers, and the value of what is not there. */
import type { Column, ColumnType } from './row.ts'

const types: Readonly<Record<Exclude<ColumnType, 'RECORD'>, string>> = {
  STRING: 'STRING',
  BYTES: 'BYTES',
  BOOL: 'BOOL',
  INT64: 'INT64',
  INT32: 'INT64',
  FLOAT64: 'FLOAT64',
  FLOAT32: 'FLOAT64',
  DATE: 'DATE',
  TIMESTAMP: 'TIMESTAMP',
}

/** A column's type: `ARRAY<STRUCT<jd FLOAT64, fid INT64>>`. */
export function sqlType({ type, mode, fields = [] }: Column): string {
  const inner = fields.map((field) => `${quoted(field.name)} ${sqlType(field)}`)
  const base = type === 'RECORD' ? `STRUCT<${inner.join(', ')}>` : types[type]
  return mode === 'REPEATED' ? `ARRAY<${base}>` : base
}

/** What stands in a column that has no value: NULL, or the empty array, of its type. */
export const nothing = (column: Column): string =>
  column.mode === 'REPEATED' ? `CAST([] AS ${sqlType(column)})` : `CAST(NULL AS ${sqlType(column)})`

/** A query with these columns and no row. */
export function emptyQuery(columns: readonly Column[]): string {
  return `SELECT ${columns.map((column) => `${nothing(column)} AS ${quoted(column.name)}`).join(', ')}\nLIMIT 0`
}

/** An identifier as GoogleSQL takes it whatever its letters. */
export function quoted(name: string): string {
  return `\`${name.replaceAll('\\', '\\\\').replaceAll('`', '\\`')}\``
}
