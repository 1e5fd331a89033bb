/**
 * The original broker's extragalactic transient filter and purity cuts, as pure arithmetic on a decoded
 * ZTF packet. They go back to ZTF's own filtering notebook (`is_transient`) and to F. Masci's purity
 * recommendation. A missing value, whether null, absent, NaN or the survey's -999, is "not known".
 */
import { isPositive } from '../../core/light-curve.ts'

export interface Cuts {
  /** The difference is brighter than the template. */
  is_positive_sub: boolean
  /** No star-like source of PS1 within 1.5 arcsec. */
  no_pointsource_counterpart: boolean
  /** Two positive detections, one after the other, at least 30 minutes apart. */
  not_moving: boolean
  /** No known solar-system object within 5 arcsec. */
  no_ssobject: boolean
  /** Likely no artefact. Beside the verdict, not part of it. */
  is_pure: boolean
}

type Fields = Readonly<Record<string, unknown>>

const halfHour = 30 / (24 * 60)

/** Judge a packet. Throws nothing: a field that is not there is not known. */
export function judgeCuts(record: Fields): Cuts {
  const candidate = (record['candidate'] ?? {}) as Fields
  const previous = record['prv_candidates']
  // Null at a first detection; some rewriters make a record of columns of it, which tells no epochs.
  const history = Array.isArray(previous) ? (previous as readonly Fields[]) : []
  return {
    is_positive_sub: isPositive(candidate['isdiffpos']) === true,
    no_pointsource_counterpart: !hasPointSource(candidate),
    not_moving: longestGap([candidate, ...history]) >= halfHour,
    no_ssobject: !hasSolarSystemObject(candidate),
    is_pure: isPure(candidate),
  }
}

/** The filter's verdict: all cuts but purity. */
export function isTransient(cuts: Cuts): boolean {
  const { is_positive_sub, no_pointsource_counterpart, not_moving, no_ssobject } = cuts
  return is_positive_sub && no_pointsource_counterpart && not_moving && no_ssobject
}

/** The names of the cuts that an alert failed. */
export function failedCuts(cuts: Cuts): string[] {
  const { is_pure: _, ...required } = cuts
  return Object.entries(required).flatMap(([name, passed]) => (passed ? [] : [name]))
}

function hasPointSource(candidate: Fields): boolean {
  const distance = known(candidate['distpsnr1'])
  const starness = known(candidate['sgscore1'])
  if (distance === undefined || distance > 1.5) return false
  // A neighbour of unknown kind is no known star.
  return starness !== undefined && starness >= 0.5
}

/**
 * The longest time (days) from one positive detection to the next. As in the original, the epochs
 * stand as they do in the packet: the candidate, then its history by ascending time. So the step from
 * the candidate to its history is negative and does not count; two detections in the history do.
 */
function longestGap(epochs: readonly Fields[]): number {
  let longest = -Infinity
  let previous: number | undefined
  for (const epoch of epochs) {
    if (isPositive(epoch['isdiffpos']) !== true) continue
    const jd = known(epoch['jd'])
    if (jd === undefined) continue
    if (previous !== undefined) longest = Math.max(longest, jd - previous)
    previous = jd
  }
  return longest
}

function hasSolarSystemObject(candidate: Fields): boolean {
  const distance = known(candidate['ssdistnr'])
  return distance !== undefined && distance >= 0 && distance <= 5
}

function isPure(candidate: Fields): boolean {
  const rb = known(candidate['rb'])
  const nbad = known(candidate['nbad'])
  const fwhm = known(candidate['fwhm'])
  const elong = known(candidate['elong'])
  const magdiff = known(candidate['magdiff'])
  if (rb === undefined || nbad === undefined || fwhm === undefined) return false
  if (elong === undefined || magdiff === undefined) return false
  return rb >= 0.65 && nbad === 0 && fwhm <= 5 && elong <= 1.2 && Math.abs(magdiff) <= 0.1
}

function known(value: unknown): number | undefined {
  if (typeof value !== 'number' || Number.isNaN(value) || value === -999) return undefined
  return value
}
