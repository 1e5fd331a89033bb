import type { Maker } from '../object.ts'
import { fluxOfMag } from '../photometry.ts'
import { starOf } from '../neighbours.ts'

/**
 * What is no source: dipoles where two images of a bright star do not line up, cosmic rays, residuals
 * of saturated stars. Low rb and drb; half of them negative.
 */
export const bogus: Maker = ({ exposure, random }) => {
  const artifact = random.pick(['dipole', 'dipole', 'residual', 'spike'] as const)
  const sign = random.chance(0.5) ? 1 : -1
  const mag = exposure.limit - Math.min(5, 0.2 + random.exponential(1.4))
  const here = exposure.jd
  // A badly subtracted star comes back in some of its images.
  const again = artifact === 'spike' ? 0 : 0.12
  const salt = random.between(50, 100)
  return {
    kind: 'bogus',
    artifact,
    flux: (jd) => {
      const lottery = Math.abs(Math.sin(jd * salt) * 43758.5453) % 1
      const shown = Math.abs(jd - here) < 0.001 || lottery < again
      return shown ? fluxOfMag(mag) * (artifact === 'spike' ? 1 : sign) : 0
    },
    ...(artifact === 'spike' ? {} : { counterpart: starOf(random.between(11.8, 15), random) }),
  }
}
