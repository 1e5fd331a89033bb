import type { Maker } from '../object.ts'
import { fluxOfMag } from '../photometry.ts'
import { starOf } from '../neighbours.ts'

/**
 * A dwarf nova: outbursts of 2 to 5 mag every few weeks, up in a day, down in a few (Szkody et al.
 * 2020). In quiescence a faint blue star, or nothing that PS1 saw.
 */
export const cataclysmicVariable: Maker = ({ exposure, random }) => {
  const quiet = random.between(18.5, 22.8)
  const rise = random.between(2, 5.5)
  const period = random.between(18, 90)
  const lasting = random.between(2.5, 8)
  const start = exposure.jd - random.between(0, 1.6 * lasting)
  const brighter = (jd: number): number => {
    const since = (((jd - start) % period) + period) % period
    if (since < 1) return rise * since
    return since < lasting
      ? rise * (1 - (0.4 * (since - 1)) / lasting)
      : rise * 0.65 * Math.exp(lasting - since)
  }
  return {
    kind: 'cataclysmic-variable',
    flux: (jd, fid) => {
      const mag = quiet + (fid === 1 ? -0.1 : fid === 3 ? 0.15 : 0)
      return fluxOfMag(mag) * (10 ** (0.4 * brighter(jd)) - 1)
    },
    ...(quiet < 22.2 ? { counterpart: starOf(quiet, random, 0.05) } : {}),
    firstSeen: 2458200.5 + random.between(0, 2500),
    earlierDetections: 1 + Math.floor(random.exponential(25)),
    truth: { peakMag: round(quiet - rise), peakJd: round(start + 1) },
  }
}

const round = (value: number): number => Math.round(value * 1e4) / 1e4
