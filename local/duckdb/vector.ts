/** The values of one of DuckDB's vectors as ours, all at once. */
import {
  DuckDBArrayValue,
  DuckDBBlobValue,
  DuckDBDecimalValue,
  DuckDBListType,
  DuckDBStructType,
  DuckDBTypeId,
  DuckDBVector,
} from '@duckdb/node-api'
import type { DuckDBType } from '@duckdb/node-api'
import duckdb from '@duckdb/node-bindings'

type ReadVector = (vector: duckdb.Vector, count: number) => unknown[]

/** Compile the reader of a type's vectors. */
export function createReader(type: DuckDBType): ReadVector {
  switch (type.typeId) {
    case DuckDBTypeId.INTEGER:
      return fixedReader(Int32Array, (value) => value)
    case DuckDBTypeId.BIGINT:
      return fixedReader(BigInt64Array, (value) => value)
    case DuckDBTypeId.FLOAT:
      return fixedReader(Float32Array, (value) => value)
    case DuckDBTypeId.DOUBLE:
      return fixedReader(Float64Array, (value) => value)
    case DuckDBTypeId.DATE:
      return fixedReader(Int32Array, dayOf)
    case DuckDBTypeId.TIMESTAMP:
    case DuckDBTypeId.TIMESTAMP_TZ:
      return fixedReader(BigInt64Array, isoOf)
    case DuckDBTypeId.VARCHAR:
      return readStrings
  }
  if (type instanceof DuckDBStructType) return structReader(type)
  if (type instanceof DuckDBListType) return listReader(type)
  return anyReader(type)
}

interface ArrayOf<T> {
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): { readonly [at: number]: T }
  readonly BYTES_PER_ELEMENT: number
}

function fixedReader<T>(array: ArrayOf<T>, valueOf: (value: T) => unknown): ReadVector {
  return (vector, count) => {
    const bytes = duckdb.vector_get_data(vector, array.BYTES_PER_ELEMENT * count)
    const data = new array(bytes.buffer, bytes.byteOffset, count)
    const isNull = nulls(vector, count)
    const values = new Array<unknown>(count)
    for (let i = 0; i < count; i++) values[i] = isNull(i) ? null : valueOf(data[i] as T)
    return values
  }
}

function readStrings(vector: duckdb.Vector, count: number): unknown[] {
  const data = Buffer.from(duckdb.vector_get_data(vector, 16 * count).buffer)
  const isNull = nulls(vector, count)
  return Array.from({ length: count }, (_, i) => {
    if (isNull(i)) return null
    const at = 16 * i
    const length = data.readUInt32LE(at)
    // Up to 12 bytes stand in the slot, more where its second half points to.
    if (length <= 12) return data.toString('utf8', at + 4, at + 4 + length)
    const bytes = duckdb.get_data_from_pointer(
      data.buffer as ArrayBuffer,
      data.byteOffset + at + 8,
      length,
    )
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
  })
}

function structReader({ entryNames, entryTypes }: DuckDBStructType): ReadVector {
  const readers = entryTypes.map(createReader)
  return (vector, count) => {
    const isNull = nulls(vector, count)
    const columns = readers.map((read, at) =>
      read(duckdb.struct_vector_get_child(vector, at), count),
    )
    return Array.from({ length: count }, (_, i) =>
      isNull(i) ? null : rowAt(entryNames, columns, i),
    )
  }
}

function listReader({ valueType }: DuckDBListType): ReadVector {
  const read = createReader(valueType)
  return (vector, count) => {
    const isNull = nulls(vector, count)
    const { buffer, byteOffset } = duckdb.vector_get_data(vector, 16 * count)
    const entries = new BigUint64Array(buffer, byteOffset, 2 * count)
    const size = duckdb.list_vector_get_size(vector)
    const elements = read(duckdb.list_vector_get_child(vector), size)
    return Array.from({ length: count }, (_, i) => {
      const start = Number(entries[2 * i])
      return isNull(i) ? null : elements.slice(start, start + Number(entries[2 * i + 1]))
    })
  }
}

/** The types that no row shape has but a query may: exact as bigint, else as DuckDB prints them. */
function anyReader(type: DuckDBType): ReadVector {
  return (vector, count) => {
    const items = DuckDBVector.create(vector, count, type)
    return Array.from({ length: count }, (_, i) => plain(items.getItem(i)))
  }
}

function plain(value: unknown): unknown {
  if (value === null || value === undefined) return null
  if (value instanceof DuckDBBlobValue) return Uint8Array.from(value.bytes)
  if (value instanceof DuckDBDecimalValue) return value.toDouble()
  if (value instanceof DuckDBArrayValue) return value.items.map(plain)
  return typeof value === 'object' ? String(value) : value
}

function rowAt(names: readonly string[], columns: readonly unknown[][], at: number) {
  const row: Record<string, unknown> = {}
  for (let i = 0; i < names.length; i++) row[names[i] as string] = columns[i]?.[at]
  return row
}

function nulls(vector: duckdb.Vector, count: number): (at: number) => boolean {
  const bits: Uint8Array | null = duckdb.vector_get_validity(vector, Math.ceil(count / 64) * 8)
  if (bits === null || bits === undefined) return () => false
  return (at) => (((bits[at >> 3] as number) >> (at & 7)) & 1) === 0
}

const microsPerMilli = 1000n

/** `2026-11-21T10:01:16.123456Z`. */
function isoOf(micros: bigint): string {
  const milli = micros / microsPerMilli - (micros % microsPerMilli < 0n ? 1n : 0n)
  const rest = String(micros - milli * microsPerMilli).padStart(3, '0')
  const date = new Date(Number(milli))
  if (Number.isNaN(date.getTime())) return micros > 0n ? 'infinity' : '-infinity'
  return date.toISOString().replace('Z', `${rest}Z`)
}

function dayOf(days: number): string {
  const date = new Date(days * 86_400_000)
  if (Number.isNaN(date.getTime())) return days > 0 ? 'infinity' : '-infinity'
  return date.toISOString().replace(/T.*/, '')
}
