import type { Codec } from './codec.ts'

/** Bytes of the marker behind the header and behind every block. */
export const syncBytes = 16

const magic = Buffer.from([0x4f, 0x62, 0x6a, 0x01])

/** What the header of a container says. */
export interface HeaderContent {
  schemaText: string | Uint8Array
  /** Written as `avro.codec`. */
  codec: Codec
  /** Other entries, written in their order; an `avro.codec` among them is passed over. */
  metadata?: Iterable<readonly [string, Uint8Array]>
  sync: Uint8Array
}

/** Write a long as Avro does: zigzag, seven bits a byte. The number is at most 2^52. */
export function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let raw = value < 0 ? -value * 2 - 1 : value * 2
  for (; raw > 127; raw = Math.floor(raw / 128)) bytes.push((raw % 128) | 128)
  bytes.push(raw)
  return Uint8Array.from(bytes)
}

/** Write the header of a container; the same content gives the same bytes. */
export function encodeHeader({ schemaText, codec, metadata, sync }: HeaderContent): Buffer {
  const others = [...(metadata ?? [])].filter(([key]) => key !== 'avro.codec')
  const entries: (readonly [string, Uint8Array])[] = [
    ['avro.codec', Buffer.from(codec)],
    ['avro.schema', Buffer.from(schemaText)],
    ...others,
  ]
  const parts: Uint8Array[] = [magic, varint(entries.length)]
  for (const [key, value] of entries) {
    const name = Buffer.from(key)
    parts.push(varint(name.length), name, varint(value.byteLength), value)
  }
  return Buffer.concat([...parts, varint(0), sync])
}

/** Write a block of `count` records that are encoded, and packed if need be, already. */
export function encodeBlock(count: number, data: Uint8Array, sync: Uint8Array): Uint8Array[] {
  return [varint(count), varint(data.byteLength), data, sync]
}
