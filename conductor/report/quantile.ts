/**
 * A quantile from counts in bins of equal width in the logarithm: bin b holds values from e^(b/n) to
 * e^((b+1)/n). The middle of the bin is given, so the error is at most half a bin, 1/(2n) of the value.
 */
export function histogramQuantile(
  bins: ReadonlyMap<number, number>,
  q: number,
  perE: number,
): number {
  const sorted = [...bins].sort(([a], [b]) => a - b)
  const total = sorted.reduce((sum, [, n]) => sum + n, 0)
  let seen = 0
  for (const [bin, n] of sorted) {
    seen += n
    if (seen >= q * total) return Math.exp((bin + 0.5) / perE)
  }
  return NaN
}
