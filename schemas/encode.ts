import { NightjarError } from '../core/errors.ts'
import { encodeBlock, encodeHeader } from './framing.ts'
import { parseSchema } from './schema.ts'
import type { AvroType, Field, RecordType, Schema, UnionType } from './schema.ts'
import { createSink } from './sink.ts'
import type { Sink } from './sink.ts'

export { trimPacket } from './trim.ts'

/** How a container is written. The same records with the same marker give the same bytes. */
export interface EncodeOptions {
  /** The sixteen bytes of the sync marker. */
  sync: Uint8Array
  codec?: 'null'
}

/**
 * Write a container of one block. The header keeps the schema's text as it is given, illegal defaults
 * and all. Values are what `compileReader` gives; a field that is absent takes the schema's default
 * and is null if it may be. Throws `schema_illegal` and `input_invalid`.
 */
export function encodeContainer(
  schemaText: string,
  records: readonly unknown[],
  { sync, codec = 'null' }: EncodeOptions,
): Uint8Array {
  if (sync.byteLength !== 16) {
    throw new NightjarError(
      'input_invalid',
      `Cannot encode container: the sync marker has ${sync.byteLength} bytes, not 16`,
    )
  }
  const schema = parseSchema(schemaText)
  const sink = createSink()
  for (const record of records) write(sink, schema.root, record, '')
  const header = encodeHeader({ schemaText, codec, sync })
  const blocks = records.length > 0 ? encodeBlock(records.length, sink.take(), sync) : []
  return plain(Buffer.concat([header, ...blocks]))
}

/** Write one datum without any framing. Throws `input_invalid` if the value does not fit the schema. */
export function encodeDatum(schema: Schema, value: unknown): Uint8Array {
  const sink = createSink()
  write(sink, schema.root, value, '')
  return sink.take()
}

function write(sink: Sink, type: AvroType, value: unknown, path: string): void {
  // A record is judged field by field, so that the error names the field.
  const fits =
    type.kind === 'record' ? isObject(value) : type.kind === 'union' || accepts(type, value)
  if (!fits) throw unfit(type, value, path)
  switch (type.kind) {
    case 'null':
      return
    case 'boolean':
      return sink.byte(value === true ? 1 : 0)
    case 'int':
    case 'long':
      return sink.long(BigInt(value as number | bigint))
    case 'float':
      return sink.float(value as number)
    case 'double':
      return sink.double(value as number)
    case 'string':
      return sink.block(Buffer.from(value as string))
    case 'bytes':
      return sink.block(value as Uint8Array)
    case 'fixed':
      return sink.raw(value as Uint8Array)
    case 'enum':
      return sink.long(BigInt(type.symbols.indexOf(value as string)))
    case 'array': {
      const items = value as readonly unknown[]
      if (items.length > 0) sink.long(BigInt(items.length))
      items.forEach((item, i) => write(sink, type.items, item, `${path}[${i}]`))
      return sink.byte(0)
    }
    case 'map': {
      const entries = Object.entries(value as object)
      if (entries.length > 0) sink.long(BigInt(entries.length))
      for (const [key, entry] of entries) {
        sink.block(Buffer.from(key))
        write(sink, type.values, entry, `${path}.${key}`)
      }
      return sink.byte(0)
    }
    case 'record':
      return writeRecord(sink, type, value as Readonly<Record<string, unknown>>, path)
    case 'union': {
      const index = branchOf(type, value)
      const branch = type.branches[index]
      if (!branch) throw unfit(type, value, path)
      sink.long(BigInt(index))
      return write(sink, branch, value, path)
    }
  }
}

function writeRecord(
  sink: Sink,
  type: RecordType,
  record: Readonly<Record<string, unknown>>,
  path: string,
): void {
  for (const field of type.fields) {
    const given = Object.hasOwn(record, field.name) ? record[field.name] : undefined
    const value = given === undefined ? absent(field) : given
    write(sink, field.type, value, path === '' ? field.name : `${path}.${field.name}`)
  }
}

function absent({ type, default: value }: Field): unknown {
  if (value !== undefined) return value
  const isNullable = type.kind === 'union' && type.branches.some(({ kind }) => kind === 'null')
  return isNullable ? null : undefined
}

/** The first branch that holds the value; a number goes where nothing of it is lost. */
function branchOf(type: UnionType, value: unknown): number {
  const exact = type.branches.findIndex((branch) => accepts(branch, value) && keeps(branch, value))
  return exact >= 0 ? exact : type.branches.findIndex((branch) => accepts(branch, value))
}

function keeps(type: AvroType, value: unknown): boolean {
  if (type.kind !== 'float' || typeof value !== 'number') return true
  return Object.is(Math.fround(value), value)
}

function accepts(type: AvroType, value: unknown): boolean {
  switch (type.kind) {
    case 'null':
      return value === null
    case 'boolean':
      return typeof value === 'boolean'
    case 'int':
      return typeof value === 'number' && value === (value | 0)
    case 'long':
      return typeof value === 'bigint'
        ? BigInt.asIntN(64, value) === value
        : typeof value === 'number' && Number.isSafeInteger(value)
    case 'float':
    case 'double':
      return typeof value === 'number'
    case 'string':
      return typeof value === 'string'
    case 'bytes':
      return value instanceof Uint8Array
    case 'fixed':
      return value instanceof Uint8Array && value.byteLength === type.size
    case 'enum':
      return typeof value === 'string' && type.symbols.includes(value)
    case 'array':
      return Array.isArray(value)
    case 'map':
      return isObject(value)
    case 'record':
      return isObject(value) && type.fields.every((field) => mayHold(field, value))
    case 'union':
      return type.branches.some((branch) => accepts(branch, value))
  }
}

// Enough to choose between the records of a union: what is required must be there.
function mayHold(field: Field, value: object): boolean {
  return Object.hasOwn(value, field.name) || absent(field) !== undefined
}

function isObject(value: unknown): value is object {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Uint8Array)
  )
}

function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function unfit(type: AvroType, value: unknown, path: string): NightjarError {
  const shown =
    typeof value === 'bigint' ? `${value}n` : (JSON.stringify(value, replace) ?? 'absent')
  return new NightjarError(
    'input_invalid',
    `Cannot encode "${path}": ${shown.slice(0, 60)} does not fit type "${type.kind}"`,
  )
}

function replace(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}n` : value
}
