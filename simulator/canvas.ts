/** Painting on a small image: stars and galaxies, counts in DN, places in pixels from the centre. */
export interface Canvas {
  pixels: Float32Array
  width: number
  height: number
  /** Where the object lies, pixels from the first one's middle. */
  centreX: number
  centreY: number
}

/** A star: 80 % in a Gaussian of the seeing, 20 % in one twice as wide. */
export function addStar(canvas: Canvas, x: number, y: number, counts: number, sigma: number): void {
  addGaussian(canvas, x, y, 0.8 * counts, sigma)
  addGaussian(canvas, x, y, 0.2 * counts, 2 * sigma)
}

/** An exponential disc of a half-light radius, tilted and turned, softened by the seeing. */
export function addDisc(
  { pixels, width, height, centreX, centreY }: Canvas,
  x: number,
  y: number,
  counts: number,
  shape: { radius: number; axisRatio: number; angle: number; sigma: number },
): void {
  const { sigma, angle } = shape
  const long = Math.hypot(shape.radius, sigma)
  const short = Math.hypot(shape.radius * shape.axisRatio, sigma)
  const length = long / 1.678
  const peak = counts / (2 * Math.PI * length * length * (short / long))
  const reach = Math.ceil(5 * long)
  const cos = Math.cos(angle)
  const sin = Math.sin(angle)
  const left = Math.max(0, Math.floor(centreX + x) - reach)
  const right = Math.min(width - 1, Math.ceil(centreX + x) + reach)
  const low = Math.max(0, Math.floor(centreY + y) - reach)
  const high = Math.min(height - 1, Math.ceil(centreY + y) + reach)
  // A seeing disc has no cusp: round the centre off within half a sigma.
  const core = (0.5 * sigma) ** 2
  for (let j = low; j <= high; j++) {
    const dy = j - centreY - y
    for (let i = left; i <= right; i++) {
      const dx = i - centreX - x
      const along = dx * cos + dy * sin
      const across = ((dy * cos - dx * sin) * long) / short
      const r = Math.sqrt(along * along + across * across + core)
      pixels[j * width + i] = (pixels[j * width + i] as number) + peak * Math.exp(-r / length)
    }
  }
}

function addGaussian(
  { pixels, width, height, centreX, centreY }: Canvas,
  x: number,
  y: number,
  counts: number,
  sigma: number,
): void {
  const reach = Math.ceil(6 * sigma)
  const left = Math.max(0, Math.floor(centreX + x) - reach)
  const right = Math.min(width - 1, Math.ceil(centreX + x) + reach)
  const low = Math.max(0, Math.floor(centreY + y) - reach)
  const high = Math.min(height - 1, Math.ceil(centreY + y) + reach)
  if (left > right || low > high) return
  const peak = counts / (2 * Math.PI * sigma * sigma)
  const row = new Float64Array(right - left + 1)
  for (let i = left; i <= right; i++) row[i - left] = bell((i - centreX - x) / sigma)
  for (let j = low; j <= high; j++) {
    const column = peak * bell((j - centreY - y) / sigma)
    for (let i = left; i <= right; i++) {
      const at = j * width + i
      pixels[at] = (pixels[at] as number) + column * (row[i - left] as number)
    }
  }
}

const bell = (t: number): number => Math.exp(-0.5 * t * t)
