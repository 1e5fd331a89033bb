/** The columns of a table or view, read through whatever answers queries on a home's warehouse. */
import { NightjarError } from '../core/errors.ts'
import type { Column, ColumnType } from '../core/row.ts'

const scalars: Readonly<Record<string, ColumnType>> = {
  VARCHAR: 'STRING',
  BLOB: 'BYTES',
  BOOLEAN: 'BOOL',
  BIGINT: 'INT64',
  INTEGER: 'INT32',
  DOUBLE: 'FLOAT64',
  FLOAT: 'FLOAT32',
  DATE: 'DATE',
  TIMESTAMP: 'TIMESTAMP',
}

/** The columns under a name of the data set; none where there is no such table. */
export async function describeTable(
  query: (sql: string) => AsyncIterable<Record<string, unknown>>,
  dataset: string,
  table: string,
): Promise<Column[]> {
  const columns: Column[] = []
  const text = (value: string): string => `'${value.replaceAll("'", "''")}'`
  const listed = query(
    `SELECT column_name, data_type FROM duckdb_columns()
     WHERE database_name = current_database() AND schema_name = ${text(dataset)}
       AND table_name = ${text(table)} ORDER BY column_index`,
  )
  for await (const row of listed) {
    columns.push(parseColumn(String(row['column_name']), String(row['data_type'])))
  }
  return columns
}

/** A column from DuckDB's text of its type, such as `STRUCT(jd DOUBLE, fid INTEGER)[]`. */
export function parseColumn(name: string, type: string): Column {
  let at = 0
  const column = read(name)
  if (at !== type.length) throw unreadable()
  return column

  function read(own: string): Column {
    const word = /[A-Z]+/y
    word.lastIndex = at
    const kind = word.exec(type)?.[0] ?? ''
    at += kind.length
    const column = kind === 'STRUCT' ? record(own) : scalar(own, kind)
    if (!type.startsWith('[]', at)) return column
    at += 2
    return { ...column, mode: 'REPEATED' }
  }

  function scalar(own: string, kind: string): Column {
    const known = scalars[kind]
    if (known === undefined) throw unreadable()
    return { name: own, type: known, mode: 'NULLABLE' }
  }

  function record(own: string): Column {
    const fields: Column[] = []
    const part = /[(,] ?(?:"((?:[^"]|"")*)"|(\w+)) /y
    while (type[at] !== ')') {
      part.lastIndex = at
      const found = part.exec(type)
      if (found === null) throw unreadable()
      at += found[0].length
      fields.push(read(found[2] ?? (found[1] ?? '').replaceAll('""', '"')))
    }
    at++
    return { name: own, type: 'RECORD', mode: 'NULLABLE', fields }
  }

  function unreadable(): NightjarError {
    return new NightjarError('table_failed', `Cannot read the type of column "${name}": ${type}`)
  }
}
