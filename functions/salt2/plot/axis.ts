/** From data to places on the paper, and the round numbers that stand beside an axis. */

/** A linear axis; what lies outside its range is put at its end. */
export interface Axis {
  low: number
  high: number
  at(value: number): number
}

export const within = ({ low, high }: Axis, value: number): boolean => value >= low && value <= high

/** An axis over [low, high] in data that runs from `from` to `to` on paper. */
export function createAxis(low: number, high: number, from: number, to: number): Axis {
  const scale = (to - from) / (high - low || 1)
  return { low, high, at: (value) => from + (Math.min(high, Math.max(low, value)) - low) * scale }
}

/** Round values inside [low, high]: steps of 1, 2 or 5 times a power of ten, about as many as wanted. */
export function ticksOf(low: number, high: number, wanted: number): number[] {
  const step = stepOf((high - low) / wanted)
  if (!Number.isFinite(step) || step <= 0) return []
  const ticks: number[] = []
  for (let i = Math.ceil(low / step - 1e-9); i <= high / step + 1e-9; i++) {
    ticks.push(Number((i * step).toPrecision(12)))
  }
  return ticks
}

/** Decimals that tell neighbouring ticks apart. */
export function decimalsOf(ticks: readonly number[]): number {
  const step = Math.abs((ticks[1] ?? 1) - (ticks[0] ?? 0))
  return step >= 1 || step === 0 ? 0 : Math.min(12, Math.ceil(-Math.log10(step) - 1e-9))
}

function stepOf(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough))
  const part = rough / power
  return power * (part <= 1.000001 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10)
}
