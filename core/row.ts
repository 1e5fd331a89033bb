/**
 * The shape of a table row in our own words. The names of the types are BigQuery's; the answers map
 * them to their engine. FLOAT32 says that the value is a float32 (BigQuery keeps it as FLOAT64).
 */
import { NightjarError } from './errors.ts'

export type ColumnType =
  | 'STRING'
  | 'BYTES'
  | 'BOOL'
  | 'INT64'
  | 'INT32'
  | 'FLOAT64'
  | 'FLOAT32'
  | 'DATE'
  | 'TIMESTAMP'
  | 'RECORD'

export interface Column {
  name: string
  type: ColumnType
  /** REPEATED holds an array, never null; an absent array is empty. */
  mode: 'NULLABLE' | 'REPEATED'
  /** The columns inside a RECORD. */
  fields?: readonly Column[]
  description?: string
}

/** Everything that fixes where a row goes. Made once per schema and shared by all its rows. */
export interface RowShape {
  /** The physical table, such as `alerts_v4_02`. */
  table: string
  /** The view that shows the rows of all physical tables of one kind, such as `alerts`. */
  view?: string
  columns: readonly Column[]
  /** Columns that identify a row for readers. Absent: every row counts. */
  key?: readonly string[]
}

/**
 * A row of a shape. INT64 values are bigint, or number where they cannot exceed 2^53; DATE is days
 * since 1970 and TIMESTAMP microseconds since 1970 (bigint or number); NaN stays NaN, null is null.
 */
export interface Row {
  shape: RowShape
  values: Readonly<Record<string, unknown>>
}

/** Both engines hold names equal that differ only in case. */
export function sameName(name: string): string {
  return name.toLowerCase()
}

/** The key of a row as one text, undefined where every row of the shape counts. */
export function keyOf({ shape, values }: Row): string | undefined {
  if (shape.key === undefined) return undefined
  return JSON.stringify(
    shape.key.map((name) => {
      const value = values[name]
      if (value === null || value === undefined) {
        throw new NightjarError(
          'row_rejected',
          `Cannot store the row in "${shape.table}": its key column "${name}" has no value`,
        )
      }
      return String(value)
    }),
  )
}
