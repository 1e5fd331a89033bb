/**
 * How much the Milky Way reddens what lies behind it: E(B−V) by position, from a small table that
 * `make.ts` derives of the map of Burstein & Heiles (1982, AJ 87, 1165). Against A_V of Schlafly &
 * Finkbeiner (2011) at positions of supernovae it is good to 0.01 mag; see its test.
 */
import { healpix29 } from '../../core/healpix.ts'
import table from './reddening.json' with { type: 'json' }

export interface Reddening {
  /** E(B−V), mag. */
  mwebv: number
  /** `bh1982`, or `layer` near the galactic plane, where nothing better is known here. */
  source: 'bh1982' | 'layer'
}

const bytes = Buffer.from(table.bytes, 'base64')
const shift = BigInt(2 * (29 - table.order))
const layerBit = 128
const most = 127

/** Look a position up, degrees. */
export function reddeningAt(ra: number, dec: number): Reddening {
  const byte = bytes[Number(healpix29(ra, dec) >> shift)] ?? 0
  const mwebv = table.scale * ((byte % layerBit) / most) ** 2
  return { mwebv: Number(mwebv.toFixed(4)), source: byte < layerBit ? 'bh1982' : 'layer' }
}
