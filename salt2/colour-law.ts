/**
 * The colour law of SALT2 (version 1): a polynomial in reduced wavelength, 0 at B and −1 at V, going on
 * straight beyond the range it was trained in. Flux is multiplied by 10^(−0.4 c CL(λ)).
 */
export interface ColourLaw {
  /** CL at a rest-frame wavelength in Å. */
  at(wave: number): number
  /** Its derivative, per Å. */
  slope(wave: number): number
}

const waveB = 4302.57
const waveV = 5428.55

/** The law of coefficients k₁ … kₙ; the range is in Å, rest frame. */
export function colourLaw(
  coefficients: readonly number[],
  range: readonly [number, number],
): ColourLaw {
  const linear = 1 - coefficients.reduce((sum, k) => sum + k, 0)
  const factors = Float64Array.of(0, linear, ...coefficients)
  const polynomial = (l: number): number => {
    let sum = 0
    for (let i = factors.length - 1; i >= 0; i--) sum = sum * l + (factors[i] ?? 0)
    return sum
  }
  const derivative = (l: number): number => {
    let sum = 0
    for (let i = factors.length - 1; i >= 1; i--) sum = sum * l + i * (factors[i] ?? 0)
    return sum
  }
  const low = reduced(range[0])
  const high = reduced(range[1])
  const inside = (l: number): number => Math.min(Math.max(l, low), high)
  return {
    at(wave) {
      const l = reduced(wave)
      const end = inside(l)
      return -(polynomial(end) + (l === end ? 0 : derivative(end) * (l - end)))
    },
    slope: (wave) => -derivative(inside(reduced(wave))) / (waveV - waveB),
  }
}

const reduced = (wave: number): number => (wave - waveB) / (waveV - waveB)
