import { createHash } from 'node:crypto'

/**
 * The sha-256 of the canonical walk of some records, as the data's own README describes it: keys
 * sorted, integers and integral floats alike, other floats by their bits.
 */
export function digestOf(records: Iterable<unknown>): string {
  const hash = createHash('sha256')
  for (const record of records) hash.update(walk(record))
  return hash.digest('hex')
}

const bits = new DataView(new ArrayBuffer(8))

function walk(value: unknown): string {
  switch (typeof value) {
    case 'boolean':
      return value ? 't;' : 'f;'
    case 'bigint':
      return `i${value};`
    case 'number':
      if (Number.isNaN(value)) return 'nan;'
      if (Number.isInteger(value)) return `i${BigInt(value)};`
      bits.setFloat64(0, value)
      return `d${bits.getBigUint64(0).toString(16).padStart(16, '0')};`
    case 'string':
      return `s${Buffer.byteLength(value)}:${value};`
    case 'object':
      return value === null ? 'n;' : walkObject(value)
    default:
      throw new TypeError(`Cannot walk ${typeof value}`)
  }
}

function walkObject(value: object): string {
  if (value instanceof Uint8Array) return `b${createHash('sha1').update(value).digest('hex')};`
  if (Array.isArray(value)) return `[${value.map(walk).join('')}]`
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${entries.map(([key, entry]) => `${key}=${walk(entry)}`).join('')}}`
}
