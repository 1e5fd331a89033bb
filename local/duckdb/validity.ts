import duckdb from '@duckdb/node-bindings'

/** The bitmap of values that are there. A vector that nobody wrote one to has them all. */
export function createValidity(count: number) {
  let bits: Uint8Array<ArrayBuffer> | undefined
  return {
    setNull(at: number): void {
      bits ??= new Uint8Array(Math.ceil(count / 64) * 8).fill(0xff)
      bits[at >> 3] = (bits[at >> 3] as number) & ~(1 << (at & 7))
    },
    writeTo(vector: duckdb.Vector): void {
      if (bits === undefined) return
      duckdb.vector_ensure_validity_writable(vector)
      duckdb.copy_data_to_vector_validity(vector, 0, bits.buffer, 0, bits.byteLength)
    },
  }
}
