/**
 * The light curve that a packet carries: ZTF's candidate with its history and forced photometry, or
 * LSST's sources and forced sources. Times are Julian dates in the survey's own scale (ZTF: UTC; LSST:
 * TAI, JD = MJD + 2400000.5).
 */

/** A filter: ZTF's g, r, i are 1, 2, 3 and have names; LSST's are ugrizy. */
export type Band = 'u' | 'g' | 'r' | 'i' | 'z' | 'y'

export interface LightCurvePoint {
  jd: number
  band: Band
  /** ZTF's number of the filter; LSST has none. */
  fid?: number
  kind: 'detection' | 'limit' | 'forced'
  /** AB magnitude of the absolute difference, and its deviation. */
  mag?: number
  magErr?: number
  /** Faintest detectable AB magnitude. */
  limit?: number
  /** Difference flux, signed, nJy. */
  flux?: number
  fluxErr?: number
  /** The object was brighter than in the reference image. */
  positive: boolean
  /** What ZTF's forced photometry says of itself, `procstatus`: 0 is good. */
  status?: string
}

/**
 * Read `isdiffpos` in all its spellings: `t` and `1` are brighter, `f` and `0` fainter than the
 * reference; anything else, null for one, says nothing.
 */
export function isPositive(isdiffpos: unknown): boolean | null {
  if (isdiffpos === 't' || isdiffpos === '1') return true
  return isdiffpos === 'f' || isdiffpos === '0' ? false : null
}

/** Every point of a decoded packet, by ascending time; what cannot be read as a point is left out. */
export function lightCurveOf(record: Readonly<Record<string, unknown>>): LightCurvePoint[] {
  const points = [
    ...listOf(record['candidate']).map(ztfPoint),
    ...listOf(record['prv_candidates']).map(ztfPoint),
    ...listOf(record['fp_hists']).map(ztfForced),
    ...listOf(record['diaSource']).map((source) => lsstPoint(source, 'detection')),
    ...listOf(record['prvDiaSources']).map((source) => lsstPoint(source, 'detection')),
    ...listOf(record['prvDiaForcedSources']).map((source) => lsstPoint(source, 'forced')),
  ]
  return points.filter((point) => point !== undefined).sort((a, b) => a.jd - b.jd)
}

type Entry = Readonly<Record<string, unknown>>

function ztfPoint(entry: Entry): LightCurvePoint | undefined {
  const at = ztfEpoch(entry)
  if (!at) return undefined
  const limit = value(entry['diffmaglim'])
  const mag = value(entry['magpsf'])
  if (mag === undefined) {
    return limit === undefined ? undefined : { ...at, kind: 'limit', limit, positive: true }
  }
  const magErr = value(entry['sigmapsf'])
  const positive = isPositive(entry['isdiffpos']) ?? true
  return {
    ...at,
    kind: 'detection',
    mag,
    ...(magErr === undefined ? {} : { magErr }),
    ...(limit === undefined ? {} : { limit }),
    ...fluxOf(mag, magErr, positive),
    positive,
  }
}

/** Forced photometry is in DN; the zero point makes it nJy. */
function ztfForced(entry: Entry): LightCurvePoint | undefined {
  const at = ztfEpoch(entry)
  const counts = value(entry['forcediffimflux'])
  const zeroPoint = value(entry['magzpsci'])
  if (!at || counts === undefined || zeroPoint === undefined) return undefined
  const scale = 10 ** (0.4 * (nanojanskyZeroPoint - zeroPoint))
  const noise = value(entry['forcediffimfluxunc'])
  const limit = value(entry['diffmaglim'])
  const status = entry['procstatus']
  return {
    ...forced(at, counts * scale, noise === undefined ? undefined : noise * scale),
    ...(limit === undefined ? {} : { limit }),
    ...(typeof status === 'string' ? { status } : {}),
  }
}

function ztfEpoch(entry: Entry): Pick<LightCurvePoint, 'jd' | 'band' | 'fid'> | undefined {
  const jd = value(entry['jd'])
  const fid = value(entry['fid'])
  const band = fid === undefined ? undefined : (['g', 'r', 'i'] as const)[fid - 1]
  return jd === undefined || fid === undefined || band === undefined ? undefined : { jd, band, fid }
}

function lsstPoint(entry: Entry, kind: 'detection' | 'forced'): LightCurvePoint | undefined {
  const mjd = value(entry['midpointMjdTai']) ?? value(entry['midPointTai'])
  const flux = value(entry['psfFlux']) ?? value(entry['psFlux'])
  const band = bandOf(entry['band'] ?? entry['filterName'])
  if (mjd === undefined || flux === undefined || band === undefined) return undefined
  const fluxErr = value(entry['psfFluxErr']) ?? value(entry['psFluxErr'])
  return { ...forced({ jd: mjd + 2400000.5, band }, flux, fluxErr), kind }
}

/** A point from a flux; it has a magnitude where the flux is above or below nothing at all. */
function forced(
  at: Pick<LightCurvePoint, 'jd' | 'band' | 'fid'>,
  flux: number,
  fluxErr: number | undefined,
): LightCurvePoint {
  const size = Math.abs(flux)
  return {
    ...at,
    kind: 'forced',
    ...(size > 0 ? { mag: nanojanskyZeroPoint - 2.5 * Math.log10(size) } : {}),
    ...(size > 0 && fluxErr !== undefined ? { magErr: (magsPerLn * fluxErr) / size } : {}),
    flux,
    ...(fluxErr === undefined ? {} : { fluxErr }),
    positive: flux >= 0,
  }
}

function fluxOf(
  mag: number,
  magErr: number | undefined,
  positive: boolean,
): Pick<LightCurvePoint, 'flux' | 'fluxErr'> {
  const size = 10 ** (0.4 * (nanojanskyZeroPoint - mag))
  const flux = positive ? size : -size
  return magErr === undefined ? { flux } : { flux, fluxErr: (size * magErr) / magsPerLn }
}

/** AB magnitude of 1 nJy, and magnitudes in one unit of ln flux. */
const nanojanskyZeroPoint = 31.4
const magsPerLn = 2.5 / Math.LN10

function bandOf(name: unknown): Band | undefined {
  return (['u', 'g', 'r', 'i', 'z', 'y'] as const).find((band) => band === name)
}

/** A number that is one: null, NaN and ZTF's -999 and -99999 are not. */
function value(field: unknown): number | undefined {
  if (typeof field !== 'number' || !Number.isFinite(field)) return undefined
  return field === -999 || field === -99999 ? undefined : field
}

function listOf(field: unknown): Entry[] {
  const items: unknown[] = Array.isArray(field) ? field : [field]
  return items.filter((item) => typeof item === 'object' && item !== null) as Entry[]
}
