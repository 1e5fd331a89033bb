/** Packets as bad luck leaves them. None of them is an alert any more: each must end in the dead letters. */
import type { Random } from './random.ts'

export const damages = [
  'truncated',
  'bit-flipped',
  'line-ends',
  'empty',
  'not-avro',
  'huge-count',
] as const

export type Damage = (typeof damages)[number]

const syncBytes = 16

/** Damage a packet. The result cannot be read as an alert, whatever was drawn. */
export function corrupt(packet: Uint8Array, damage: Damage, random: Random): Uint8Array {
  const bytes = Buffer.from(packet)
  switch (damage) {
    case 'truncated':
      return bytes.subarray(0, 5 + random.whole(bytes.length - 6))
    case 'bit-flipped': {
      // In the magic or the closing sync marker: a flip among pixels would be an alert still.
      const inMarker = random.chance(0.7)
      const at = inMarker ? bytes.length - 1 - random.whole(syncBytes) : random.whole(4)
      bytes[at] = (bytes[at] as number) ^ (1 << random.whole(8))
      return bytes
    }
    case 'line-ends':
      return withLineEnds(bytes)
    case 'empty':
      return new Uint8Array()
    case 'not-avro':
      return Buffer.from('<html><head><title>503 Service Unavailable</title></head></html>\n')
    case 'huge-count':
      return withHugeCount(bytes)
  }
}

/** As a checkout that converts text does: every LF of the packet becomes CR LF. */
function withLineEnds(bytes: Buffer): Buffer {
  const parts: number[] = []
  for (const byte of bytes) {
    if (byte === 0x0a) parts.push(0x0d)
    parts.push(byte)
  }
  return Buffer.from(parts)
}

/** The block says that it holds 2^53 records. A reader that believes it asks for all memory. */
function withHugeCount(bytes: Buffer): Buffer {
  const marker = bytes.subarray(bytes.length - syncBytes)
  const block = bytes.indexOf(marker) + syncBytes
  const count = Buffer.from([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20])
  // The honest count is one record: one byte.
  return Buffer.concat([bytes.subarray(0, block), count, bytes.subarray(block + 1)])
}
