import type { Maker } from '../object.ts'
import { fluxOfMag } from '../photometry.ts'
import { galaxyOf, starOf } from '../neighbours.ts'

/**
 * An active nucleus: noise with more power at long times, here eight sinusoids of 8 to 1,500 days
 * (after the damped random walk of MacLeod et al. 2010). Sign of the difference: as it happens.
 */
export const activeNucleus: Maker = ({ random }) => {
  const r = random.between(15.8, 19.8)
  const quasar = random.chance(0.4)
  const total = random.between(0.15, 0.6)
  const waves = Array.from({ length: 8 }, (_, i) => ({
    period: 8 * 2.1 ** i * random.between(0.8, 1.25),
    weight: (total * 1.6 ** i) / 22,
    phase: random.next(),
  }))
  const fainter = (jd: number): number =>
    waves.reduce(
      (sum, { period, weight, phase }) =>
        sum + weight * Math.sin(2 * Math.PI * (jd / period + phase)),
      0,
    )
  const counterpart = {
    ...(quasar ? starOf(r, random, 0.2) : galaxyOf(r, random)),
    east: 0.1 * random.normal(),
    north: 0.1 * random.normal(),
  }
  return {
    kind: 'agn',
    flux: (jd, fid) => {
      const nucleus = fluxOfMag(r + (fid === 1 ? 0.2 : fid === 3 ? -0.1 : 0))
      return nucleus * (10 ** (-0.4 * fainter(jd) * (fid === 1 ? 1 : 0.8)) - 1)
    },
    counterpart: { ...counterpart, distance: Math.hypot(counterpart.east, counterpart.north) },
    firstSeen: 2458200.5 + random.between(0, 1500),
    earlierDetections: 1 + Math.floor(random.exponential(40)),
  }
}
