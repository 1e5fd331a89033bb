/** Bytes of a protobuf message (protobuf.dev, "Encoding"), written front to back into one buffer. */
export interface Wire {
  tag(field: number, type: WireType): void
  /** An integer of up to 64 bits, two's complement. */
  int(value: number | bigint): void
  float(value: number): void
  double(value: number): void
  text(value: string): void
  bytes(value: Uint8Array): void
  /** A message within the message: whatever `write` writes, with its length before it. */
  message(write: () => void): void
  /** What was written since the last call, as a copy. */
  take(): Uint8Array
}

/** How a field's value is laid out. */
export const wireTypes = { varint: 0, fixed64: 1, delimited: 2, fixed32: 5 } as const
export type WireType = (typeof wireTypes)[keyof typeof wireTypes]

/** Make a writer; it is used for one row after the other. */
export function createWire(): Wire {
  let buffer = Buffer.allocUnsafe(64 << 10)
  let at = 0

  function reserve(bytes: number): void {
    if (at + bytes <= buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(2 * buffer.length, at + bytes))
    buffer.copy(larger, 0, 0, at)
    buffer = larger
  }

  /** A varint of up to 53 bits; the caller has reserved room. */
  function varint(value: number): void {
    while (value > 0x7f) {
      buffer[at++] = (value % 128) | 0x80
      value = Math.floor(value / 128)
    }
    buffer[at++] = value
  }

  function delimited(length: number): void {
    reserve(length + 5)
    varint(length)
  }

  return {
    tag(field, type) {
      reserve(5)
      varint(field * 8 + type)
    },
    int(value) {
      reserve(10)
      if (value >= 0 && value <= Number.MAX_SAFE_INTEGER) return varint(Number(value))
      let rest = BigInt.asUintN(64, BigInt(value))
      while (rest > 0x7fn) {
        buffer[at++] = Number(rest & 0x7fn) | 0x80
        rest >>= 7n
      }
      buffer[at++] = Number(rest)
    },
    float(value) {
      reserve(4)
      at = buffer.writeFloatLE(value, at)
    },
    double(value) {
      reserve(8)
      at = buffer.writeDoubleLE(value, at)
    },
    text(value) {
      const length = Buffer.byteLength(value)
      delimited(length)
      at += buffer.write(value, at)
    },
    bytes(value) {
      delimited(value.length)
      buffer.set(value, at)
      at += value.length
    },
    message(write) {
      reserve(5)
      const before = at
      // Most records take two bytes of length; others are moved when it is known.
      at += 2
      write()
      const length = at - before - 2
      const width = length < 1 << 7 ? 1 : length < 1 << 14 ? 2 : length < 1 << 21 ? 3 : 4
      reserve(2)
      if (width !== 2) buffer.copyWithin(before + width, before + 2, at)
      at = before
      varint(length)
      at += length
    },
    take() {
      const taken = Uint8Array.prototype.slice.call(buffer, 0, at)
      at = 0
      return taken
    },
  }
}
