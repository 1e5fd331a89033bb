/** Bytes being written. Everything is little-endian, as Avro wants it. */
export interface Sink {
  byte(value: number): void
  /** Zigzag, seven bits a byte. */
  long(value: bigint): void
  float(value: number): void
  double(value: number): void
  raw(bytes: Uint8Array): void
  /** The length and the bytes. */
  block(bytes: Uint8Array): void
  /** All bytes written, copied. */
  take(): Uint8Array
}

/** Make a sink that grows by doubling. */
export function createSink(): Sink {
  let bytes = new Uint8Array(4096)
  let view = new DataView(bytes.buffer)
  let at = 0
  const sink: Sink = { byte, long, float, double, raw, block, take }
  return sink

  function room(size: number): void {
    if (at + size <= bytes.length) return
    const larger = new Uint8Array(Math.max(bytes.length * 2, at + size))
    larger.set(bytes)
    bytes = larger
    view = new DataView(bytes.buffer)
  }

  function byte(value: number): void {
    room(1)
    bytes[at++] = value
  }

  function long(value: bigint): void {
    room(10)
    let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
    for (; rest > 127n; rest >>= 7n) bytes[at++] = Number(rest & 127n) | 128
    bytes[at++] = Number(rest)
  }

  function float(value: number): void {
    room(4)
    view.setFloat32(at, value, true)
    at += 4
  }

  function double(value: number): void {
    room(8)
    view.setFloat64(at, value, true)
    at += 8
  }

  function raw(more: Uint8Array): void {
    room(more.byteLength)
    bytes.set(more, at)
    at += more.byteLength
  }

  function block(more: Uint8Array): void {
    long(BigInt(more.byteLength))
    raw(more)
  }

  function take(): Uint8Array {
    return bytes.slice(0, at)
  }
}
