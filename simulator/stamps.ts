/**
 * The three 63 x 63 pixel cutouts of an alert: what the camera saw, what it saw in earlier years, and
 * the difference, in which the source is always bright. Stars are two Gaussians, galaxies
 * exponential discs blurred by the seeing; noise is what the limiting magnitude says.
 */
import { fluxNoise, type Exposure } from './exposure.ts'
import { gzippedFits } from './fits.ts'
import { pixelScale, quadrantHeight, quadrantWidth } from './fields.ts'
import type { SkyObject } from './object.ts'
import { countsOf, fluxOfMag, measure } from './photometry.ts'
import { createRandom, type Random } from './random.ts'
import { unixOfJd } from './sky.ts'
import { addArtifact } from './artifacts.ts'
import { addDisc, addStar, type Canvas } from './canvas.ts'

export interface Stamps {
  science: Uint8Array
  template: Uint8Array
  difference: Uint8Array
}

const half = 31
/** Pixels above this are saturated and blank in the difference, DN. */
const saturation = 45_000
const tileSize = 256

/** Make stamps with noise from one tile, drawn once. */
export function createStamper(seed: string | number) {
  const random = createRandom(seed, 'noise')
  const tile = Float32Array.from({ length: tileSize * tileSize }, () => random.normal())

  return function stamp(object: SkyObject, exposure: Exposure): Stamps {
    const draw = createRandom('stamps', object.seed, exposure.jd)
    const blank = canvasAt(object)
    const sigma = exposure.seeing / pixelScale / 2.355
    const noise = fluxNoise(exposure) / (3.545 * sigma)
    const measured = measure(object, exposure)

    const template = { ...blank, pixels: new Float32Array(blank.pixels.length) }
    addSources(template, object, exposure, 2 / pixelScale / 2.355)
    const science = { ...blank, pixels: new Float32Array(blank.pixels.length) }
    addSources(science, object, exposure, sigma)
    const difference = blank

    if (object.artifact === undefined) {
      const change = countsOf(object.flux(exposure.jd, exposure.fid), exposure)
      addStar(science, 0, 0, change, sigma)
      // The subtraction sharpens: its PSF is narrower than the image's.
      addStar(difference, 0, 0, Math.abs(measured.counts), 0.85 * sigma)
    } else {
      addArtifact(object.artifact, { science, difference, sigma, counts: measured.counts, draw })
    }
    for (let i = 0; i < difference.pixels.length; i++) {
      const bright = science.pixels[i] as number
      if (bright > saturation) difference.pixels[i] = NaN
    }
    grain(science, tile, 0.85 * noise, exposure.background, draw)
    grain(template, tile, 0.18 * noise, 0.8 * exposure.background, draw)
    grain(difference, tile, noise, 0, draw)
    if (draw.chance(0.04)) blankColumn(difference, draw)

    const seconds = Math.floor(unixOfJd(exposure.jd) / 1000) + 600
    const pack = ({ pixels, width }: Canvas): Uint8Array => gzippedFits(pixels, width, seconds)
    return { science: pack(science), template: pack(template), difference: pack(difference) }
  }
}

/** 63 x 63 about the object, or what of it lies on the detector. */
function canvasAt({ place }: SkyObject): Canvas {
  const x = Math.floor(place.xpos)
  const y = Math.floor(place.ypos)
  const left = Math.min(half, x)
  const down = Math.min(half, y)
  const width = left + 1 + Math.min(half, quadrantWidth - 1 - x)
  const height = down + 1 + Math.min(half, quadrantHeight - 1 - y)
  return {
    pixels: new Float32Array(width * height),
    width,
    height,
    centreX: left + (place.xpos - x) - 0.5,
    centreY: down + (place.ypos - y) - 0.5,
  }
}

function addSources(canvas: Canvas, object: SkyObject, exposure: Exposure, sigma: number): void {
  for (const { east, north, shape, mags, radius, axisRatio, objectId } of object.neighbours) {
    const mag = mags[exposure.fid - 1]
    if (mag === null || mag === undefined) continue
    const counts = countsOf(fluxOfMag(mag), exposure)
    const x = -east / pixelScale
    const y = north / pixelScale
    if (shape === 'star') addStar(canvas, x, y, counts, sigma)
    else {
      const angle = Number(objectId % 314n) / 100
      addDisc(canvas, x, y, counts, { radius: radius / pixelScale, axisRatio, angle, sigma })
    }
  }
}

/** Lay the noise tile over the image at a place and in a direction drawn for it. */
function grain(
  { pixels, width }: Canvas,
  tile: Float32Array,
  sigma: number,
  level: number,
  random: Random,
): void {
  const start = random.whole(tileSize * tileSize)
  const stride = tileSize + 1 + 2 * random.whole(100)
  for (let i = 0; i < pixels.length; i++) {
    const row = Math.floor(i / width)
    const at = (start + row * stride + (i - row * width)) & (tileSize * tileSize - 1)
    const source = pixels[i] as number
    const shot = source > 0 ? Math.sqrt(sigma * sigma + source / 6.2) : sigma
    pixels[i] = source + level + shot * (tile[at] as number)
  }
}

/** A dead column, as a tenth of the real stamps have blank pixels. */
function blankColumn({ pixels, width, height }: Canvas, random: Random): void {
  const x = random.whole(width)
  if (Math.abs(x - width / 2) < 6) return
  for (let y = 0; y < height; y++) pixels[y * width + x] = NaN
}
