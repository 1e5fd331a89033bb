/** The light curve as the fit takes it: signed difference fluxes, whatever the packet spelled them as. */
import { lightCurveOf, type LightCurvePoint } from '../../core/light-curve.ts'

/** ZTF's filters. */
export const bands = ['g', 'r', 'i'] as const
export type ZtfBand = (typeof bands)[number]

/** One brightness of an object at one time. */
export interface Measurement {
  band: ZtfBand
  /** From a detection, or forced at the object's place. */
  kind: 'detection' | 'forced'
  /** Julian date, UTC. */
  jd: number
  /** Difference flux, signed, nJy. */
  flux: number
  /** One deviation, above 0, nJy. */
  fluxErr: number
}

/** Modified Julian date, the scale of SNe fits, of a Julian date. */
export const mjdOf = (jd: number): number => jd - 2400000.5

/** What forced photometry that is good says of itself (`procstatus`); a flux of 56 has bad pixels under it. */
const goodStatus = '0'

/** No night lies outside: 1858 to 2270. */
const plausible = { from: 2400000.5, until: 2550000.5 }

/** The measurements of a decoded ZTF packet: its candidate, its 30 days of history, forced photometry. */
export function measurementsOf(record: Readonly<Record<string, unknown>>): Measurement[] {
  return lightCurveOf(record).flatMap((point) => measurementOf(point) ?? [])
}

function measurementOf(point: LightCurvePoint): Measurement | undefined {
  const { jd, kind, flux, fluxErr = NaN, status } = point
  const band = bands.find((known) => known === point.band)
  if (band === undefined || kind === 'limit' || flux === undefined) return undefined
  if (!(fluxErr > 0) || !Number.isFinite(fluxErr) || !Number.isFinite(flux)) return undefined
  if (kind === 'forced' && status !== undefined && status !== goodStatus) return undefined
  if (jd < plausible.from || jd > plausible.until) return undefined
  return { band, kind, jd, flux, fluxErr }
}

/**
 * One measurement an exposure: where both were made, the forced one, since it was made at the object's
 * place and not at the difference's brightest point. By ascending time.
 */
export function onePerExposure(measurements: readonly Measurement[]): Measurement[] {
  const chosen = new Map<string, Measurement>()
  for (const measurement of measurements) {
    const key = exposureOf(measurement)
    if (chosen.get(key)?.kind !== 'forced') chosen.set(key, measurement)
  }
  return [...chosen.values()].sort((a, b) => a.jd - b.jd)
}

/** The exposure of a measurement: filter and time to a second, which no two exposures share. */
export const exposureOf = ({ band, jd }: Measurement): string => `${band}${Math.round(jd * 86_400)}`
