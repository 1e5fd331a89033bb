/** Stars that vary: half of every ZTF night. A bright PS1 star stands at the place, so filters reject them. */
import type { Maker, Nature } from '../object.ts'
import { fluxOfMag } from '../photometry.ts'
import { starOf } from '../neighbours.ts'
import type { Random } from '../random.ts'

/** Saw-tooth of half a day, amplitude 0.5 to 1 mag in g, less to the red (Soszynski et al. 2014). */
export const rrLyrae: Maker = ({ random }) => {
  const period = random.between(0.42, 0.72)
  const amplitude = random.between(0.5, 1.1)
  const epoch = random.next()
  const shape = (jd: number): number => {
    const phase = fraction(jd / period + epoch)
    // Up in an eighth of the period, down in the rest; zero on average.
    return phase < 0.125 ? 0.5 - phase / 0.125 : (phase - 0.125) / 0.875 - 0.5
  }
  return variable('rr-lyrae', random.between(14.8, 20.2), 0.35, random, (jd, fid) => {
    return amplitude * (fid === 1 ? 1 : fid === 2 ? 0.75 : 0.6) * shape(jd)
  })
}

/** Two dips a period; the reference shows the star out of eclipse. */
export const eclipsingBinary: Maker = ({ random }) => {
  const period = 10 ** random.between(-0.6, 0.8)
  const deep = random.between(0.08, 0.9)
  const shallow = deep * random.between(0.2, 0.9)
  const width = random.between(0.015, 0.05)
  const epoch = random.next()
  return variable('eclipsing-binary', random.between(14.2, 19), 0.6, random, (jd) => {
    const phase = fraction(jd / period + epoch)
    const first = Math.exp(-0.5 * ((phase - 0.25) / width) ** 2)
    const second = Math.exp(-0.5 * ((phase - 0.75) / width) ** 2)
    return deep * first + shallow * second
  })
}

/** Red giants, 100 to 500 days, up to 2 mag in g; the difference stays for weeks. */
export const longPeriodVariable: Maker = ({ random }) => {
  const period = random.between(100, 500)
  const amplitude = 10 ** random.between(-1.3, 0.2)
  const epoch = random.next()
  return variable('long-period-variable', random.between(13.4, 18.8), 1.8, random, (jd, fid) => {
    const depth = fid === 1 ? 1 : fid === 2 ? 0.7 : 0.45
    return 0.5 * amplitude * depth * Math.sin(2 * Math.PI * fraction(jd / period + epoch))
  })
}

function variable(
  kind: Nature['kind'],
  r: number,
  color: number,
  random: Random,
  fainter: (jd: number, fid: 1 | 2 | 3) => number,
): Nature {
  const mean = { 1: r + color, 2: r, 3: r - 0.45 * color }
  return {
    kind,
    flux: (jd, fid) => fluxOfMag(mean[fid]) * (10 ** (-0.4 * fainter(jd, fid)) - 1),
    counterpart: starOf(r, random, color),
    firstSeen: 2458200.5 + random.between(0, 700),
    earlierDetections: 1 + Math.floor(random.exponential(60)),
  }
}

const fraction = (value: number): number => value - Math.floor(value)
