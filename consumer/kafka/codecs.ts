/**
 * The four compressions of Kafka, for kafkajs, which brings gzip only. Every one is bounded: a batch
 * that unpacks to more than `limit` bytes is refused, however little it promised.
 */
import { promisify } from 'node:util'
import * as zlib from 'node:zlib'

import { unpackLz4 } from './lz4.ts'
import { readBatch } from './record-batch.ts'
import { unpackSnappy } from './xerial.ts'

/** Most bytes that one batch of records may unpack to: more than a broker takes in one request. */
export const maxBatchBytes = 128 << 20

type Unpack = (input: Uint8Array, limit: number) => Uint8Array | Promise<Uint8Array>

const gunzip = promisify<Uint8Array, zlib.ZlibOptions, Buffer>(zlib.gunzip)
const zstd = promisify<Uint8Array, zlib.ZstdOptions, Buffer>(zlib.zstdDecompress)

/** By the number that a batch's attributes carry. */
const unpackers: Readonly<Record<number, { name: string; unpack: Unpack }>> = {
  1: { name: 'gzip', unpack: (input, limit) => gunzip(input, { maxOutputLength: limit }) },
  2: { name: 'snappy', unpack: unpackSnappy },
  3: { name: 'lz4', unpack: unpackLz4 },
  4: { name: 'zstd', unpack: (input, limit) => zstd(input, { maxOutputLength: limit }) },
}

/** What kafkajs calls a codec. */
export interface Codec {
  compress(encoder: { buffer: Buffer }): Promise<Buffer>
  decompress(buffer: Buffer): Promise<Buffer>
}

/** Put our codecs in the place of those that kafkajs has, or lacks. */
export function registerCodecs(
  codecs: Record<number, () => unknown>,
  options: { limit?: number } = {},
): void {
  const { limit = maxBatchBytes } = options
  for (const [number, { name, unpack }] of Object.entries(unpackers)) {
    const codec: Codec = {
      compress: async () => {
        throw new Error(`Cannot write ${name}: this consumer only reads`)
      },
      decompress: (packed) => readBatch(packed, name, (input) => unpack(input, limit)),
    }
    codecs[Number(number)] = () => codec
  }
}
