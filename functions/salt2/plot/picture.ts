/** What a light-curve plot shows, before it is drawn: no formulas below this, only ink. */
import type { StampName } from '../../../core/cutout.ts'
import type { ZtfBand } from '../measurement.ts'

export interface PicturePoint {
  band: ZtfBand
  kind: 'detection' | 'forced'
  mjd: number
  /** Signed, µJy. */
  flux: number
  fluxErr: number
  /** It took part in the fit. */
  used: boolean
  /** (data − model) / error; absent where there is no model. */
  pull?: number
}

export interface PictureCurve {
  band: ZtfBand
  /** Ascending. */
  mjd: ArrayLike<number>
  flux: ArrayLike<number>
  /** One deviation of the curve. */
  fluxErr: ArrayLike<number>
}

export interface Picture {
  objectId: string
  /** Under the name, in this order, such as position and date. */
  captions: readonly string[]
  points: readonly PicturePoint[]
  curves: readonly PictureCurve[]
  /** Day zero of the axis, MJD: the maximum, where there is one. */
  maximum?: { mjd: number; error: number }
  /** Observer's days of the axis from day zero. */
  days: { from: number; to: number }
  /** Value and deviation by name. */
  parameters: readonly { name: string; value: string; error?: string }[]
  /** Said across the plot where nothing was fitted. */
  notice?: string
  stamps: Readonly<Partial<Record<StampName, Uint8Array>>>
}
