/** Questions to a data set, with what they would read told first and bounded: BigQuery bills by bytes read. */
import type { Column } from '../core/row.ts'
import { bytesOf, columnsOf, readRows } from './bigquery/reader.ts'
import type { Datasets } from './datasets.ts'

export interface Queries {
  /** Bytes that a statement would read; asking is free. Rejects with `input_invalid` what is no SELECT. */
  bytesOf(sql: string): Promise<number>
  /** The columns of a table or view; asking is free. Rejects with `input_invalid` where there is none. */
  columnsOf(table: string): Promise<Column[]>
  /** Rows of a statement, which BigQuery refuses where it would be billed more than `mostBytes`. */
  query(sql: string, mostBytes: number): AsyncIterable<Record<string, unknown>>
}

const giveUpMs = 60_000

/** Open a data set for questions. Nothing is sent yet. */
export function openQueries(datasets: Datasets, dataset: string): Queries {
  return {
    bytesOf: (sql) => bytesOf({ datasets, dataset, sql, giveUpMs }),
    columnsOf: (table) => columnsOf({ datasets, dataset, sql: `SELECT * FROM ${table}`, giveUpMs }),
    query: (sql, mostBytes) => readRows({ datasets, dataset, sql, giveUpMs, mostBytes }),
  }
}
