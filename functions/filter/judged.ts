/**
 * How a ledger event says by which filters an alert was judged, and which of them selected it: the word
 * of the bank, and behind a colon their names with versions or, where those are too many for an event,
 * the bank's filters as bits, the first one being the lowest of the first digit.
 *
 *     bank 4f1c0b7e9a2d
 *     bank 4f1c0b7e9a2d: rising@1, virgo@3
 *     bank 4f1c0b7e9a2d: #0f00c1
 */
import type { Bank, LiveFilter } from './registry.ts'

/** A ledger event keeps 1,000 characters of its reason. */
const mostNamed = 900

/** What the ledger is told. `selected` says it of each filter of the bank. */
export function formatJudged({ bank, filters }: Bank, selected: readonly boolean[]): string {
  const named = filters.filter((_, i) => selected[i]).map(nameOf)
  if (named.length === 0) return `bank ${bank}`
  const text = named.join(', ')
  return `bank ${bank}: ${text.length <= mostNamed ? text : `#${toBits(selected)}`}`
}

export interface Judged {
  bank: string
  /** Whether a filter of the bank selected the alert. */
  selected(filter: LiveFilter, index: number): boolean
}

/** Read it again; undefined for what was not judged, such as a dead letter's reason. */
export function parseJudged(reason: string): Judged | undefined {
  const { bank, bits, names } =
    /^bank (?<bank>[0-9a-f]+)(?:: (?:#(?<bits>[0-9a-f]+)|(?<names>.+)))?$/.exec(reason)?.groups ??
    {}
  if (bank === undefined) return undefined
  if (bits !== undefined) {
    return {
      bank,
      selected: (_, i) => ((Number.parseInt(bits[i >> 2] ?? '0', 16) >> (i & 3)) & 1) === 1,
    }
  }
  const named = new Set(names?.split(', '))
  return { bank, selected: (filter) => named.has(nameOf(filter)) }
}

const nameOf = ({ name, version }: Pick<LiveFilter, 'name' | 'version'>): string =>
  `${name}@${version}`

function toBits(selected: readonly boolean[]): string {
  let text = ''
  for (let i = 0; i < selected.length; i += 4) {
    let digit = 0
    for (let bit = 0; bit < 4; bit++) if (selected[i + bit] === true) digit |= 1 << bit
    text += digit.toString(16)
  }
  return text
}
