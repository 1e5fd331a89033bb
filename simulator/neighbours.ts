/** The reference catalogues around a place: PS1 sources within 30 arcsec, nearest first. */
import type { Neighbour } from './object.ts'
import type { Random } from './random.ts'
import { galacticLatitude, type Position } from './sky.ts'

/** The farthest PS1 match that a packet names, arcsec. */
const reach = 30

/** How many times denser with stars than the galactic pole a place is. */
export function crowding(at: Position): number {
  return 1 + 5 * Math.exp(-Math.abs(galacticLatitude(at)) / 14)
}

/** Draw the field sources around a place and put the object's own counterpart among them. */
export function drawNeighbours(
  at: Position,
  counterpart: Omit<Neighbour, 'objectId'> | undefined,
  random: Random,
): Neighbour[] {
  const sources: Omit<Neighbour, 'objectId'>[] = counterpart ? [counterpart] : []
  const count = Math.min(14, Math.floor(random.exponential(3.4 * crowding(at)) + random.next()))
  for (let i = 0; i < count; i++) {
    const distance = reach * Math.sqrt(random.next())
    const angle = random.between(0, 2 * Math.PI)
    const star = random.chance(0.45)
    const r = Math.max(12, 22.3 - random.exponential(star ? 2.2 : 1))
    sources.push({
      ...(star ? starOf(r, random) : galaxyOf(r, random)),
      east: distance * Math.sin(angle),
      north: distance * Math.cos(angle),
      distance,
    })
  }
  return sources
    .filter(({ distance }) => distance < reach)
    .sort((a, b) => a.distance - b.distance)
    .map((source) => ({ ...source, objectId: ps1Id(at, random) }))
}

/** A star of an r magnitude, at the object's own place give or take 0.15 arcsec. */
export function starOf(
  r: number,
  random: Random,
  color = random.between(0.2, 1.3),
): Omit<Neighbour, 'objectId'> {
  const distance = Math.abs(0.15 * random.normal()) + 0.02
  const angle = random.between(0, 2 * Math.PI)
  const score = r < 21 ? 1 - Math.min(0.3, random.exponential(0.02)) : random.pick([0.5, 0.5, 0.9])
  return {
    east: distance * Math.sin(angle),
    north: distance * Math.cos(angle),
    distance,
    shape: 'star',
    mags: ps1Mags(r, color, random),
    score,
    radius: 0,
    axisRatio: 1,
  }
}

/** A galaxy of an r magnitude; where its centre lies is for the caller to say. */
export function galaxyOf(
  r: number,
  random: Random,
  color = random.between(0.4, 1.1),
): Omit<Neighbour, 'objectId'> {
  const score = r < 21 ? Math.min(0.35, random.exponential(0.03)) : random.pick([0.5, 0.1, 0.02])
  return {
    east: 0,
    north: 0,
    distance: 0,
    shape: 'galaxy',
    mags: ps1Mags(r, color, random),
    score,
    radius: Math.min(9, 1.1 * 10 ** (0.13 * (21 - r)) * random.between(0.7, 1.4)),
    axisRatio: random.between(0.35, 1),
  }
}

function ps1Mags(r: number, color: number, random: Random): Neighbour['mags'] {
  // PS1's 5 sigma depths are near these; now and then a band is missing for another reason.
  const seen = (mag: number, faintest: number): number | null =>
    mag > faintest || random.chance(0.03) ? null : mag
  return [
    seen(r + color, 22.6),
    seen(r, 22.3),
    seen(r - 0.45 * color, 22.1),
    seen(r - 0.65 * color, 21.6),
  ]
}

/** PS1's objectId: the zone of declination (30 arcsec) and the right ascension. */
function ps1Id(at: Position, random: Random): bigint {
  const zone = Math.floor((at.dec + 90) * 120)
  return BigInt(zone) * 10_000_000_000_000n + BigInt(Math.floor(at.ra * 1e10 + random.whole(9e7)))
}
