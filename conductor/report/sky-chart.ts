/** Where on the sky the night's alerts lie, in Mollweide's equal-area projection, east to the left. */
import { healpixCentre } from '../../core/healpix.ts'
import type { NightReport } from './gather.ts'

const radius = 150
const width = 4 * radius + 20
const height = 2 * radius + 20

/** The map: the fuller a pixel the darker; a red ring where a stage still owes an account. */
export function skyChart({ order, pixels }: NightReport['sky']): string {
  if (pixels.length === 0) return '<p class="none">No alert of this night has a position.</p>'
  const most = Math.max(...pixels.map(({ alerts }) => alerts))
  let svg = `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="Alerts on the sky">`
  svg += `<ellipse class="sky" cx="${width / 2}" cy="${height / 2}" rx="${2 * radius}" ry="${radius}"/>`
  for (const dec of [-60, -30, 0, 30, 60])
    svg += line(range(-180, 180).map((ra) => [ra + 180, dec]))
  for (let ra = 0; ra < 360; ra += 60) svg += line(range(-90, 90).map((dec) => [ra, dec]))
  // Pixels of the equator's row touch; those of the rows between fill the gaps.
  const size = (0.5 * radius) / 2 ** order
  for (const { pixel, alerts, owed } of pixels) {
    const { ra, dec } = healpixCentre(order, pixel)
    const [x, y] = project(ra, dec)
    const weight = (0.25 + 0.75 * Math.sqrt(alerts / most)).toFixed(2)
    const label = `RA ${ra.toFixed(0)}°, Dec ${dec.toFixed(0)}°: ${alerts} alerts${owed > 0 ? `, ${owed} owed` : ''}`
    const ring = owed > 0 ? ' class="owed"' : ''
    svg += `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="${size.toFixed(1)}" fill-opacity="${weight}"${ring}><title>${label}</title></circle>`
  }
  for (const ra of [0, 90, 180, 270]) {
    const [x, y] = project(ra, 0)
    svg += `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" dy="-0.3em" text-anchor="middle">${ra}°</text>`
  }
  return `${svg}</svg>`
}

/** Mollweide (Snyder 1987, USGS PP 1395, eq. 31-1 to 31-3), RA 180° in the middle. */
export function project(ra: number, dec: number): [number, number] {
  const latitude = (dec * Math.PI) / 180
  const aim = Math.PI * Math.sin(latitude)
  let theta = latitude
  // Newton's method is slow at the poles only, where the answer is known.
  if (Math.abs(dec) < 89.99) {
    for (let i = 0; i < 12; i++) {
      theta -= (2 * theta + Math.sin(2 * theta) - aim) / (2 + 2 * Math.cos(2 * theta))
    }
  }
  const longitude = ((((ra % 360) + 360) % 360) - 180) / 180
  const x = width / 2 - 2 * radius * longitude * Math.cos(theta)
  return [x, height / 2 - radius * Math.sin(theta)]
}

function line(points: readonly (readonly number[])[]): string {
  const text = points.map(([ra = 0, dec = 0]) =>
    project(Math.min(ra, 359.999), dec)
      .map((value) => value.toFixed(1))
      .join(','),
  )
  return `<polyline class="grid" fill="none" points="${text.join(' ')}"/>`
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: 37 }, (_, i) => from + ((to - from) * i) / 36)
