/**
 * The camera on the sky: fields of 47 square degrees in rows of declination, each read out as 16 CCDs
 * of four quadrants (rcid 0 to 63) of 3072 x 3080 pixels (Bellm et al. 2019, PASP 131, 018002).
 * The rows are ZTF's; numbers within a row are near the survey's, not the same.
 */
import { offset, type Position } from './sky.ts'

/** Arcsec per pixel. */
export const pixelScale = 1.01
export const quadrantWidth = 3072
export const quadrantHeight = 3080

export interface Field {
  id: number
  centre: Position
}

/** A place on the camera: quadrant and pixel. */
export interface CameraPlace {
  rcid: number
  xpos: number
  ypos: number
}

/** Every field of the primary grid that Palomar can reach, by rows from south to north. */
export function fieldGrid(): Field[] {
  const fields: Field[] = []
  let id = 245
  for (let dec = -24.25; dec < 80; dec += 7.2) {
    const count = Math.ceil((360 * Math.cos((dec * Math.PI) / 180)) / 6.86)
    for (let i = 0; i < count; i++) {
      fields.push({ id: id++, centre: { ra: (360 * (i + 0.5)) / count, dec } })
    }
  }
  return fields
}

/** The CCD (1 to 16) and quadrant (1 to 4) of a readout channel, as file names spell them. */
export function channel(rcid: number): { ccd: number; quadrant: number } {
  return { ccd: Math.floor(rcid / 4) + 1, quadrant: (rcid % 4) + 1 }
}

/** Where a place on the camera lies on the sky when the camera points at a field. */
export function skyOf({ centre }: Field, { rcid, xpos, ypos }: CameraPlace): Position {
  const { ccd, quadrant } = channel(rcid)
  const step = (quadrantWidth * pixelScale) / 3600
  // CCDs stand 4 x 4 with gaps of a tenth of a degree; quadrants 1 to 4 go round each CCD.
  const column = ((ccd - 1) % 4) - 1.5
  const row = Math.floor((ccd - 1) / 4) - 1.5
  const right = quadrant === 1 || quadrant === 4 ? 0.5 : -0.5
  const upper = quadrant <= 2 ? 0.5 : -0.5
  const east = column * (2 * step + 0.1) + right * step - (xpos / quadrantWidth - 0.5) * step
  const north = row * (2 * step + 0.1) + upper * step + (ypos / quadrantHeight - 0.5) * step
  return offset(centre, east, north)
}
