/**
 * The public count: what a survey itself publishes of a night, days or hours after it, as a denominator
 * that does not come from Kafka. It is told, and decides nothing: a night's close rests on its proof.
 */
import { NightjarError } from '../core/errors.ts'
import type { Store } from '../core/ports.ts'
import type { NightRecord } from './night-record.ts'
import { isEnd } from './step.ts'

export interface PublicDifference {
  /** Alerts that the archive holds, each candid once, and that we hold. */
  archived: number
  ours: number
  /** In the archive and not with us; with us and not in the archive. Candids as decimal strings. */
  missing: { count: number; candids: string[] }
  extra: { count: number; candids: string[] }
  /** Members of the archive that are no alert, and the first of their names. */
  unreadable: { count: number; names: string[] }
}

export interface PublicCount {
  /** Where the archive is: a URL, or a file. */
  archive: string
  /** The close that was compared; the night's state where it was never closed. */
  of: string
  /** `absent`: the archive was not there. `reading`: somebody reads it, or died of it. */
  state: 'absent' | 'reading' | 'failed' | 'compared'
  /** When it was last tried, ISO 8601. */
  at: string
  /** How often it was tried, and how often it was there, for this close. */
  tries: number
  reads: number
  why?: string
  difference?: PublicDifference
}

/** Beside the night's reports. */
export const publicCountName = ({ survey, night }: Pick<NightRecord, 'survey' | 'night'>): string =>
  `report/${survey}_${night}/public.json`

export async function readPublicCount(
  store: Store,
  night: Pick<NightRecord, 'survey' | 'night'>,
): Promise<{ count: PublicCount | undefined; generation: string | null }> {
  const found = await store.read(publicCountName(night))
  if (found === null) return { count: undefined, generation: null }
  const count = JSON.parse(Buffer.from(found.data).toString()) as PublicCount
  return { count, generation: found.object.generation }
}

/** Write what is known now, if nobody has since it was read; answers the new generation. */
export async function writePublicCount(
  store: Store,
  night: Pick<NightRecord, 'survey' | 'night'>,
  count: PublicCount,
  generation: string | null,
): Promise<string | null> {
  const data = Buffer.from(`${JSON.stringify(count, null, 1)}\n`)
  return (await store.replace(publicCountName(night), data, generation))?.generation ?? null
}

/** What a comparison is of: after late alerts the night is compared once more. */
export const comparedOf = ({ closed, state }: NightRecord): string => closed?.digest ?? state

/** An archive that is not there yet is asked for again; one that cannot be read, a few times. */
const againMs = 3_600_000
const readingMs = 6 * 3_600_000
const mostTries = 72
const mostReads = 3

/** Whether a night that has ended is to be compared now. */
export function isCompareDue(
  record: NightRecord,
  count: PublicCount | undefined,
  now: number,
): boolean {
  if (!isEnd(record.state) || record.pending.length > 0) return false
  if (count === undefined || count.of !== comparedOf(record)) return true
  if (count.state === 'compared' || count.tries >= mostTries || count.reads >= mostReads) {
    return false
  }
  return now - Date.parse(count.at) >= (count.state === 'reading' ? readingMs : againMs)
}

/** The archive of a night. Throws `config_invalid` where the pattern does not say which night. */
export function archiveOf(pattern: string, night: string): string {
  if (pattern.includes('{night}')) return pattern.replaceAll('{night}', night)
  throw new NightjarError(
    'config_invalid',
    `Cannot tell the archives of two nights apart: "${pattern}" has no {night}`,
  )
}

/** What is known, as one sentence. */
export function publicSentence({ archive, state, why, difference }: PublicCount): string {
  if (difference === undefined || state !== 'compared') {
    if (state === 'absent') return `${archive} is not there yet (${why ?? 'nothing found'}).`
    if (state === 'failed') return `${archive} could not be read: ${why ?? 'no reason is known'}.`
    return `${archive} is being read, or whoever read it was ended.`
  }
  const { archived, ours, missing, extra, unreadable } = difference
  const of = `${number(archived)} alerts in ${archive}, ${number(ours)} with us`
  const broken =
    unreadable.count === 0 ? '' : `; ${number(unreadable.count)} of its files could not be read`
  if (missing.count === 0 && extra.count === 0) return `The same ${of}${broken}.`
  return (
    `${of}: ${number(missing.count)} there and not with us, ` +
    `${number(extra.count)} with us and not there${broken}.`
  )
}

const number = (value: number): string => value.toLocaleString('en-US')
