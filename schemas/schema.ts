import { createHash } from 'node:crypto'

import { NightjarError } from '../core/errors.ts'
import { resolveSchema } from './resolve.ts'

/** A type that stands for itself. `logicalType` is kept as written; values are never converted. */
export interface PrimitiveType {
  kind: 'null' | 'boolean' | 'int' | 'long' | 'float' | 'double' | 'bytes' | 'string'
  logicalType?: string
}

/** A run of `size` bytes. */
export interface FixedType {
  kind: 'fixed'
  name: string
  size: number
  logicalType?: string
}

/** One of a list of words, written as its place in the list. */
export interface EnumType {
  kind: 'enum'
  name: string
  symbols: readonly string[]
}

/** Any number of items of one type. */
export interface ArrayType {
  kind: 'array'
  items: AvroType
}

/** Any number of values of one type, each under a string. */
export interface MapType {
  kind: 'map'
  values: AvroType
}

/** One field of a record. `default` is the JSON as written: absent means that there is none. */
export interface Field {
  name: string
  type: AvroType
  doc?: string
  default?: unknown
}

/** Named fields, in the order in which they are written. `version` is an attribute that ZTF adds. */
export interface RecordType {
  kind: 'record'
  name: string
  fields: Field[]
  doc?: string
  version?: string
}

/** One of several types, written as the place of the branch and then the value. */
export interface UnionType {
  kind: 'union'
  branches: AvroType[]
}

/**
 * A resolved type. A named type that is used twice is the same object twice, and a recursive one
 * contains itself.
 */
export type AvroType =
  PrimitiveType | FixedType | EnumType | ArrayType | MapType | RecordType | UnionType

/** A writer's schema. The fingerprint is the sha-256, in hex, of the bytes of the text. */
export interface Schema {
  root: AvroType
  fingerprint: string
  text: string
}

/** The longest schema text that is read, in bytes. The longest seen in the wild has 57 kB. */
export const maxSchemaBytes = 1 << 20

const maxCached = 256
const maxCachedBytes = 32 << 20

interface Cached {
  bytes: Buffer
  schema: Schema
}

// Writers repeat one schema for months, so the texts of one length are few and comparing them is
// cheaper than hashing them.
const cache = new Map<number, Cached[]>()
let cachedCount = 0
let cachedBytes = 0

/**
 * Read the JSON text of an Avro schema. The same bytes give the same object while they are among the
 * last 256. Defaults are not checked, for reading never needs them (`fixPacket` judges them).
 * Throws `schema_illegal`.
 */
export function parseSchema(text: string | Uint8Array): Schema {
  const size = typeof text === 'string' ? text.length : text.byteLength
  if (size > maxSchemaBytes) {
    throw new NightjarError(
      'schema_illegal',
      `Cannot read schema: it is ${size} bytes long, more than ${maxSchemaBytes}`,
    )
  }
  const bytes =
    typeof text === 'string'
      ? Buffer.from(text)
      : Buffer.from(text.buffer, text.byteOffset, text.byteLength)
  const known = cache.get(bytes.length)?.find((entry) => entry.bytes.equals(bytes))
  if (known) return known.schema

  const decoded = bytes.toString()
  const schema: Schema = {
    root: resolveSchema(parseJson(decoded)),
    fingerprint: createHash('sha256').update(bytes).digest('hex'),
    text: decoded,
  }
  remember(Buffer.from(bytes), schema)
  return schema
}

function remember(bytes: Buffer, schema: Schema): void {
  if (cachedCount >= maxCached || cachedBytes + bytes.length > maxCachedBytes) {
    cache.clear()
    cachedCount = 0
    cachedBytes = 0
  }
  const sameLength = cache.get(bytes.length)
  if (sameLength) sameLength.push({ bytes, schema })
  else cache.set(bytes.length, [{ bytes, schema }])
  cachedCount++
  cachedBytes += bytes.length
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    // A schema may be one bare word, such as `string`, without the quotes of JSON.
    const word = text.trim()
    if (/^[A-Za-z_][\w.]*$/.test(word)) return word
    throw new NightjarError(
      'schema_illegal',
      `Cannot read schema: it is not JSON, it begins with ${JSON.stringify(text.slice(0, 40))}`,
      { cause },
    )
  }
}
