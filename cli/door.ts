/**
 * Verbs ask a running broker through its door, because it alone may open the warehouse; where none
 * runs they open the warehouse themselves.
 */
import { datasetName } from '../core/names.ts'
import type { Broker, Ground } from '../local/broker.ts'
import { doorPath, openQueries, serveDoor } from '../local/door.ts'

export interface HomeQueries {
  query(sql: string): AsyncIterable<Record<string, unknown>>
  close(): Promise<void>
}

/** Answer the queries of other processes for as long as the broker runs. */
export async function serveHome(
  ground: Ground,
  broker: Broker,
): Promise<{ close(): Promise<void> }> {
  return serveDoor({
    socket: doorPath(ground.home.path),
    handlers: { query: (sql) => broker.table.query(String(sql)) },
  })
}

/** Ask the warehouse of a home, through the door or directly. */
export function openHomeQueries({ home, at }: Pick<Ground, 'home' | 'at'>): Promise<HomeQueries> {
  return openQueries({ home: home.path, file: home.warehouse, dataset: datasetName(at) })
}
