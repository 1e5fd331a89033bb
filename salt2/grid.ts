/**
 * Values on a grid of phase (days) and wavelength (Å), and the rule of snfit and sncosmo for what lies
 * between: bicubic convolution (Keys 1981, a = −1/2) over 4 × 4 nodes; bilinear, in both directions, in the
 * outermost cell of either; exactly 0 outside. The rule jumps in slope where cubic meets linear.
 */
export interface Grid {
  readonly phase: Float64Array
  readonly wave: Float64Array
  /** Row by row: the value of phase i and wavelength j stands at i · wave.length + j. */
  readonly values: Float64Array
}

/** The index i with knots[i] ≤ at < knots[i + 1], the last cell closed; −1 outside. */
export function cellOf(knots: Float64Array, at: number): number {
  let low = 0
  let high = knots.length - 1
  if (!(at >= (knots[low] ?? NaN) && at <= (knots[high] ?? NaN))) return -1
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if ((knots[middle] ?? NaN) <= at) low = middle
    else high = middle
  }
  return low
}

/** True where a cell has two knots on either side, so that the cubic rule has what it needs. */
export const isInner = (knots: Float64Array, cell: number): boolean =>
  cell >= 1 && cell <= knots.length - 3

/** How far between its knots a place lies: 0 … 1. */
export function fractionOf(knots: Float64Array, cell: number, at: number): number {
  const left = knots[cell] ?? NaN
  return (at - left) / ((knots[cell + 1] ?? NaN) - left)
}

/** Weights of the four nodes around a place that lies `t` into its cell: cubic convolution. */
export function cubicWeights(t: number, weights: Float64Array): void {
  weights[0] = outer(1 + t)
  weights[1] = inner(t)
  weights[2] = inner(1 - t)
  weights[3] = outer(2 - t)
}

/** Their derivatives by `t`. */
export function cubicSlopes(t: number, slopes: Float64Array): void {
  slopes[0] = outerSlope(1 + t)
  slopes[1] = innerSlope(t)
  slopes[2] = -innerSlope(1 - t)
  slopes[3] = -outerSlope(2 - t)
}

const inner = (x: number): number => x * x * (1.5 * x - 2.5) + 1
const outer = (x: number): number => -0.5 * (-4 + x * (8 + x * (-5 + x)))
const innerSlope = (x: number): number => x * (4.5 * x - 5)
const outerSlope = (x: number): number => -0.5 * (8 + x * (-10 + 3 * x))

const acrossWave = new Float64Array(4)
const acrossPhase = new Float64Array(4)

/** The value at a phase and a wavelength. */
export function gridAt(grid: Grid, phase: number, wave: number): number {
  const row = cellOf(grid.phase, phase)
  const column = cellOf(grid.wave, wave)
  if (row < 0 || column < 0) return 0
  const t = fractionOf(grid.phase, row, phase)
  const u = fractionOf(grid.wave, column, wave)
  const { values } = grid
  const width = grid.wave.length
  if (!isInner(grid.phase, row) || !isInner(grid.wave, column)) {
    const at = row * width + column
    const below = (values[at] ?? 0) * (1 - u) + (values[at + 1] ?? 0) * u
    const above = (values[at + width] ?? 0) * (1 - u) + (values[at + width + 1] ?? 0) * u
    return below * (1 - t) + above * t
  }
  cubicWeights(t, acrossPhase)
  cubicWeights(u, acrossWave)
  let sum = 0
  for (let i = 0; i < 4; i++) {
    const at = (row + i - 1) * width + column - 1
    let line = 0
    for (let j = 0; j < 4; j++) line += (acrossWave[j] ?? 0) * (values[at + j] ?? 0)
    sum += (acrossPhase[i] ?? 0) * line
  }
  return sum
}
