/**
 * The observing plan: blocks of fields near the meridian, each block once in one filter and, half an
 * hour or more later, again in the other, so that what moves is told from what stays (Bellm et al.
 * 2019, PASP 131, 068003).
 */
import type { Night } from '../core/night.ts'
import { expose, type Exposure, type Fid } from './exposure.ts'
import { fieldGrid, type Field } from './fields.ts'
import { createRandom } from './random.ts'
import { altitude, jdOfUnix, moon, palomar, separation, sun } from './sky.ts'

/** 30 s of light, 10 s to read out and slew. */
const cadence = 40 / 86_400
/** Fields of a block: 48 x 40 s = 32 min, so its second visit comes 32 min after the first. */
const blockSize = 48
/** Degrees of a field's centre, so that its corners stay above 25. */
const lowest = 31

/** When a night may be observed and when the Sun rises, Julian dates UTC. */
export interface NightTimes {
  dusk: number
  dawn: number
  sunrise: number
}

/** The night that begins on a UTC date: between the Sun at -12 degrees in the evening and morning. */
export function nightTimes(night: Night): NightTimes {
  const iso = `${night.slice(0, 4)}-${night.slice(4, 6)}-${night.slice(6, 8)}T00:00:00Z`
  const midnight = jdOfUnix(Date.parse(iso)) - palomar.longitude / 360
  return {
    dusk: crossing(midnight - 0.5, -12, 'falls'),
    dawn: crossing(midnight, -12, 'rises'),
    sunrise: crossing(midnight, -0.83, 'rises'),
  }
}

/** Every exposure of the night, in order of time. */
export function planNight(night: Night, seed: string | number): Exposure[] {
  const random = createRandom(seed, 'schedule', night)
  const { dusk, dawn } = nightTimes(night)
  const grid = fieldGrid()
  const visited = new Set<number>()
  const exposures: Exposure[] = []
  let jd = dusk
  for (let block = 0; jd + 2 * blockSize * (cadence + 1 / 86_400) < dawn; block++) {
    const fields = chooseBlock(grid, visited, jd)
    if (fields.length === 0) break
    const filters: readonly Fid[] = block % 6 === 5 ? [2, 3] : block % 2 === 0 ? [1, 2] : [2, 1]
    const start = jd
    for (const [visit, fid] of filters.entries()) {
      if (visit === 1) jd = Math.max(jd, start + 31 / 1440)
      for (const field of fields) {
        exposures.push(expose({ jd, field, fid }, random))
        jd += cadence + random.between(0, 2 / 86_400)
      }
    }
    for (const field of fields) visited.add(field.id)
  }
  return exposures
}

/** Visits of a field in the 30 days before the night: pairs every second or third day, less weather. */
export function pastVisits(first: Exposure, seed: string | number): Exposure[] {
  const { field, jd } = first
  const random = createRandom(seed, 'past', field.id, Math.floor(jd))
  // A field that rises again after months behind the Sun, or was clouded out, has no past.
  if (random.chance(0.04)) return []
  const visits: Exposure[] = []
  for (let back = 1 + random.whole(3); back < 30; back += 2 + random.whole(2)) {
    if (random.chance(0.22)) continue
    // Stars come four minutes earlier each day; the queue is not so punctual.
    const start = jd - back * 0.99727 + random.between(-0.02, 0.02)
    if (altitude(field.centre, start) < lowest || altitude(sun(start), start) > -12) continue
    const filters: readonly Fid[] = random.chance(0.5) ? [2, 1] : [1, 2]
    for (const [i, fid] of filters.entries()) {
      if (random.chance(0.08)) continue
      visits.push(expose({ jd: start + i * random.between(0.0222, 0.03), field, fid }, random))
    }
  }
  return visits.sort((a, b) => a.jd - b.jd)
}

/** The fields not yet visited that stand best: high for the whole block, and away from the Moon. */
function chooseBlock(grid: readonly Field[], visited: ReadonlySet<number>, start: number): Field[] {
  const times = [start, start + 2 * blockSize * cadence]
  const moonAt = moon(start)
  return grid
    .filter(({ id }) => !visited.has(id))
    .map((field) => ({
      field,
      height: Math.min(...times.map((jd) => altitude(field.centre, jd))),
    }))
    .filter(({ field, height }) => height > lowest && separation(field.centre, moonAt) > 25)
    .sort((a, b) => b.height - a.height || a.field.id - b.field.id)
    .slice(0, blockSize)
    .map(({ field }) => field)
    .sort((a, b) => a.centre.dec - b.centre.dec || a.centre.ra - b.centre.ra)
}

/** When the Sun passes an altitude, searched minute by minute from a time before. */
function crossing(from: number, limit: number, way: 'rises' | 'falls'): number {
  const below = (jd: number): boolean => altitude(sun(jd), jd) < limit
  let jd = from
  while (below(jd) === (way === 'rises')) jd += 1 / 1440
  return jd
}
