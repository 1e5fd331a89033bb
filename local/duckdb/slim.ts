import type { DuckDBConnection } from '@duckdb/node-api'

import { isFatal } from './faults.ts'

/** What the engine may hold when a transaction is over, and what it is pressed to. */
const roomyBytes = 48 * 1024 * 1024
const tight = '32MB'

/**
 * Have the engine give back what it only keeps in case. It caches every block that it has written,
 * up to its limit, and in the process that costs thrice as much: an hour of alerts held half a
 * gigabyte. Checkpointed blocks are dropped where the limit is lowered for a moment; a lower limit
 * for good would starve queries of nested rows. Not for while a query runs, which needs its memory.
 */
export async function slim(connection: DuckDBConnection, limit: string): Promise<void> {
  const held = await connection.runAndReadAll(
    'SELECT CAST(sum(memory_usage_bytes) AS DOUBLE) FROM duckdb_memory()',
  )
  if (Number(held.getRows()[0]?.[0]) < roomyBytes) return
  try {
    await connection.run('CHECKPOINT')
    await connection.run(`SET memory_limit = '${tight}'`)
  } catch (error) {
    // What cannot be given back now is given back later; only a dead instance is news.
    if (isFatal(error)) throw error
  } finally {
    await connection.run(`SET memory_limit = '${limit}'`)
  }
}
