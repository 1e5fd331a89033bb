/**
 * Where things stand above Palomar. Low-precision formulas are enough here: the Sun to 0.01 degree,
 * the Moon to a third of a degree (Astronomical Almanac, section C and D; Meeus, Astronomical
 * Algorithms, chapters 12, 25 and 47).
 */
const degree = Math.PI / 180

/** The Samuel Oschin telescope, degrees north and east, metres. */
export const palomar = { latitude: 33.3563, longitude: -116.865, altitude: 1712 } as const

/** Equatorial position, degrees. */
export interface Position {
  ra: number
  dec: number
}

/** Julian date (days, UTC) of a Unix time in milliseconds, and back. */
export const jdOfUnix = (ms: number): number => ms / 86_400_000 + 2440587.5
export const unixOfJd = (jd: number): number => Math.round((jd - 2440587.5) * 86_400_000)

/** Apparent position of the Sun. */
export function sun(jd: number): Position {
  const days = jd - 2451545
  const meanAnomaly = (357.528 + 0.9856003 * days) * degree
  const longitude =
    280.46 + 0.9856474 * days + 1.915 * Math.sin(meanAnomaly) + 0.02 * Math.sin(2 * meanAnomaly)
  return equatorial(longitude, 0, days)
}

/** Geocentric position of the Moon, leading terms only. */
export function moon(jd: number): Position {
  const days = jd - 2451545
  const mean = 218.316 + 13.176396 * days
  const anomaly = (134.963 + 13.064993 * days) * degree
  const node = (93.272 + 13.22935 * days) * degree
  return equatorial(mean + 6.289 * Math.sin(anomaly), 5.128 * Math.sin(node), days)
}

/** Lit fraction of the Moon's disc, 0 to 1. */
export function moonlight(jd: number): number {
  return (1 - Math.cos(separation(sun(jd), moon(jd)) * degree)) / 2
}

/** Altitude above Palomar's horizon, degrees, without refraction. */
export function altitude(at: Position, jd: number): number {
  const hourAngle = (siderealTime(jd) - at.ra) * degree
  const latitude = palomar.latitude * degree
  const dec = at.dec * degree
  const sine =
    Math.sin(latitude) * Math.sin(dec) + Math.cos(latitude) * Math.cos(dec) * Math.cos(hourAngle)
  return Math.asin(clip(sine)) / degree
}

/** Mean sidereal time at Palomar, degrees. */
export function siderealTime(jd: number): number {
  return wrap(280.46061837 + 360.98564736629 * (jd - 2451545) + palomar.longitude)
}

/** Relative air mass (Pickering 2002), which stays finite at the horizon. */
export function airmass(altitudeDegrees: number): number {
  const h = Math.max(altitudeDegrees, 0)
  return 1 / Math.sin((h + 244 / (165 + 47 * h ** 1.1)) * degree)
}

/** Angle between two positions, degrees. */
export function separation(a: Position, b: Position): number {
  const cosine =
    Math.sin(a.dec * degree) * Math.sin(b.dec * degree) +
    Math.cos(a.dec * degree) * Math.cos(b.dec * degree) * Math.cos((a.ra - b.ra) * degree)
  return Math.acos(clip(cosine)) / degree
}

/** Galactic latitude, degrees (pole of J2000: 192.859, +27.128). */
export function galacticLatitude(at: Position): number {
  return 90 - separation(at, { ra: 192.859, dec: 27.128 })
}

/** A position some degrees east and north of another on the tangent plane (gnomonic). */
export function offset(from: Position, east: number, north: number): Position {
  const xi = east * degree
  const eta = north * degree
  const dec = from.dec * degree
  const below = Math.cos(dec) - eta * Math.sin(dec)
  const ra = from.ra + Math.atan2(xi, below) / degree
  const up = Math.sin(dec) + eta * Math.cos(dec)
  return { ra: wrap(ra), dec: Math.atan2(up, Math.hypot(xi, below)) / degree }
}

function equatorial(longitude: number, latitude: number, days: number): Position {
  const obliquity = (23.439 - 0.0000004 * days) * degree
  const l = longitude * degree
  const b = latitude * degree
  const x = Math.cos(b) * Math.cos(l)
  const y = Math.cos(obliquity) * Math.cos(b) * Math.sin(l) - Math.sin(obliquity) * Math.sin(b)
  const z = Math.sin(obliquity) * Math.cos(b) * Math.sin(l) + Math.cos(obliquity) * Math.sin(b)
  return { ra: wrap(Math.atan2(y, x) / degree), dec: Math.asin(clip(z)) / degree }
}

const clip = (value: number): number => Math.min(1, Math.max(-1, value))
const wrap = (angle: number): number => ((angle % 360) + 360) % 360
