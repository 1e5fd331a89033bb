/** Supernovae in their hosts, or with none that PS1 saw. */
import { arcsecOfKpc, distanceModulus } from '../cosmology.ts'
import type { Fid } from '../exposure.ts'
import { iaFlux } from '../ia-light-curve.ts'
import { dimmedBy } from '../milky-way.ts'
import { galaxyOf } from '../neighbours.ts'
import type { Maker, Neighbour } from '../object.ts'
import { fluxOfMag, magOfFlux } from '../photometry.ts'
import type { Random } from '../random.ts'

/**
 * Type Ia: SALT2, with the stretch and colour of ZTF's sample and Tripp's relation (M_B = -19.05,
 * alpha 0.14, beta 3.1; Betoule et al. 2014), behind the Milky Way's dust. Its parameters are in the truth.
 */
export const supernovaIa: Maker = ({ exposure, position, random }) => {
  const z = drawRedshift(0.02, 0.15, random)
  const x1 = Math.max(-2.8, Math.min(2.5, 0.1 + 0.95 * random.normal()))
  const c = -0.05 + 0.06 * random.normal() + random.exponential(0.05)
  const absolute = -19.05 - 0.14 * x1 + 3.1 * c + 0.1 * random.normal()
  const x0 = 10 ** (-0.4 * (absolute + distanceModulus(z) - 10.635))
  const t0 = exposure.jd - random.between(-16, 40) * (1 + z)
  const parameters = { z, t0, x0, x1, c }
  const { mwebv, flux } = dimmedBy(position, (jd, fid) => iaFlux(parameters, jd, fid))
  return {
    kind: 'supernova-ia',
    flux,
    ...host(z, random),
    ...discovery(flux, t0 - 22, exposure.jd),
    truth: {
      z: round(z, 5),
      t0: round(t0, 4),
      x0: Number(x0.toPrecision(6)),
      x1: round(x1, 4),
      c: round(c, 4),
      mwebv,
      ...peaks(flux, t0),
    },
  }
}

/** Type II: up in ten days, a plateau of three months that reddens, then a fall (Anderson et al. 2014). */
export const supernovaII: Maker = ({ exposure, position, random }) => {
  const z = drawRedshift(0.004, 0.06, random)
  const absolute = -16.9 + 0.8 * random.normal()
  const peakMag = absolute + distanceModulus(z)
  const rise = random.between(6, 12)
  const plateau = random.between(80, 120)
  const slope = random.between(0.002, 0.015)
  const start = exposure.jd - random.between(1, 130) * (1 + z)
  const reddening: Record<Fid, number> = { 1: 0.013, 2: 0.002, 3: 0 }
  const { flux } = dimmedBy(position, (jd, fid) => {
    const age = (jd - start) / (1 + z)
    if (age <= 0) return 0
    const after = Math.max(0, age - rise)
    const fall = 2.2 / (1 + Math.exp((plateau - age) / 5))
    const mag = peakMag + (slope + reddening[fid]) * Math.min(after, plateau) + fall
    return fluxOfMag(mag) * Math.min(1, age / rise) ** 1.4
  })
  return {
    kind: 'supernova-ii',
    flux,
    ...host(z, random),
    ...discovery(flux, start, exposure.jd),
    truth: { z: round(z, 5), ...peaks(flux, start + rise) },
  }
}

/** Volume grows as the cube of the distance; what is too faint to be seen is drawn again by the caller. */
function drawRedshift(low: number, high: number, random: Random): number {
  return (low ** 3 + (high ** 3 - low ** 3) * random.next()) ** (1 / 3)
}

/** A galaxy of about L*, the supernova within two of its radii; for one in twelve PS1 shows none. */
function host(z: number, random: Random): { counterpart?: Omit<Neighbour, 'objectId'> } {
  const mag = -20.7 + 1.3 * random.normal() + distanceModulus(z) + 0.4
  if (mag > 22 || random.chance(0.08)) return {}
  const galaxy = galaxyOf(mag, random)
  const distance = arcsecOfKpc(random.exponential(3.5), z)
  const angle = random.between(0, 2 * Math.PI)
  const east = distance * Math.sin(angle)
  const north = distance * Math.cos(angle)
  return { counterpart: { ...galaxy, score: Math.min(galaxy.score, 0.4), east, north, distance } }
}

/** The survey saw it first when it passed 20.2 mag, if that is longer ago than the 30-day history. */
function discovery(
  flux: (jd: number, fid: Fid) => number,
  from: number,
  now: number,
): { firstSeen?: number; earlierDetections?: number } {
  let jd = from
  while (jd < now - 30 && Math.max(flux(jd, 1), flux(jd, 2)) < fluxOfMag(20.2)) jd += 1
  if (jd >= now - 30) return {}
  const firstSeen = Math.round(jd * 1e7) / 1e7
  return { firstSeen, earlierDetections: 1 + Math.floor((now - 30 - jd) / 1.5) }
}

function peaks(flux: (jd: number, fid: Fid) => number, jd: number): Record<string, number> {
  return {
    peakJd: round(jd, 4),
    peakMagG: round(magOfFlux(flux(jd, 1)), 3),
    peakMagR: round(magOfFlux(flux(jd, 2)), 3),
  }
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}
