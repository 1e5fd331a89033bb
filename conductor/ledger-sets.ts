/** The ledger of a night as sets of offsets, gathered by the engine itself, 32 offsets a row. */
import { outcomes, type Outcome } from '../core/ledger.ts'
import type { Night } from '../core/night.ts'
import type { Range } from './audit.ts'
import { createBitmap, ones, type Bitmap } from './bitmap.ts'

export interface LedgerSets {
  /** The sets of a stage in a partition, by outcome; only outcomes that occurred. */
  setsOf(stage: string, topic: string, partition: number): ReadonlyMap<Outcome, Bitmap>
  /**
   * Occurrences that the ledger knows far outside the watermarks: a foreign message on a topic. They are
   * counted and left out, since one wild offset must not make a bitmap as wide as itself.
   */
  strays: number
}

type Query = (sql: string) => AsyncIterable<Record<string, unknown>>

/**
 * Read the sets of one night. The SQL is the same in BigQuery and DuckDB: offsets are folded into
 * words by the engine, so a million rows come over as 31,250.
 */
export async function readLedgerSets(
  query: Query,
  night: Night,
  ranges: readonly Range[],
): Promise<LedgerSets> {
  const sets = new Map<string, Map<Outcome, Bitmap>>()
  const bounds = new Map(ranges.map((range) => [partitionOf(range.topic, range.partition), range]))
  let strays = 0

  const boundsOf = (row: Record<string, unknown>): { low: bigint; high: bigint } =>
    bounds.get(partitionOf(String(row['kafka_topic']), Number(row['kafka_partition']))) ?? nowhere

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
    const { low, high } = boundsOf(row)
    const word = BigInt(String(row['word']))
    const bits = Number(row['bits'])
    if (word >= low >> 5n && word < (high + 31n) >> 5n) bitmapOf(row).addWord(Number(word), bits)
    else strays += ones(bits)
  }
  const spans = `
    SELECT stage, outcome, kafka_topic, kafka_partition, kafka_offset, span
    FROM ledger WHERE night = '${night}' AND span > 1`
  for await (const row of query(spans)) {
    const { low, high } = boundsOf(row)
    const first = BigInt(String(row['kafka_offset']))
    const end = first + BigInt(String(row['span']))
    const from = first > low ? first : low
    const inside = Number((end < high ? end : high) - from)
    if (inside > 0) bitmapOf(row).addRange(from, inside)
    strays += Number(end - first) - Math.max(inside, 0)
  }
  const none: ReadonlyMap<Outcome, Bitmap> = new Map()
  return {
    strays,
    setsOf: (stage, topic, partition) => sets.get(keyOf(stage, topic, partition)) ?? none,
  }
}

/** The bounds of a partition that no source knows. */
const nowhere = { low: 0n, high: 0n }

const partitionOf = (topic: string, partition: number): string => `${topic}\0${partition}`

const keyOf = (stage: string, topic: string, partition: number): string =>
  `${stage}\0${topic}\0${partition}`
