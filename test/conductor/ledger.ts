/** Ledgers made by hand. */
import { createBitmap, type Bitmap } from '../../conductor/bitmap.ts'
import type { LedgerSets } from '../../conductor/ledger-sets.ts'
import type { Outcome } from '../../core/ledger.ts'

export const topic = 'ztf_20261121_programid1'

/** Offsets, or runs of them as [first, count]. */
export type Offsets = readonly (number | bigint | readonly [number | bigint, number])[]

/** stage → partition → outcome → offsets, of one Kafka topic. */
export type HandMade = Record<string, Record<number, Partial<Record<Outcome, Offsets>>>>

/** A ledger as the audit reads it. */
export function ledgerOf(made: HandMade, kafkaTopic = topic): LedgerSets {
  return {
    strays: 0,
    setsOf(stage, of, partition) {
      const entries = of === kafkaTopic ? Object.entries(made[stage]?.[partition] ?? {}) : []
      return new Map(entries.map(([outcome, offsets]) => [outcome as Outcome, bitmapOf(offsets)]))
    },
  }
}

function bitmapOf(offsets: Offsets): Bitmap {
  const bitmap = createBitmap()
  for (const each of offsets) {
    const [first, count] = typeof each === 'object' ? each : [each, 1]
    bitmap.addRange(BigInt(first), count)
  }
  return bitmap
}
