/** A value and its deviation to the same decimals: two digits of the deviation. */
export function measured(value: number, error: number): { value: string; error?: string } {
  if (!(error > 0) || !Number.isFinite(error)) return { value: plainNumber(value, 3) }
  const decimals = Math.max(0, Math.min(8, 1 - Math.floor(Math.log10(error))))
  return { value: plainNumber(value, decimals), error: error.toFixed(decimals) }
}

/** A number to so many decimals, with a minus sign that is one. */
export const plainNumber = (value: number, decimals: number): string =>
  value.toFixed(decimals).replace('-', '−')
