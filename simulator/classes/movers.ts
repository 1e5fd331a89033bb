/** Asteroids: a third of a night. At one place they are seen once, so their history is empty limits. */
import type { Maker, Nature, Setting } from '../object.ts'
import { fluxOfMag } from '../photometry.ts'

/** One that the Minor Planet Center knows; the packet names it within a few arcsec. */
export const asteroid: Maker = (setting) => {
  const { random } = setting
  const numbered = random.chance(0.8)
  const letters = 'ABCDEFGHJKLMNOPQRSTUVWXYZ'
  const letter = (): string => letters[random.whole(letters.length)] as string
  const provisional = `${1990 + random.whole(34)}${letter()}${letter()}${1 + random.whole(300)}`
  const name = numbered ? String(100 + random.whole(590_000)) : provisional
  const nature = mover('asteroid', setting)
  const magnitude = Math.round((nature.mag + 0.35 * random.normal()) * 10) / 10
  return { ...nature.nature, solarSystem: { name, magnitude } }
}

/** One that nobody knows yet: the same to the camera, no name in the packet. */
export const unknownMover: Maker = (setting) => mover('unknown-mover', setting).nature

function mover(
  kind: 'asteroid' | 'unknown-mover',
  { exposure, random }: Setting,
): { nature: Nature; mag: number } {
  // Counts of asteroids double each magnitude or so: most stand near the limit.
  const r = exposure.limit + 0.1 - Math.min(5, random.exponential(1.3))
  const speed = random.between(400, 1100) * (kind === 'unknown-mover' ? 1.7 : 1)
  const angle = random.between(-0.5, 0.5)
  const here = exposure.jd
  const nature: Nature = {
    kind,
    flux: (jd, fid) =>
      // Minutes later it has left the PSF.
      Math.abs(jd - here) < 0.001 ? fluxOfMag(r + (fid === 1 ? 0.5 : fid === 3 ? -0.2 : 0)) : 0,
    motion: { east: -speed * Math.cos(angle), north: speed * Math.sin(angle) },
  }
  return { nature, mag: r + 0.25 }
}
