/** The ledger of a night as sets of offsets, gathered by the engine itself, 32 offsets a row. */
import { outcomes, type Outcome } from '../core/ledger.ts'
import type { Night } from '../core/night.ts'
import { createBitmap, type Bitmap } from './bitmap.ts'

export interface LedgerSets {
  /** The sets of a stage in a partition, by outcome; only outcomes that occurred. */
  setsOf(stage: string, topic: string, partition: number): ReadonlyMap<Outcome, Bitmap>
}

type Query = (sql: string) => AsyncIterable<Record<string, unknown>>

/**
 * Read the sets of one night. The SQL is the same in BigQuery and DuckDB: offsets are folded into
 * words by the engine, so a million rows come over as 31,250.
 */
export async function readLedgerSets(query: Query, night: Night): Promise<LedgerSets> {
  const sets = new Map<string, Map<Outcome, Bitmap>>()

  function bitmapOf(row: Record<string, unknown>): Bitmap {
    const key = keyOf(
      String(row['stage']),
      String(row['kafka_topic']),
      Number(row['kafka_partition']),
    )
    let byOutcome = sets.get(key)
    if (byOutcome === undefined) sets.set(key, (byOutcome = new Map()))
    const outcome = outcomes.find((known) => known === row['outcome'])
    if (outcome === undefined) throw new RangeError(`Unknown outcome ${String(row['outcome'])}`)
    let bitmap = byOutcome.get(outcome)
    if (bitmap === undefined) byOutcome.set(outcome, (bitmap = createBitmap()))
    return bitmap
  }

  const words = `
    SELECT stage, outcome, kafka_topic, kafka_partition,
           kafka_offset >> 5 AS word, BIT_OR(1 << CAST(kafka_offset & 31 AS INT64)) AS bits
    FROM ledger WHERE night = '${night}' AND span = 1
    GROUP BY stage, outcome, kafka_topic, kafka_partition, word`
  for await (const row of query(words)) {
    bitmapOf(row).addWord(Number(row['word']), Number(row['bits']))
  }
  const spans = `
    SELECT stage, outcome, kafka_topic, kafka_partition, kafka_offset, span
    FROM ledger WHERE night = '${night}' AND span > 1`
  for await (const row of query(spans)) {
    bitmapOf(row).addRange(BigInt(String(row['kafka_offset'])), Number(row['span']))
  }
  const none: ReadonlyMap<Outcome, Bitmap> = new Map()
  return { setsOf: (stage, topic, partition) => sets.get(keyOf(stage, topic, partition)) ?? none }
}

const keyOf = (stage: string, topic: string, partition: number): string =>
  `${stage}\0${topic}\0${partition}`
