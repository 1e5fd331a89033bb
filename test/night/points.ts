/**
 * The places at which a crash hurts most: between an effect and whatever lets it be forgotten. Each is
 * a name; `child.ts` wraps the ports of a broker so that it dies there.
 */
export const points = [
  'alert published, ledger not told',
  'ledger told by intake, not committed',
  'committed',
  'archive file linked, its row not written',
  'archived, not acked',
  'row stored, not acked',
  'ledger told by stage, not acked',
  'ledger rows on their way',
  'ledger row stored, not acked',
  'transient published, not acked',
  'light curve merged, fit not stored',
  'fit stored, no plot',
  'plot stored, no row',
  'fit row stored, not published',
  'fit published, not acked',
  'dead letter kept, ledger not told',
  'audit asked',
  'close record about to be stored',
  'close record stored',
] as const

export type Point = (typeof points)[number]

/** How often a point comes by in a small night, so that a crash there is likely to happen. */
export const passages: Record<Point, number> = {
  'alert published, ledger not told': 80,
  'ledger told by intake, not committed': 80,
  committed: 12,
  'archive file linked, its row not written': 60,
  'archived, not acked': 60,
  'row stored, not acked': 60,
  'ledger told by stage, not acked': 150,
  'ledger rows on their way': 200,
  'ledger row stored, not acked': 200,
  'transient published, not acked': 6,
  'light curve merged, fit not stored': 6,
  'fit stored, no plot': 6,
  'plot stored, no row': 2,
  'fit row stored, not published': 6,
  'fit published, not acked': 2,
  'dead letter kept, ledger not told': 10,
  'audit asked': 1,
  'close record about to be stored': 1,
  'close record stored': 1,
}
