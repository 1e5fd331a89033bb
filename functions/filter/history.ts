/**
 * What a filter may ask of an alert's history: aggregates over the detections that the packet carries,
 * its candidate and `prv_candidates`. They are told here and in SQL by the same rules, so that verdicts
 * are the same:
 *
 * - a detection has a Julian date, a filter (fid 1, 2, 3) and a magnitude that are known: not null, NaN,
 *   infinite, -999 or -99999;
 * - of several detections at one time in one filter the brightest counts.
 *
 * Only sums, differences and quotients of doubles are taken, which every engine does alike.
 */
export type Fields = Readonly<Record<string, unknown>>

export interface History {
  /** Detections, the candidate among them. */
  ndet: number
  /** Days from the first detection to the candidate. */
  age_days: number | null
  /** Magnitudes per day by which it brightened since the last detection before, in the same filter. */
  rise_rate: number | null
  /** Last g less last r magnitude, where they are at most a day apart. */
  g_r: number | null
}

export const historyNames = ['ndet', 'age_days', 'rise_rate', 'g_r'] as const

/** How far apart two magnitudes may be that make a colour (days). */
export const colourDays = 1

/** Values that ZTF writes for "none". */
export const noValues = [-999, -99999] as const

interface Detection {
  jd: number
  fid: number
  mag: number
}

/** The aggregates of a decoded ZTF packet. */
export function historyOf(record: Fields): History {
  const candidate = record['candidate']
  const previous = record['prv_candidates']
  const own = detectionOf(candidate)
  const before = Array.isArray(previous) ? previous.flatMap((one) => detectionOf(one) ?? []) : []
  const all = own === undefined ? before : [own, ...before]
  const jd = isPlainRecord(candidate) ? known(candidate['jd']) : undefined
  return {
    ndet: all.length,
    age_days:
      jd === undefined || all.length === 0
        ? null
        : jd - all.reduce((least, one) => Math.min(least, one.jd), Infinity),
    rise_rate: own === undefined ? null : riseRate(own, before),
    g_r: colour(all),
  }
}

function riseRate(own: Detection, before: readonly Detection[]): number | null {
  const last = latest(before.filter(({ fid, jd }) => fid === own.fid && jd < own.jd))
  return last === undefined ? null : (last.mag - own.mag) / (own.jd - last.jd)
}

function colour(all: readonly Detection[]): number | null {
  const g = latest(all.filter(({ fid }) => fid === 1))
  const r = latest(all.filter(({ fid }) => fid === 2))
  if (g === undefined || r === undefined || Math.abs(g.jd - r.jd) > colourDays) return null
  return g.mag - r.mag
}

function latest(detections: readonly Detection[]): Detection | undefined {
  let found: Detection | undefined
  for (const one of detections) {
    if (found === undefined || one.jd > found.jd || (one.jd === found.jd && one.mag < found.mag)) {
      found = one
    }
  }
  return found
}

function detectionOf(entry: unknown): Detection | undefined {
  if (!isPlainRecord(entry)) return undefined
  const jd = known(entry['jd'])
  const mag = known(entry['magpsf'])
  const fid = [1, 2, 3].find((number) => entry['fid'] == number)
  return jd === undefined || mag === undefined || fid === undefined || isText(entry['fid'])
    ? undefined
    : { jd, fid, mag }
}

export function isPlainRecord(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const isText = (value: unknown): boolean => typeof value === 'string'

function known(value: unknown): number | undefined {
  const number = typeof value === 'bigint' ? Number(value) : value
  if (typeof number !== 'number' || !Number.isFinite(number)) return undefined
  return noValues.some((none) => none === number) ? undefined : number
}
