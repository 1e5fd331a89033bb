/**
 * The stored light curve of an object. A packet tells of 30 days; a supernova takes 80. So what each
 * packet tells is merged into one small object of the bucket, by compare-and-set.
 *
 * The merge is commutative, associative and idempotent, and the bytes are canonical: alerts that come
 * at once, out of order or twice end in the same object. Of an exposure that two packets tell
 * differently the smaller error counts, then the smaller flux; a curve is bounded by its newest points.
 */
import { NightjarError } from '../../core/errors.ts'
import type { Store } from '../../core/ports.ts'
import { bands, exposureOf, type Measurement } from './measurement.ts'

/** The most points that are kept of an object: three years of a nightly cadence, 45 kB. */
export const maxPoints = 1000

/** Tries to replace the object before its message is handed out again. */
const maxTries = 50

/** Merge two light curves. */
export function mergeHistory(
  one: readonly Measurement[],
  other: readonly Measurement[],
): Measurement[] {
  const points = new Map<string, Measurement>()
  for (const point of [...one, ...other]) {
    const key = `${exposureOf(point)}${point.kind}`
    const standing = points.get(key)
    if (standing === undefined || compareValues(point, standing) < 0) points.set(key, point)
  }
  return [...points.values()].sort(compareExposures).slice(-maxPoints)
}

/** The canonical bytes of a light curve: one line of JSON a point. */
export function formatHistory(points: readonly Measurement[]): Uint8Array {
  const lines = points.map(({ band, kind, jd, flux, fluxErr }) =>
    JSON.stringify([band, kind, jd, flux, fluxErr]),
  )
  return Buffer.from(`{"columns":["band","kind","jd","nJy","error"],"points":[
${lines.join(',\n')}
]}
`)
}

/** Read what `formatHistory` wrote. Throws `input_invalid` where it is something else. */
export function parseHistory(data: Uint8Array): Measurement[] {
  try {
    const { points } = JSON.parse(Buffer.from(data).toString()) as { points: unknown[][] }
    return points.map(([name, kind, jd, flux, fluxErr]) => {
      const band = bands.find((known) => known === name)
      if (band === undefined || (kind !== 'detection' && kind !== 'forced')) throw new Error('word')
      return { band, kind, jd: number(jd), flux: number(flux), fluxErr: number(fluxErr) }
    })
  } catch (cause) {
    throw new NightjarError(
      'input_invalid',
      `Cannot read a stored light curve: ${JSON.stringify(Buffer.from(data).toString().slice(0, 120))}`,
      { cause },
    )
  }
}

/**
 * Merge what a packet tells into the stored light curve `name` and answer all that is known then.
 * Resolves when it is durable; what was known already is not written again.
 */
export async function mergeIntoStore(
  store: Store,
  name: string,
  points: readonly Measurement[],
): Promise<Measurement[]> {
  for (let tries = 0; tries < maxTries; tries++) {
    const standing = await store.read(name)
    const merged = mergeHistory(standing === null ? [] : parseHistory(standing.data), points)
    const data = formatHistory(merged)
    if (standing !== null && Buffer.compare(data, standing.data) === 0) return merged
    const generation = standing?.object.generation ?? null
    if ((await store.replace(name, data, generation)) !== null) return merged
  }
  throw new NightjarError(
    'store_failed',
    `Cannot merge into "${name}": it was replaced by others ${maxTries} times`,
  )
}

/** By time; two exposures have one order whatever packet told them. */
function compareExposures(a: Measurement, b: Measurement): number {
  const seconds = Math.round(a.jd * 86_400) - Math.round(b.jd * 86_400)
  if (seconds !== 0) return seconds
  if (a.band !== b.band) return a.band < b.band ? -1 : 1
  return a.kind === b.kind ? 0 : a.kind < b.kind ? -1 : 1
}

function compareValues(a: Measurement, b: Measurement): number {
  return a.fluxErr - b.fluxErr || a.flux - b.flux || a.jd - b.jd
}

function number(value: unknown): number {
  if (typeof value === 'number' && Number.isFinite(value)) return value
  throw new TypeError(`${JSON.stringify(value)} is no number`)
}
