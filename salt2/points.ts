import { tableZeroPoint } from './band-table.ts'
import type { Photometry } from './photometry.ts'

/** Photometry made ready: usable points only, band after band, by time, at the tables' zero point. */
export interface Points {
  readonly count: number
  /** Days since `origin`. */
  readonly time: Float64Array
  readonly flux: Float64Array
  readonly variance: Float64Array
  /** Where a point stood in the input. */
  readonly index: Uint32Array
  /** The time of the first point, on the input's scale: differences keep their digits. */
  readonly origin: number
  /** Each band's points, from … to. */
  readonly bands: readonly { readonly band: string; readonly from: number; readonly to: number }[]
  readonly rejected: { readonly notANumber: number; readonly unknownBand: number }
}

/** Sort out the points that can be used. `errorFloor` is a fraction of flux, added in quadrature. */
export function pointsOf(
  photometry: Photometry,
  knows: (band: string) => boolean,
  errorFloor: number,
): Points {
  const { time, band, flux, fluxError, zeroPoint } = photometry
  const known = new Map<string, boolean>()
  const chosen: number[] = []
  let notANumber = 0
  let unknownBand = 0
  for (let i = 0; i < time.length; i++) {
    const name = band[i] ?? ''
    const zero = typeof zeroPoint === 'number' ? zeroPoint : zeroPoint[i]
    const numbers = [time[i], flux[i], fluxError[i], zero]
    if (!numbers.every(Number.isFinite) || !((fluxError[i] ?? NaN) > 0)) {
      notANumber += 1
      continue
    }
    if (!known.has(name)) known.set(name, knows(name))
    if (known.get(name)) chosen.push(i)
    else unknownBand += 1
  }
  const order = [...known.keys()]
  const rank = new Map(order.map((name, i) => [name, i]))
  const rankOf = (i: number): number => rank.get(band[i] ?? '') ?? 0
  chosen.sort((a, b) => rankOf(a) - rankOf(b) || (time[a] ?? 0) - (time[b] ?? 0) || a - b)

  const count = chosen.length
  const origin = chosen.reduce((least, i) => Math.min(least, time[i] ?? least), Infinity)
  const points = {
    count,
    time: new Float64Array(count),
    flux: new Float64Array(count),
    variance: new Float64Array(count),
    index: Uint32Array.from(chosen),
    origin: count === 0 ? 0 : origin,
    rejected: { notANumber, unknownBand },
  }
  const bands: { band: string; from: number; to: number }[] = []
  for (const [at, i] of chosen.entries()) {
    const zero = typeof zeroPoint === 'number' ? zeroPoint : (zeroPoint[i] ?? 0)
    const scale = 10 ** (0.4 * (tableZeroPoint - zero))
    const value = (flux[i] ?? 0) * scale
    const error = (fluxError[i] ?? 0) * scale
    points.time[at] = (time[i] ?? 0) - origin
    points.flux[at] = value
    points.variance[at] = error * error + (errorFloor * value) ** 2
    const name = band[i] ?? ''
    const last = bands[bands.length - 1]
    if (last?.band === name) last.to = at + 1
    else bands.push({ band: name, from: at, to: at + 1 })
  }
  return { ...points, bands }
}
