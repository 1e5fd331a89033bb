/** Things in the sky, as difference imaging meets them. */
import type { Exposure, Fid } from './exposure.ts'
import type { CameraPlace, Field } from './fields.ts'
import type { Random } from './random.ts'
import type { Position } from './sky.ts'

export const kinds = [
  'rr-lyrae',
  'eclipsing-binary',
  'long-period-variable',
  'asteroid',
  'unknown-mover',
  'bogus',
  'supernova-ia',
  'supernova-ii',
  'agn',
  'cataclysmic-variable',
] as const

export type Kind = (typeof kinds)[number]

/** A star or galaxy of the reference catalogues, seen from the object. */
export interface Neighbour {
  /** Arcsec east and north of the object. */
  east: number
  north: number
  distance: number
  shape: 'star' | 'galaxy'
  /** PS1 mags g, r, i, z; null where PS1 has none. */
  mags: readonly [number | null, number | null, number | null, number | null]
  /** Star-galaxy score of Tachibana & Miller (2018): 1 star, 0 galaxy, 0.5 unknown. */
  score: number
  /** Half-light radius, arcsec, and axis ratio; galaxies only. */
  radius: number
  axisRatio: number
  objectId: bigint
}

/** What a class decides of an object. Flux is AB with zero point 25, as SNe fits take it. */
export interface Nature {
  kind: Kind
  /** Difference flux at a time; negative where fainter than in the reference image. */
  flux(jd: number, fid: Fid): number
  /** What stands at the place in the reference image, if anything does. */
  counterpart?: Omit<Neighbour, 'objectId'>
  /** First time that the survey saw it, Julian date; absent: in the 30-day history or now. */
  firstSeen?: number
  /** Detections before the 30-day history. */
  earlierDetections?: number
  solarSystem?: { name: string; magnitude: number }
  /** Arcsec per day, for what moves. */
  motion?: { east: number; north: number }
  artifact?: 'dipole' | 'spike' | 'residual'
  /** What only the simulator knows, for the truth file. */
  truth?: Readonly<Record<string, number>>
}

export interface SkyObject extends Nature {
  objectId: string
  /** Seeds whatever is drawn for this object later. */
  seed: string
  field: Field
  place: CameraPlace
  position: Position
  neighbours: readonly Neighbour[]
}

/** What a class may look at when it makes an object that is to be seen now. */
export interface Setting {
  exposure: Exposure
  position: Position
  random: Random
}

/** A class of objects: draws one from nature, whether or not it can be seen now. */
export type Maker = (setting: Setting) => Nature
