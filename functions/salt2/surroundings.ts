/** What is known of an object besides its light curve: the dust before it and, perhaps, its redshift. */
import type { Surroundings } from './analysis.ts'
import { reddeningAt } from '../../salt2/milky-way/milky-way.ts'

/** Ask for the surroundings of objects, with a redshift for those that one is known of. */
export function surroundingsOf(
  redshiftOf: (objectId: string) => number | undefined = () => undefined,
): (objectId: string, ra: number | null, dec: number | null) => Surroundings {
  return (objectId, ra, dec) => {
    const z = redshiftOf(objectId)
    const known = z === undefined ? {} : { z }
    // A packet without a position, or with NaN for it, is damaged, but its light curve may be whole.
    if (ra === null || dec === null || !Number.isFinite(ra + dec))
      return { ...known, mwebv: 0, mwebvSource: 'none' }
    const { mwebv, source } = reddeningAt(ra, dec)
    return { ...known, mwebv, mwebvSource: source }
  }
}
