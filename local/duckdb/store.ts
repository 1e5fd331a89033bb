/** A batch of rows into their tables, in one transaction, and what became of each. */
import { setImmediate as turn } from 'node:timers/promises'

import type { DuckDBConnection } from '@duckdb/node-api'

import { NightjarError } from '../../core/errors.ts'
import { keyOf, type Row, type RowShape } from '../../core/row.ts'
import type { Catalog, ReadyTable } from './catalog.ts'
import { inTransaction } from './catalog.ts'
import { storedKeys } from './duplicates.ts'
import { engineSentence, isEngineFault, isOutOfMemory } from './faults.ts'
import { catalogName } from './warehouse.ts'
import { chunkRows } from './writer.ts'

/** A row and the promise that stands for it. */
export interface Pending {
  row: Row
  resolve: (outcome: 'stored' | 'duplicate') => void
  reject: (error: NightjarError) => void
}

interface Destination {
  connection: DuckDBConnection
  catalog: Catalog
  dataset: string
}

/**
 * Store a batch and settle each of its rows, after the commit. Where the batch as a whole fails by
 * the fault of a row it is halved until that row is alone: the good ones are stored, it is rejected.
 */
export async function storeBatch(to: Destination, batch: readonly Pending[]): Promise<void> {
  if (batch.length === 0) return
  try {
    const outcomes = await storeOnce(to, batch)
    for (const [at, { resolve }] of batch.entries()) resolve(outcomes[at] ?? 'stored')
  } catch (error) {
    const [only, ...others] = batch
    if (!mayBeOneRow(error, batch.length)) throw error
    if (only !== undefined && others.length === 0) return only.reject(rowRejected(only.row, error))
    const half = batch.length >> 1
    await storeBatch(to, batch.slice(0, half))
    await storeBatch(to, batch.slice(half))
  }
}

async function storeOnce(
  { connection, catalog, dataset }: Destination,
  batch: readonly Pending[],
): Promise<('stored' | 'duplicate')[]> {
  const outcomes = new Array<'stored' | 'duplicate'>(batch.length).fill('stored')
  const byShape = Map.groupBy(batch.keys(), (at) => (batch[at] as Pending).row.shape)
  // A table that has to grow does so first and by itself: DuckDB takes no rows into a table that the
  // same transaction has altered.
  const tables = new Map<RowShape, ReadyTable>()
  for (const shape of byShape.keys()) await catalog.ready(connection, shape)
  for (const shape of byShape.keys()) tables.set(shape, await catalog.ready(connection, shape))

  await inTransaction(connection, async () => {
    const seen = new Map<string, Set<string>>()
    for (const [shape, places] of byShape) {
      const table = tables.get(shape) as ReadyTable
      const rows = places.map((at) => (batch[at] as Pending).row)
      const keys = rows.map(keyOf)
      const stored = await storedKeys(connection, dataset, table.peers, shape, rows)
      const kind = shape.view ?? shape.table
      const inBatch = seen.get(kind) ?? new Set<string>()
      seen.set(kind, inBatch)
      const fresh = rows.filter((_, i) => {
        const key = keys[i]
        if (key === undefined) return true
        if (!stored.has(key) && !inBatch.has(key)) return inBatch.add(key)
        outcomes[places[i] as number] = 'duplicate'
        return false
      })
      await append(connection, dataset, table, fresh)
    }
  })
  return outcomes
}

async function append(
  connection: DuckDBConnection,
  dataset: string,
  { name, fill }: ReadyTable,
  rows: readonly Row[],
): Promise<void> {
  if (rows.length === 0) return
  const appender = await connection.createAppender(name, dataset, catalogName)
  try {
    for (let at = 0; at < rows.length; at += chunkRows) {
      appender.appendDataChunk(fill(rows.slice(at, at + chunkRows).map(({ values }) => values)))
      await turn()
    }
    appender.flushSync()
  } catch (error) {
    appender.clear()
    throw error
  } finally {
    appender.closeSync()
  }
}

/** Half a batch may fit where a whole one takes more memory than the engine has. */
function mayBeOneRow(error: unknown, rows: number): boolean {
  if (error instanceof NightjarError) return error.code !== 'table_failed'
  return !isEngineFault(error) || (rows > 1 && isOutOfMemory(error))
}

/** Reject those of a batch that are not settled yet, for a fault of the disk or the engine. */
export function rejectAll(batch: readonly Pending[], error: unknown): void {
  const failed = tableFailed(error)
  for (const { reject } of batch) reject(failed)
}

function tableFailed(error: unknown): NightjarError {
  if (error instanceof NightjarError) return error
  return new NightjarError('table_failed', `Cannot store rows: ${engineSentence(error)}`, {
    cause: error,
  })
}

function rowRejected({ shape }: Row, error: unknown): NightjarError {
  if (error instanceof NightjarError) return error
  return new NightjarError(
    'row_rejected',
    `Cannot store the row in "${shape.table}": ${engineSentence(error)}`,
    { cause: error },
  )
}
