/**
 * What was decided of one alert, as it is stored: the first to store it decides, and row, plot and message
 * are made of what stands there. So a message that comes again, when more of the object is known,
 * does again what it did, and an alert that comes twice is fitted once.
 */
import type { Occurrence } from '../../core/alert.ts'
import { NightjarError } from '../../core/errors.ts'
import type { Analysis } from './analysis.ts'

export interface FitRecord {
  objectId: string
  candid: bigint
  /** Position of the alert, degrees. */
  ra: number | null
  dec: number | null
  /** Time of the alert, Julian date. */
  jd: number | null
  occurrence: Occurrence
  /** Goes up when the same light curve would give other numbers. */
  codeVersion: string
  analysis: Analysis
}

/** The version that is written into rows. */
export const codeVersion = '1'

const longNumbers: ReadonlySet<string> = new Set(['candid', 'offset'])

/** The record as JSON: 64-bit numbers as text, NaN and the infinities by their names. */
export function formatRecord(record: FitRecord): Uint8Array {
  const text = JSON.stringify(record, (_, value: unknown) => {
    if (typeof value === 'bigint') return String(value)
    if (typeof value === 'number' && !Number.isFinite(value)) return String(value)
    return value
  })
  return Buffer.from(`${text}\n`)
}

/** Read what `formatRecord` wrote. Throws `input_invalid`. */
export function parseRecord(data: Uint8Array): FitRecord {
  try {
    return JSON.parse(Buffer.from(data).toString(), (key, value: unknown) => {
      if (typeof value !== 'string') return value
      if (longNumbers.has(key)) return BigInt(value)
      return value === 'NaN' || value === 'Infinity' || value === '-Infinity'
        ? Number(value)
        : value
    }) as FitRecord
  } catch (cause) {
    throw new NightjarError(
      'input_invalid',
      `Cannot read a stored fit: ${JSON.stringify(Buffer.from(data).toString().slice(0, 120))}`,
      { cause },
    )
  }
}
