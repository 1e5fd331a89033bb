/** Our columns as BigQuery's table fields, and back. */
import type { TableField } from '@google-cloud/bigquery'

import { NightjarError } from '../../core/errors.ts'
import type { Column, ColumnType } from '../../core/row.ts'

/** BigQuery has one integer and one float; a float32 is kept as the FLOAT64 of the same value. */
const fieldTypes: Readonly<Record<ColumnType, string>> = {
  STRING: 'STRING',
  BYTES: 'BYTES',
  BOOL: 'BOOLEAN',
  INT64: 'INTEGER',
  INT32: 'INTEGER',
  FLOAT64: 'FLOAT',
  FLOAT32: 'FLOAT',
  DATE: 'DATE',
  TIMESTAMP: 'TIMESTAMP',
  RECORD: 'RECORD',
}

/** The legacy names that the service answers with, and those of GoogleSQL. */
const columnTypes: ReadonlyMap<string, ColumnType> = new Map([
  ['STRING', 'STRING'],
  ['BYTES', 'BYTES'],
  ['BOOLEAN', 'BOOL'],
  ['BOOL', 'BOOL'],
  ['INTEGER', 'INT64'],
  ['INT64', 'INT64'],
  ['FLOAT', 'FLOAT64'],
  ['FLOAT64', 'FLOAT64'],
  ['DATE', 'DATE'],
  ['TIMESTAMP', 'TIMESTAMP'],
  ['RECORD', 'RECORD'],
  ['STRUCT', 'RECORD'],
])

/** A description has at most 1,024 characters (REST reference, "TableFieldSchema"). */
const maxDescription = 1024

/** Throws `row_rejected` for a record without fields, which no table can hold. */
export function fieldOf({ name, type, mode, fields, description }: Column): TableField {
  if (type === 'RECORD' && (fields?.length ?? 0) === 0) {
    throw new NightjarError(
      'row_rejected',
      `Cannot make column "${name}": its record has no fields`,
    )
  }
  return {
    name,
    type: fieldTypes[type],
    mode,
    ...(description !== undefined && { description: description.slice(0, maxDescription) }),
    ...(fields !== undefined && { fields: fields.map(fieldOf) }),
  }
}

/** A column that stands. Throws `table_failed` where we have no word for its type. */
export function columnOf({ name, type, mode, fields, description }: TableField): Column {
  const known = columnTypes.get(String(type).toUpperCase())
  if (known === undefined) {
    throw new NightjarError(
      'table_failed',
      `Cannot take over column "${name}": its type is ${type}, which no row shape has`,
    )
  }
  return {
    name: String(name),
    type: known,
    mode: mode === 'REPEATED' ? 'REPEATED' : 'NULLABLE',
    ...(description && { description }),
    ...(known === 'RECORD' && { fields: (fields ?? []).map(columnOf) }),
  }
}
