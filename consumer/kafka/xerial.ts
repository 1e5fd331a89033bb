/**
 * Snappy as Kafka has it: Java's producers write xerial's stream of chunks, librdkafka's write raw
 * snappy. Both are unpacked with bounds.
 */
import { unsnap } from '../../schemas/snappy.ts'

const magic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const headerBytes = 16

/** Unpack at most `limit` bytes. Throws `Error` with the reason. */
export function unpackSnappy(input: Uint8Array, limit: number): Uint8Array {
  const bytes = Buffer.from(input.buffer, input.byteOffset, input.byteLength)
  if (bytes.length < headerBytes || !bytes.subarray(0, magic.length).equals(magic)) {
    return unsnap(input, limit)
  }
  const chunks: Uint8Array[] = []
  let total = 0
  let p = headerBytes
  while (p < bytes.length) {
    // Streams that were joined repeat the header.
    if (bytes.subarray(p, p + magic.length).equals(magic)) {
      p += headerBytes
      continue
    }
    if (p + 4 > bytes.length) throw new Error('it ends inside a chunk length')
    const size = bytes.readInt32BE(p)
    p += 4
    if (size < 0 || p + size > bytes.length) {
      throw new Error(`a chunk of ${size} bytes passes its end`)
    }
    const chunk = unsnap(bytes.subarray(p, p + size), limit - total)
    total += chunk.length
    chunks.push(chunk)
    p += size
  }
  return chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks)
}
