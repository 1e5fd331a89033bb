/** The ledger of a night as sets of offsets, gathered by the engine itself, 32 offsets a row. */
import type { LateStage } from '../core/late-stage.ts'
import { noFit, outcomes, type Outcome } from '../core/ledger.ts'
import type { TopicWord } from '../core/names.ts'
import type { Night } from '../core/night.ts'
import { readsOf } from '../core/pipeline.ts'
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

/** What stands for a stage, in `setsOf`, where a topic has less than its writer's stored. */
export const publishedOn = (topic: TopicWord): string => `topic ${topic}`

type Query = (sql: string) => AsyncIterable<Record<string, unknown>>

/**
 * Read the sets of one night. The SQL is the same in BigQuery and DuckDB: offsets are folded into
 * words by the engine, so a million rows come over as 31,250.
 */
export async function readLedgerSets(
  query: Query,
  night: Night,
  ranges: readonly Range[],
  lateStages: readonly LateStage[] = [],
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

  const wordsOf = (stage: string, outcome: string, which: string): string => `
    SELECT ${stage} AS stage, ${outcome} AS outcome, kafka_topic, kafka_partition,
           kafka_offset >> 5 AS word, BIT_OR(1 << CAST(kafka_offset & 31 AS INT64)) AS bits
    FROM ledger WHERE night = '${night}' AND span = 1${which}
    GROUP BY 1, 2, kafka_topic, kafka_partition, word`
  for await (const row of query(wordsOf('stage', 'outcome', ''))) {
    const { low, high } = boundsOf(row)
    const word = BigInt(String(row['word']))
    const bits = Number(row['bits'])
    if (word >= low >> 5n && word < (high + 31n) >> 5n) bitmapOf(row).addWord(Number(word), bits)
    else strays += ones(bits)
  }
  if (lateStages.some(({ stage }) => readsOf(stage) === 'salt2')) {
    // The stage `salt2` stores every transient and publishes what could be fitted; its reason tells.
    const fitted = ` AND stage = 'salt2' AND outcome = 'stored'
      AND (reason IS NULL OR NOT STARTS_WITH(reason, '${noFit}'))`
    const fits = query(wordsOf(`'${publishedOn('salt2')}'`, "'published'", fitted))
    for await (const row of fits) {
      const { low, high } = boundsOf(row)
      const word = BigInt(String(row['word']))
      const inside = word >= low >> 5n && word < (high + 31n) >> 5n
      if (inside) bitmapOf(row).addWord(Number(word), Number(row['bits']))
    }
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
