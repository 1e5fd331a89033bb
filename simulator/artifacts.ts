/** What looks like a source and is none. */
import { addStar, type Canvas } from './canvas.ts'
import type { Nature } from './object.ts'
import type { Random } from './random.ts'

export interface ArtifactImage {
  science: Canvas
  difference: Canvas
  /** Seeing, pixels. */
  sigma: number
  counts: number
  draw: Random
}

/** Paint an artifact: two images that do not line up, a cosmic ray, or the ring of a bright star. */
export function addArtifact(
  artifact: NonNullable<Nature['artifact']>,
  { science, difference, sigma, counts, draw }: ArtifactImage,
): void {
  const size = Math.abs(counts)
  switch (artifact) {
    case 'dipole': {
      const angle = draw.between(0, 2 * Math.PI)
      const x = 0.9 * sigma * Math.cos(angle)
      const y = 0.9 * sigma * Math.sin(angle)
      addStar(difference, x, y, 1.6 * size, sigma)
      addStar(difference, -x, -y, -1.5 * size, sigma)
      return
    }
    case 'spike': {
      const slope = draw.between(-1, 1)
      const length = 1 + draw.whole(6)
      for (const canvas of [science, difference]) {
        for (let step = 0; step <= length; step++) {
          const x = Math.round(canvas.centreX) + step
          const y = Math.round(canvas.centreY + slope * step)
          const at = y * canvas.width + x
          if (x < canvas.width && canvas.pixels[at] !== undefined)
            canvas.pixels[at] += size / length
        }
      }
      return
    }
    case 'residual': {
      addStar(difference, 0, 0, 2.2 * size, 1.5 * sigma)
      addStar(difference, 0, 0, -1.4 * size, 0.8 * sigma)
      return
    }
  }
}
