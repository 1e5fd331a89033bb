/** Reading statements, streamed: rows come chunk by chunk, whatever their number. */
import { StatementType } from '@duckdb/node-api'
import type { DuckDBConnection, DuckDBPreparedStatement } from '@duckdb/node-api'
import duckdb from '@duckdb/node-bindings'

import { NightjarError, sentenceOf } from '../../core/errors.ts'
import { literal } from './columns.ts'
import { engineSentence, isEngineFault } from './faults.ts'
import { createReader } from './vector.ts'
import type { Warehouse } from './warehouse.ts'

/**
 * Run one reading statement on a connection of its own and yield its rows. The transaction reads
 * only, so a statement that passes as reading and writes (`EXPLAIN ANALYZE INSERT …`) fails too.
 */
export async function* readRows(
  warehouse: Warehouse,
  dataset: string,
  sql: string,
): AsyncGenerator<Record<string, unknown>> {
  const { connection, close } = await warehouse.reader()
  try {
    await connection.run('BEGIN TRANSACTION READ ONLY')
    await useDataset(connection, dataset)
    const statement = await prepareReading(connection, sql)
    const result = await statement.stream()
    const names = result.deduplicatedColumnNames()
    const readers = result.columnTypes().map(createReader)
    for await (const { chunk } of result) {
      const count = duckdb.data_chunk_get_size(chunk)
      const columns = readers.map((read, at) =>
        read(duckdb.data_chunk_get_vector(chunk, at), count),
      )
      for (let i = 0; i < count; i++) {
        const row: Record<string, unknown> = {}
        for (let at = 0; at < names.length; at++) row[names[at] as string] = columns[at]?.[i]
        yield row
      }
    }
  } catch (cause) {
    throw queryFault(cause)
  } finally {
    // A result that is left before its end keeps its transaction, and with it the file.
    connection.interrupt()
    await connection.run('ROLLBACK').catch(() => undefined)
    close()
  }
}

/** Have bare names mean the data set's; before its first row there is none, which is no fault. */
async function useDataset(connection: DuckDBConnection, dataset: string): Promise<void> {
  const found = await connection.runAndReadAll(
    `SELECT 1 FROM duckdb_schemas()
     WHERE database_name = current_database() AND schema_name = ${literal(dataset)}`,
  )
  if (found.currentRowCount > 0) await connection.run(`SET schema = ${literal(dataset)}`)
}

async function prepareReading(
  connection: DuckDBConnection,
  sql: string,
): Promise<DuckDBPreparedStatement> {
  if (sql.trim() === '') {
    throw new NightjarError('input_invalid', 'Cannot run the query: there is no statement in it')
  }
  const statements = await connection.extractStatements(sql)
  if (statements.count !== 1) {
    throw new NightjarError(
      'input_invalid',
      `Cannot run the query: it has ${statements.count} statements, and one is run at a time`,
    )
  }
  const statement = await statements.prepare(0)
  const { statementType } = statement
  if (statementType !== StatementType.SELECT && statementType !== StatementType.EXPLAIN) {
    throw new NightjarError(
      'input_invalid',
      `Cannot run the query: it is ${StatementType[statementType]}, and only reading is allowed`,
    )
  }
  return statement
}

function queryFault(cause: unknown): NightjarError {
  if (cause instanceof NightjarError) return cause
  const writes = /read-only mode$/.test(sentenceOf(cause))
  return new NightjarError(
    isEngineFault(cause) && !writes ? 'table_failed' : 'input_invalid',
    `Cannot run the query: ${engineSentence(cause)}`,
    { cause },
  )
}
