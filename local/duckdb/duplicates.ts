/** Which rows readers already see, by key. There is no index: it would grow with the table. */
import type { DuckDBConnection } from '@duckdb/node-api'

import { NightjarError } from '../../core/errors.ts'
import { sameName, type Column, type Row, type RowShape } from '../../core/row.ts'
import { literal, quoted } from './columns.ts'

/**
 * Those of the rows' keys that stand in one of the tables already. The lookup goes by one column,
 * its least and greatest value first, so that DuckDB passes over the row groups that lie outside.
 */
export async function storedKeys(
  connection: DuckDBConnection,
  dataset: string,
  tables: readonly string[],
  shape: RowShape,
  rows: readonly Row[],
): Promise<Set<string>> {
  const key = (shape.key ?? []).map((name) => keyColumn(shape, name))
  const search = key.find(({ type }) => type === 'INT64') ?? key[0]
  if (search === undefined || rows.length === 0) return new Set()

  const where = condition(search, rows)
  const columns = key.map((column) => asText(column)).join(', ')
  const selects = tables.map(
    (table) => `SELECT ${columns} FROM ${quoted(dataset)}.${quoted(table)} WHERE ${where}`,
  )
  const found = await connection.runAndReadAll(selects.join(' UNION ALL '))
  return new Set(found.getRows().map((values) => JSON.stringify(values.map(String))))
}

function condition(search: Column, rows: readonly Row[]): string {
  const values = rows.map(({ values }) => values[search.name])
  const name = raw(search)
  if (search.type === 'STRING') {
    const texts = [...new Set(values.map(String))].sort()
    return `${name} IN (${texts.map(literal).join(', ')})`
  }
  if (search.type === 'BOOL') return 'true'
  const numbers = [...new Set(values.map((value) => BigInt(value as bigint | number)))]
  const least = numbers.reduce((a, b) => (b < a ? b : a))
  const most = numbers.reduce((a, b) => (b > a ? b : a))
  return `${name} BETWEEN ${least} AND ${most} AND ${name} IN (${numbers.join(', ')})`
}

function keyColumn(shape: RowShape, name: string): Column {
  const column = shape.columns.find((column) => sameName(column.name) === sameName(name))
  if (
    column === undefined ||
    column.mode === 'REPEATED' ||
    ['RECORD', 'BYTES', 'FLOAT32', 'FLOAT64'].includes(column.type)
  ) {
    throw new NightjarError(
      'row_rejected',
      `Cannot store the row in "${shape.table}": its key column "${name}" is ` +
        (column === undefined ? 'not a column of its shape' : `${column.mode} ${column.type}`),
    )
  }
  return column
}

/** The number that a row shape gives a value by. */
function raw({ name, type }: Column): string {
  if (type === 'DATE') return `(${quoted(name)} - DATE '1970-01-01')`
  if (type === 'TIMESTAMP') return `epoch_us(${quoted(name)})`
  return quoted(name)
}

function asText(column: Column): string {
  return column.type === 'STRING' ? raw(column) : `CAST(${raw(column)} AS VARCHAR)`
}
