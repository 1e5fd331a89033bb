/** One 30 s exposure and what the sky let through: everything a measurement depends on. */
import type { Field } from './fields.ts'
import type { Random } from './random.ts'
import { airmass, altitude, moon, moonlight } from './sky.ts'

/** ZTF's filters: 1 = g, 2 = r, 3 = i. */
export type Fid = 1 | 2 | 3

export const exposureSeconds = 30

export interface Exposure {
  /** Start, Julian date UTC, rounded to the 1e-7 day that packets carry. */
  jd: number
  field: Field
  fid: Fid
  altitude: number
  airmass: number
  /** FWHM of a star, arcsec. */
  seeing: number
  /** Faintest star at 5 sigma in the difference image, AB mag. */
  limit: number
  /** Magnitude of 1 DN. */
  zeroPoint: number
  /** Sky level, DN per pixel. */
  background: number
}

const darkLimit: Record<Fid, number> = { 1: 20.8, 2: 20.6, 3: 19.9 }
const darkBackground: Record<Fid, number> = { 1: 95, 2: 180, 3: 330 }
const zeroPoint: Record<Fid, number> = { 1: 26.33, 2: 26.32, 3: 25.69 }
const extinction: Record<Fid, number> = { 1: 0.17, 2: 0.1, 3: 0.06 }

/**
 * Expose a field. Seeing is lognormal about 2.0 arcsec at zenith, grows with airmass^0.6; the Moon, the
 * seeing and the air take from ZTF's dark-time limits 20.8, 20.6, 19.9 mag (Bellm et al. 2019).
 */
export function expose(at: { jd: number; field: Field; fid: Fid }, random: Random): Exposure {
  const { field, fid } = at
  const jd = Math.round(at.jd * 1e7) / 1e7
  const height = altitude(field.centre, jd)
  const air = airmass(height)
  const seeing = 1.95 * air ** 0.6 * Math.exp(0.13 * random.normal())
  const moonHeight = Math.max(0, Math.sin((altitude(moon(jd), jd) * Math.PI) / 180))
  const moonshine = moonlight(jd) ** 1.5 * moonHeight * (fid === 1 ? 1 : fid === 2 ? 0.6 : 0.3)
  const cloud = random.chance(0.06) ? random.exponential(0.35) : 0
  const limit =
    darkLimit[fid] -
    moonshine -
    1.25 * Math.log10(seeing / 1.95) -
    extinction[fid] * (air - 1) -
    cloud +
    0.08 * random.normal()
  return {
    jd,
    field,
    fid,
    altitude: height,
    airmass: air,
    seeing,
    limit,
    zeroPoint: zeroPoint[fid] - extinction[fid] * air - 0.6 * cloud + 0.02 * random.normal(),
    background: darkBackground[fid] * (1 + 2.2 * moonshine) * random.between(0.95, 1.1),
  }
}

/** One sigma of a point source's flux, DN: the limit is five of them. */
export function fluxNoise({ limit, zeroPoint }: Exposure): number {
  return 10 ** (0.4 * (zeroPoint - limit)) / 5
}

/** Night number, as ZTF counts: days since JD 2457754.5 (2017-01-01). */
export function nightNumber(jd: number): number {
  return Math.floor(jd - 2457754.5)
}

/** Number of a processed image: night, hundred-thousandths of the day, channel, and always 15. */
export function processingId(jd: number, rcid: number): bigint {
  const fraction = Math.floor((jd - 2457754.5 - nightNumber(jd)) * 1e5)
  return BigInt(nightNumber(jd)) * 1_000_000_000n + BigInt(fraction * 10_000 + rcid * 100 + 15)
}

/**
 * The id of an alert: the processed image, 15 or 10 by the sign of the difference, and the number of
 * the source. So jd = 2457754.5 + candid / 1e15, to 2e-5 day.
 */
export function candidOf(pid: bigint, positive: boolean, source: number): bigint {
  return pid * 1_000_000n + BigInt((positive ? 15_000 : 10_000) + source)
}
