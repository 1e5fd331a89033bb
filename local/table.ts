/** The port Table on this machine: DuckDB, with the same nested tables as BigQuery. */
import { NightjarError } from '../core/errors.ts'
import type { Table } from '../core/ports.ts'
import type { RowShape } from '../core/row.ts'
import { createBatches } from './duckdb/batches.ts'
import { readRows } from './duckdb/reader.ts'
import { rejectAll, storeBatch } from './duckdb/store.ts'
import type { Pending } from './duckdb/store.ts'
import { acquireWarehouse } from './duckdb/warehouse.ts'

export interface TableOptions {
  /** The DuckDB file. One process at a time opens it; in it, as many tables as like to. */
  file: string
  /** The data set, such as `ztf_alerts`: a schema in the file. */
  dataset: string
  /** Statements that make what analysts call beside the tables; each may be run again. */
  routines?: readonly string[]
  /** Tables that stand from the first on, so that who asks before the first row is told of none. */
  shapes?: readonly RowShape[]
  /** Memory of the engine, for all tables on the file. The first to open it decides. */
  memoryLimitMb?: number
  threads?: number
  /** How long to wait for another process that has the file open, milliseconds; not at all if absent. */
  patienceMs?: number
  /** Most rows in one transaction. */
  batchRows?: number
  /** How long a row waits for others while nothing is being stored. */
  lingerMs?: number
}

/**
 * Open a data set of a DuckDB file, which is made where there is none.
 *
 * A row is durable by the engine's write-ahead log, which it syncs at each commit. What a crash
 * leaves is whole batches: rows whose `append` resolved are there, others may be, and are then
 * `duplicate` when they come again.
 */
export async function openTable(options: TableOptions): Promise<Table> {
  const { dataset, routines, shapes = [], batchRows = 2048, lingerMs = 25 } = options
  const warehouse = await acquireWarehouse(options)
  try {
    for (const shape of shapes) {
      await warehouse.exclusive((connection) =>
        warehouse.catalog(dataset, routines).ready(connection, shape),
      )
    }
  } catch (error) {
    await warehouse.release()
    throw error
  }
  const batches = createBatches<Pending>({ flush, maxItems: batchRows, lingerMs })
  let closed: Promise<void> | undefined

  async function flush(batch: Pending[]): Promise<void> {
    const work = warehouse.exclusive(async (connection) => {
      await storeBatch(
        { connection, catalog: warehouse.catalog(dataset, routines), dataset },
        batch,
      )
    })
    await work.catch((error: unknown) => rejectAll(batch, error))
  }

  return {
    append(row) {
      if (closed !== undefined) {
        const why = `data set "${dataset}" is closed`
        return Promise.reject(new NightjarError('table_failed', `Cannot store a row: ${why}`))
      }
      return new Promise((resolve, reject) => batches.add({ row, resolve, reject }))
    },
    query(sql) {
      return readRows(warehouse, dataset, sql)
    },
    close() {
      return (closed ??= batches.drain().then(() => warehouse.release()))
    },
  }
}
