/** The Milky Way's dust before what lies beyond: CCM89 at the bands' effective wavelengths. */
import { extinctionLaw } from '../salt2/dust.ts'
import { reddeningAt } from '../salt2/milky-way/milky-way.ts'
import type { Fid } from './exposure.ts'
import type { Position } from './sky.ts'

/** Effective wavelengths of ZTF's g, r, i, in Å. */
const wavelengths: Readonly<Record<Fid, number>> = { 1: 4814, 2: 6422, 3: 7883 }

const extinction = extinctionLaw('ccm89', 3.1)

/** What dust leaves of the flux that comes from beyond the Milky Way at a position. */
export function dimmedBy(
  { ra, dec }: Position,
  flux: (jd: number, fid: Fid) => number,
): { mwebv: number; flux: (jd: number, fid: Fid) => number } {
  const { mwebv } = reddeningAt(ra, dec)
  const left = (fid: Fid): number => 10 ** (-0.4 * mwebv * extinction(wavelengths[fid]))
  const parts: Readonly<Record<Fid, number>> = { 1: left(1), 2: left(2), 3: left(3) }
  return { mwebv, flux: (jd, fid) => flux(jd, fid) * parts[fid] }
}
