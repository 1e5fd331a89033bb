import { NightjarError } from '../core/errors.ts'

/** A message in Confluent's wire format: which schema wrote it, and one datum. */
export interface WireMessage {
  /** The number of the schema in the registry. LSST counts 100 × major + minor. */
  id: number
  /** A view of the datum behind the five bytes of framing. */
  datum: Uint8Array
}

/** True where the bytes may be Confluent wire format: a zero and at least the four bytes of an id. */
export function isWire(bytes: Uint8Array): boolean {
  return bytes.byteLength >= 5 && bytes[0] === 0
}

/** Take the framing off: a zero byte, the schema id as int32 big-endian. Throws `packet_undecodable`. */
export function parseWire(bytes: Uint8Array): WireMessage {
  if (!isWire(bytes)) {
    const begin = Buffer.from(bytes.subarray(0, 5)).toString('hex')
    throw new NightjarError(
      'packet_undecodable',
      `Cannot read packet: it begins with ${begin || 'nothing'}, neither an Avro container nor wire format`,
    )
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const datum = new Uint8Array(bytes.buffer, bytes.byteOffset + 5, bytes.byteLength - 5)
  return { id: view.getInt32(1), datum }
}
