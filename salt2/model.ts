import type { Bandpass } from './bandpass.ts'
import { bandTable, covers, lastOf, type Axis, type BandTable } from './band-table.ts'
import type { Source } from './source.ts'

/** A SALT model ready to be fitted: compact tables, or the full model they are made from. */
export interface Model {
  /** For rows and captions: `salt2-4`, `salt3-f22`. */
  readonly name: string
  /** What to cite. */
  readonly citation: string
  /** The bandpasses it knows. */
  readonly bands: readonly string[]
  /** Redshifts within which it can be fitted. */
  readonly redshiftRange: readonly [number, number]
  /** The table of a band for a range of redshifts; undefined where the band is unknown or not covered. */
  table(band: string, min: number, max: number): BandTable | undefined
}

/** A model of tables alone. */
export function tableModel(name: string, citation: string, tables: readonly BandTable[]): Model {
  const byBand = new Map(tables.map((table) => [table.band, table]))
  return {
    name,
    citation,
    bands: [...byBand.keys()],
    redshiftRange: [
      Math.max(...tables.map(({ redshifts }) => redshifts.first)),
      Math.min(...tables.map(({ redshifts }) => lastOf(redshifts))),
    ],
    table(band, min, max) {
      const table = byBand.get(band)
      return table !== undefined && holds(table.redshifts, min, max) ? table : undefined
    },
  }
}

/** Redshifts of a table as it is usually made, and the number of its terms: errors below 1e-4 mag. */
export const usualRedshifts: Axis = { first: 0, step: 0.0025, count: 101 }
export const usualTerms = 12

/** Beyond it a table would take long to make, and the fit is for nearby supernovae. */
const highestRedshift = 2

/** So many tables of unusual redshifts are kept; each takes some megabytes. */
const keptTables = 24

/**
 * The full model with bandpasses of one's own. Tables are made when a band is first asked for (a tenth of a
 * second each), for z 0 … 0.25 or, where that does not hold what is asked for, for just those redshifts.
 */
export function sourceModel(source: Source, citation: string, bands: readonly Bandpass[]): Model {
  const byBand = new Map(bands.map((band) => [band.name, band]))
  const kept = new Map<string, BandTable>()
  return {
    name: source.name,
    citation,
    bands: [...byBand.keys()],
    redshiftRange: [0, highestRedshift],
    table(name, min, max) {
      const band = byBand.get(name)
      if (band === undefined) return undefined
      const usual = holds(usualRedshifts, min, max)
      const redshifts = usual ? usualRedshifts : around(min, max)
      if (!covers(source, band, redshifts.first, lastOf(redshifts))) return undefined
      const key = `${name} ${redshifts.first} ${redshifts.count}`
      const known = kept.get(key)
      if (known !== undefined) return known
      const made = bandTable(source, band, redshifts, usualTerms)
      kept.set(key, made)
      const oldest = kept.keys().next().value
      if (kept.size > keptTables && oldest !== undefined) kept.delete(oldest)
      return made
    },
  }
}

const holds = (axis: Axis, min: number, max: number): boolean =>
  min >= axis.first && max <= lastOf(axis)

/** The least axis of the usual step around redshifts; at least the four that a cubic needs. */
function around(min: number, max: number): Axis {
  const { step } = usualRedshifts
  const first = Math.max(0, min - step)
  return { first, step, count: Math.max(4, Math.ceil((max - first) / step) + 2) }
}
