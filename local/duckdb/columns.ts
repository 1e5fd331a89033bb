/**
 * Our column types in DuckDB's words, and back. A TIMESTAMP is DuckDB's TIMESTAMP without zone and
 * always UTC: TIMESTAMPTZ would read alike only where the session's zone is UTC.
 */
import { DuckDBListType, DuckDBStructType, DuckDBTypeId } from '@duckdb/node-api'
import type { DuckDBType } from '@duckdb/node-api'

import { NightjarError } from '../../core/errors.ts'
import type { Column, ColumnType } from '../../core/row.ts'

const sqlNames: Readonly<Record<Exclude<ColumnType, 'RECORD'>, string>> = {
  STRING: 'VARCHAR',
  BYTES: 'BLOB',
  BOOL: 'BOOLEAN',
  INT64: 'BIGINT',
  INT32: 'INTEGER',
  FLOAT64: 'DOUBLE',
  FLOAT32: 'FLOAT',
  DATE: 'DATE',
  TIMESTAMP: 'TIMESTAMP',
}

const scalars: ReadonlyMap<DuckDBTypeId, ColumnType> = new Map([
  [DuckDBTypeId.VARCHAR, 'STRING'],
  [DuckDBTypeId.BLOB, 'BYTES'],
  [DuckDBTypeId.BOOLEAN, 'BOOL'],
  [DuckDBTypeId.BIGINT, 'INT64'],
  [DuckDBTypeId.INTEGER, 'INT32'],
  [DuckDBTypeId.DOUBLE, 'FLOAT64'],
  [DuckDBTypeId.FLOAT, 'FLOAT32'],
  [DuckDBTypeId.DATE, 'DATE'],
  [DuckDBTypeId.TIMESTAMP, 'TIMESTAMP'],
])

/** An identifier as SQL takes it whatever its letters. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** A text literal. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

/** A column's type as SQL: `STRUCT("jd" DOUBLE, "fid" INTEGER)[]`. */
export function sqlType(column: Column): string {
  const base = column.type === 'RECORD' ? structType(column) : sqlNames[column.type]
  return column.mode === 'REPEATED' ? `${base}[]` : base
}

/** A column of DuckDB's in our words. Throws `table_failed` where we have no word for it. */
export function columnOf(name: string, type: DuckDBType): Column {
  if (type instanceof DuckDBListType) {
    const inner = columnOf(name, type.valueType)
    if (inner.mode === 'NULLABLE') return { ...inner, mode: 'REPEATED' }
  }
  if (type instanceof DuckDBStructType) {
    const fields = type.entryNames.map((field, at) =>
      columnOf(field, type.entryTypes[at] as DuckDBType),
    )
    return { name, type: 'RECORD', mode: 'NULLABLE', fields }
  }
  const scalar = scalars.get(type.typeId)
  if (scalar !== undefined) return { name, type: scalar, mode: 'NULLABLE' }
  throw new NightjarError(
    'table_failed',
    `Cannot take over column "${name}": its type is ${type}, which no row shape has`,
  )
}

function structType({ name, fields = [] }: Column): string {
  if (fields.length === 0) {
    throw new NightjarError(
      'row_rejected',
      `Cannot make column "${name}": its record has no fields`,
    )
  }
  return `STRUCT(${fields.map((field) => `${quoted(field.name)} ${sqlType(field)}`).join(', ')})`
}
