/** A position as people read it: `00 03 15.43  +16 08 44.5`, ICRS, from degrees. */
export function sexagesimal(ra: number, dec: number): string {
  const turn = ((ra % 360) + 360) % 360
  const sign = dec < 0 ? '−' : '+'
  return `${parts(turn / 15, 2, 24)}  ${sign}${parts(Math.abs(dec), 1)}`
}

/** Hours or degrees, minutes, seconds; rounded first, so that no 60 is left over. */
function parts(value: number, decimals: number, most = Infinity): string {
  const unit = 10 ** decimals
  const total = Math.round(value * 3600 * unit)
  const seconds = ((total % (60 * unit)) / unit).toFixed(decimals).padStart(decimals + 3, '0')
  const minutes = Math.floor(total / unit / 60)
  const whole = Math.floor(minutes / 60) % most
  return `${pair(whole)} ${pair(minutes % 60)} ${seconds}`
}

const pair = (value: number): string => String(value).padStart(2, '0')
