/**
 * Verbs ask a running broker through its door, because it alone may open the warehouse; where none
 * runs they open the warehouse themselves.
 */
import { datasetName } from '../core/names.ts'
import type { Ground } from '../local/broker.ts'
import { openQueries } from '../local/door.ts'

export interface HomeQueries {
  query(sql: string): AsyncIterable<Record<string, unknown>>
  close(): Promise<void>
}

/** Ask the warehouse of a home, through the door or directly. */
export function openHomeQueries({ home, at }: Pick<Ground, 'home' | 'at'>): Promise<HomeQueries> {
  return openQueries({ home: home.path, file: home.warehouse, dataset: datasetName(at) })
}
