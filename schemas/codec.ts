import { crc32, inflateRawSync, zstdDecompressSync } from 'node:zlib'

import { NightjarError } from '../core/errors.ts'
import { unsnap } from './snappy.ts'

/** The most bytes that one block may have when it is unpacked. */
export const maxBlockBytes = 64 << 20

/** The codecs that are read. `null` is no compression, and also what an absent codec means. */
export type Codec = 'null' | 'deflate' | 'snappy' | 'zstandard'

/** Name a codec as the container does. Throws `packet_undecodable` for one that is not read. */
export function parseCodec(name: string): Codec {
  if (name === 'null' || name === 'deflate' || name === 'snappy' || name === 'zstandard')
    return name
  throw new NightjarError(
    'packet_undecodable',
    `Cannot read container: codec ${JSON.stringify(name.slice(0, 40))} is not known`,
  )
}

/**
 * Unpack one block. The size is bounded before anything is allocated: `packet_unbounded` beyond
 * `maxBlockBytes`, `packet_undecodable` if the data are damaged.
 */
export function unpack(codec: Codec, data: Uint8Array): Uint8Array {
  if (codec === 'null') return data
  try {
    return plain(codec === 'snappy' ? snappy(data) : inflate(codec, data))
  } catch (cause) {
    if (cause instanceof NightjarError) throw cause
    const isTooLong = cause instanceof RangeError
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new NightjarError(
      isTooLong ? 'packet_unbounded' : 'packet_undecodable',
      `Cannot unpack ${codec} block: ${why}`,
      { cause },
    )
  }
}

function inflate(codec: 'deflate' | 'zstandard', data: Uint8Array): Uint8Array {
  const options = { maxOutputLength: maxBlockBytes }
  return codec === 'deflate' ? inflateRawSync(data, options) : zstdDecompressSync(data, options)
}

function snappy(data: Uint8Array): Uint8Array {
  if (data.byteLength < 5) throw damaged(`it has ${data.byteLength} bytes`)
  const bytes = unsnap(data.subarray(0, data.byteLength - 4), maxBlockBytes)
  // Avro adds what snappy lacks: the CRC-32 of the unpacked bytes, big-endian.
  const promised = new DataView(data.buffer, data.byteOffset).getUint32(data.byteLength - 4)
  const found = crc32(bytes)
  if (found !== promised) throw damaged(`its CRC-32 is ${found}, not ${promised}`)
  return bytes
}

function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function damaged(why: string): NightjarError {
  return new NightjarError('packet_undecodable', `Cannot unpack snappy block: ${why}`)
}
