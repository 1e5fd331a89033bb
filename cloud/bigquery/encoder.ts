/**
 * Rows as the Storage Write API takes them: protobuf messages, with the descriptor that says how to read
 * them. Compiled once for a shape. Every value is checked: protobufjs, which the SDK encodes with, makes NaN
 * of a text where a number belongs, and 0 where an integer does.
 */
import { inspect } from 'node:util'

import type { PlacedColumn } from '../../core/beside.ts'
import { NightjarError } from '../../core/errors.ts'
import type { ColumnType } from '../../core/row.ts'
import { createWire, wireTypes, type Wire, type WireType } from './wire.ts'

/** The part of a protobuf DescriptorProto that a row needs; numbers of descriptor.proto's enums. */
export interface Descriptor {
  name: string
  field: {
    name: string
    number: number
    label: number
    type: number
    typeName?: string
  }[]
  nestedType: Descriptor[]
}

export interface Encoder {
  descriptor: Descriptor
  /** Throws `row_rejected` for a value that its column cannot hold. */
  encode(values: Readonly<Record<string, unknown>>): Uint8Array
}

type Fields = Readonly<Record<string, unknown>>
type WriteValue = (value: unknown) => void

const labels = { optional: 1, repeated: 3 }
const messageType = 11

/** Proto types and their layout (docs: "Supported protocol buffer and Arrow data types"). */
const protoTypes: Readonly<Record<Exclude<ColumnType, 'RECORD'>, [type: number, wire: WireType]>> =
  {
    STRING: [9, wireTypes.delimited],
    BYTES: [12, wireTypes.delimited],
    BOOL: [8, wireTypes.varint],
    INT64: [3, wireTypes.varint],
    INT32: [3, wireTypes.varint],
    FLOAT64: [1, wireTypes.fixed64],
    FLOAT32: [2, wireTypes.fixed32],
    DATE: [5, wireTypes.varint],
    TIMESTAMP: [3, wireTypes.varint],
  }

/** Compile the encoder of rows with these columns. */
export function createEncoder(columns: readonly PlacedColumn[]): Encoder {
  const wire = createWire()
  const write = recordWriter(wire, columns, '')
  return {
    descriptor: descriptorOf('Row', columns),
    encode(values) {
      try {
        write(values)
        return wire.take()
      } catch (error) {
        wire.take()
        throw error
      }
    },
  }
}

function descriptorOf(name: string, columns: readonly PlacedColumn[]): Descriptor {
  const nestedType: Descriptor[] = []
  const field = columns.map((column, at) => {
    const label = column.mode === 'REPEATED' ? labels.repeated : labels.optional
    const base = { name: column.name, number: at + 1, label }
    if (column.type !== 'RECORD') return { ...base, type: protoTypes[column.type][0] }
    const typeName = `${name}_${at + 1}`
    nestedType.push(descriptorOf(typeName, column.fields ?? []))
    return { ...base, type: messageType, typeName }
  })
  return { name, field, nestedType }
}

function recordWriter(
  wire: Wire,
  columns: readonly PlacedColumn[],
  path: string,
): (values: Fields) => void {
  const writers = columns.map((column, at) => ({
    from: column.from,
    write: columnWriter(wire, column, at + 1, `${path}${column.from}`),
  }))
  return (values) => {
    for (const { from, write } of writers) {
      const value = values[from]
      // What is not there is null, and an empty array where the column is REPEATED.
      if (value !== null && value !== undefined) write(value)
    }
  }
}

function columnWriter(wire: Wire, column: PlacedColumn, number: number, path: string): WriteValue {
  const write = valueWriter(wire, column, number, path)
  if (column.mode === 'NULLABLE') return write
  return (value) => {
    if (!Array.isArray(value)) throw unfit(path, 'REPEATED', value)
    for (const item of value) write(item)
  }
}

function valueWriter(wire: Wire, column: PlacedColumn, number: number, path: string): WriteValue {
  if (column.type === 'RECORD') {
    const inner = recordWriter(wire, column.fields ?? [], `${path}.`)
    return (value) => {
      if (!isFields(value)) throw unfit(path, 'RECORD', value)
      wire.tag(number, wireTypes.delimited)
      wire.message(() => inner(value))
    }
  }
  const { type } = column
  const scalar = scalarWriter(wire, type)
  const [, layout] = protoTypes[type]
  return (value) => {
    // The tag comes before the value, so a value that does not fit must not leave one behind.
    if (!fits(type, value)) throw unfit(path, type, value)
    wire.tag(number, layout)
    scalar(value)
  }
}

/** The writer of a value that fits. */
function scalarWriter(wire: Wire, type: Exclude<ColumnType, 'RECORD'>): WriteValue {
  switch (type) {
    case 'STRING':
      return (value) => wire.text(value as string)
    case 'BYTES':
      return (value) => wire.bytes(value as Uint8Array)
    case 'BOOL':
      return (value) => wire.int(value === true ? 1 : 0)
    case 'FLOAT32':
      return (value) => wire.float(value as number)
    case 'FLOAT64':
      return (value) => wire.double(value as number)
    default:
      return (value) => wire.int(value as number | bigint)
  }
}

function fits(type: Exclude<ColumnType, 'RECORD'>, value: unknown): boolean {
  switch (type) {
    case 'STRING':
      return typeof value === 'string'
    case 'BYTES':
      return value instanceof Uint8Array
    case 'BOOL':
      return typeof value === 'boolean'
    case 'FLOAT32':
    case 'FLOAT64':
      return typeof value === 'number'
    case 'INT64':
    case 'TIMESTAMP':
      return Number.isSafeInteger(value) || isInt64(value)
    case 'INT32':
    case 'DATE':
      return isInt32(value)
  }
}

const isInt64 = (value: unknown): boolean =>
  typeof value === 'bigint' && BigInt.asIntN(64, value) === value

function isInt32(value: unknown): boolean {
  const number = typeof value === 'bigint' ? Number(value) : value
  return typeof number === 'number' && (number | 0) === number
}

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  !(value instanceof Uint8Array)

function unfit(path: string, type: ColumnType | 'REPEATED', value: unknown): NightjarError {
  const shown = inspect(value, { depth: 0, breakLength: Infinity }).slice(0, 80)
  return new NightjarError(
    'row_rejected',
    `Cannot store the row: column "${path}" is ${type} and its value is ${shown} (${typeof value})`,
  )
}
