import { compileReader } from '../../schemas/decode.ts'
import { parseSchema } from '../../schemas/schema.ts'

/** Decode hex by a schema given as a value. */
export function decodeHex(schema: unknown, hex: string): unknown {
  const bytes = new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
  const { value, end } = compileReader(parseSchema(JSON.stringify(schema)))(bytes, 0)
  if (end !== bytes.length) throw new Error(`${bytes.length - end} bytes left`)
  return value
}

/** A record schema with one field `x`. */
export function recordOf(type: unknown): { type: string; name: string; fields: unknown[] } {
  return { type: 'record', name: 'r', fields: [{ name: 'x', type }] }
}
