/** Values of one scalar type into one vector. Every value is checked: a vector takes any bytes. */
import { inspect } from 'node:util'

import duckdb from '@duckdb/node-bindings'

import { NightjarError } from '../../core/errors.ts'
import type { ColumnType } from '../../core/row.ts'
import { createValidity } from './validity.ts'

/** Writes `count` values, null or undefined where there is none, into a vector of as many slots. */
export type WriteVector = (vector: duckdb.Vector, values: readonly unknown[], count: number) => void

type ScalarType = Exclude<ColumnType, 'RECORD'>

/** The writer of a scalar column; `path` names the column in errors. */
export function createLeafWriter(type: ScalarType, path: string): WriteVector {
  switch (type) {
    case 'STRING':
      return stringWriter(path)
    case 'BYTES':
      return bytesWriter(path)
    case 'BOOL':
      return fixedWriter(Uint8Array, toBit, type, path)
    case 'INT32':
    case 'DATE':
      return fixedWriter(Int32Array, toInt32, type, path)
    case 'INT64':
    case 'TIMESTAMP':
      return fixedWriter(BigInt64Array, toInt64, type, path)
    case 'FLOAT32':
      return floatWriter(Float32Array, type, path)
    case 'FLOAT64':
      return floatWriter(Float64Array, type, path)
  }
}

/** Most columns are floats; a loop without a call for each value takes a third of the time. */
function floatWriter(
  FloatArray: Float32ArrayConstructor | Float64ArrayConstructor,
  type: ScalarType,
  path: string,
): WriteVector {
  return (vector, values, count) => {
    const data = new FloatArray(count)
    const validity = createValidity(count)
    for (let i = 0; i < count; i++) {
      const value = values[i]
      if (typeof value === 'number') data[i] = value
      else if (value === null || value === undefined) validity.setNull(i)
      else throw unfit(path, type, value)
    }
    duckdb.copy_data_to_vector(vector, 0, data.buffer, 0, data.byteLength)
    validity.writeTo(vector)
  }
}

interface FixedArray<T> {
  [at: number]: T
  readonly buffer: ArrayBuffer
  readonly byteLength: number
}

function fixedWriter<T extends number | bigint>(
  ArrayOf: new (length: number) => FixedArray<T>,
  convert: (value: unknown) => T | undefined,
  type: ScalarType,
  path: string,
): WriteVector {
  return (vector, values, count) => {
    const data = new ArrayOf(count)
    const validity = createValidity(count)
    for (let i = 0; i < count; i++) {
      const value = values[i]
      if (value === null || value === undefined) {
        validity.setNull(i)
        continue
      }
      const converted = convert(value)
      if (converted === undefined) throw unfit(path, type, value)
      data[i] = converted
    }
    duckdb.copy_data_to_vector(vector, 0, data.buffer, 0, data.byteLength)
    validity.writeTo(vector)
  }
}

function toBit(value: unknown): number | undefined {
  return typeof value === 'boolean' ? Number(value) : undefined
}

function toInt32(value: unknown): number | undefined {
  const number = typeof value === 'bigint' ? Number(value) : value
  return typeof number === 'number' && (number | 0) === number ? number : undefined
}

function toInt64(value: unknown): bigint | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : undefined
  return typeof value === 'bigint' && BigInt.asIntN(64, value) === value ? value : undefined
}

/** A string_t of up to 12 bytes stands in its slot: its length and itself. */
const inlineBytes = 12
const slotBytes = 16

function stringWriter(path: string): WriteVector {
  return (vector, values, count) => {
    const slots = new Uint8Array(count * slotBytes)
    const validity = createValidity(count)
    const long: number[] = []
    for (let i = 0; i < count; i++) {
      const value = values[i]
      if (value === null || value === undefined) validity.setNull(i)
      else if (typeof value !== 'string') throw unfit(path, 'STRING', value)
      else if (!writeInline(slots, i * slotBytes, value)) long.push(i)
    }
    duckdb.copy_data_to_vector(vector, 0, slots.buffer, 0, slots.byteLength)
    validity.writeTo(vector)
    for (const i of long) assignString(vector, i, values[i] as string)
  }
}

/** Write a short ASCII text into its slot; false where it is neither. */
function writeInline(slots: Uint8Array, at: number, text: string): boolean {
  const { length } = text
  if (length > inlineBytes) return false
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i)
    if (code > 0x7f) return (slots.fill(0, at, at + slotBytes), false)
    slots[at + 4 + i] = code
  }
  slots[at] = length
  return true
}

function assignString(vector: duckdb.Vector, at: number, text: string): void {
  // The call for text ends at the first NUL, as C strings do.
  if (text.includes('\0')) {
    duckdb.vector_assign_string_element_len(vector, at, Buffer.from(text))
  } else {
    duckdb.vector_assign_string_element(vector, at, text)
  }
}

function bytesWriter(path: string): WriteVector {
  return (vector, values, count) => {
    const validity = createValidity(count)
    // A slot left as it was would point to bytes of an earlier chunk.
    const slots = new Uint8Array(count * slotBytes)
    duckdb.copy_data_to_vector(vector, 0, slots.buffer, 0, slots.byteLength)
    for (let i = 0; i < count; i++) {
      const value = values[i]
      if (value === null || value === undefined) validity.setNull(i)
      else if (!(value instanceof Uint8Array)) throw unfit(path, 'BYTES', value)
      else duckdb.vector_assign_string_element_len(vector, i, value)
    }
    validity.writeTo(vector)
  }
}

/** The error of a value that a column cannot hold. */
export function unfit(path: string, type: ColumnType | 'REPEATED', value: unknown): NightjarError {
  const shown = inspect(value, { depth: 0, breakLength: Infinity }).slice(0, 80)
  return new NightjarError(
    'row_rejected',
    `Cannot store the row: column "${path}" is ${type} and its value is ${shown} (${typeof value})`,
  )
}
