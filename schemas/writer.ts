import avro from 'avsc'

import { NightjarError } from '../core/errors.ts'
import { fits } from './defaults.ts'
import type { AvroType, Field, Schema } from './schema.ts'

type Options = Parameters<typeof avro.Type.forSchema>[1]

const writers = new WeakMap<Schema, avro.Type>()
const eight = Buffer.alloc(8)

// avsc's own long is a number, which is too small for every candid; this is its documented way out.
const long = avro.types.LongType.__with({
  isValid: (value: unknown) =>
    typeof value === 'bigint' ? BigInt.asIntN(64, value) === value : Number.isSafeInteger(value),
  toBuffer(value: bigint | number) {
    eight.writeBigInt64LE(BigInt(value))
    return eight
  },
  fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
  fromJSON: BigInt,
  toJSON: Number,
  compare: (a: bigint, b: bigint) => (a === b ? 0 : a < b ? -1 : 1),
})

type Adapter = keyof typeof adapters

const adapters = {
  // A bigint makes avsc's own int throw where it should say no.
  int: (value: unknown) => (typeof value === 'number' ? value : undefined),
  // avsc would write half a surrogate pair as bytes that are not UTF-8.
  string: (value: unknown) => (typeof value === 'string' ? value.toWellFormed() : undefined),
  // avsc wants a Buffer where any view of bytes will do.
  bytes: (value: unknown) =>
    value instanceof Uint8Array
      ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
      : undefined,
}

/**
 * avsc's type of a schema, made once, for values as `compileReader` gives them. It is looser than
 * avsc: unions are unwrapped even where numbers meet, bytes need not be a Buffer, names are free, and
 * illegal defaults are no fault. Throws `schema_illegal`.
 */
export function writerOf(schema: Schema): avro.Type {
  let writer = writers.get(schema)
  if (!writer) writers.set(schema, (writer = createWriter(schema)))
  return writer
}

function createWriter({ root }: Schema): avro.Type {
  try {
    return avro.Type.forSchema(describe(root, new Set()) as avro.Schema, {
      registry: { long },
      wrapUnions: 'always',
      omitRecordMethods: true,
      typeHook,
    })
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new NightjarError('schema_illegal', `Cannot write schema: ${why}`, { cause })
  }
}

/** What `describe` writes where avsc is to use a type of ours. */
interface Custom {
  custom: Adapter | 'union'
  of: avro.Schema
  absent?: unknown
}

function typeHook(node: unknown, options: Options): avro.Type | undefined {
  if (typeof node !== 'object' || node === null || !('custom' in node)) return undefined
  const { custom, of, absent } = node as Custom
  if (custom === 'union') return new Union(of, options, absent)
  return new Adapted(of, options, adapters[custom])
}

/** A type as avsc wants it: each name spelt out once and in full, none but legal defaults. */
function describe(type: AvroType, seen: Set<AvroType>, fallback?: unknown): unknown {
  if ('name' in type) {
    if (seen.has(type)) return type.name
    seen.add(type)
  }
  switch (type.kind) {
    case 'array':
      return { type: 'array', items: describe(type.items, seen) }
    case 'map':
      return { type: 'map', values: describe(type.values, seen) }
    case 'record': {
      const { name } = type
      const fields = type.fields.map((field) => describeField(field, seen))
      return { type: 'record', name, namespace: '', fields }
    }
    case 'union': {
      const absent = type.branches.some(({ kind }) => kind === 'null') ? null : undefined
      const of = type.branches.map((branch) => describe(branch, seen))
      return { custom: 'union', of, absent: fallback === undefined ? absent : fallback }
    }
    case 'enum':
      return { type: 'enum', name: type.name, namespace: '', symbols: type.symbols }
    case 'fixed': {
      const of = { type: 'fixed', name: type.name, namespace: '', size: type.size }
      return { custom: 'bytes', of }
    }
    case 'int':
    case 'string':
    case 'bytes':
      return { custom: type.kind, of: { type: type.kind } }
    default:
      return type.kind
  }
}

function describeField({ name, type, default: value }: Field, seen: Set<AvroType>): unknown {
  const described = describe(type, seen, value)
  // A union takes its default of any branch, and takes care of it itself.
  const isLegal = value !== undefined && type.kind !== 'union' && fits(type, value)
  return { name, type: described, ...(isLegal && { default: value }) }
}

/** A value made what avsc takes for it, undefined where it does not fit. */
class Adapted extends avro.types.LogicalType {
  private readonly adapt: (value: unknown) => unknown

  constructor(schema: avro.Schema, options: Options, adapt: (value: unknown) => unknown) {
    super(schema, options)
    this.adapt = adapt
  }

  protected override _toValue(value: unknown): unknown {
    return this.adapt(value)
  }

  protected override _fromValue(value: unknown): unknown {
    return value
  }
}

/** A union of bare values. The first branch that holds all of a value takes it. */
class Union extends avro.types.LogicalType {
  private readonly branches: readonly avro.Type[]
  private readonly only: avro.Type | undefined
  private readonly absent: unknown

  constructor(schema: avro.Schema, options: Options, absent: unknown) {
    super(schema, options)
    this.branches = (this.underlyingType as avro.types.WrappedUnionType).types
    const others = this.branches.filter(({ typeName }) => typeName !== 'null')
    this.only = others.length === 1 ? others[0] : undefined
    this.absent = absent
  }

  protected override _toValue(given: unknown): unknown {
    const value = given === undefined ? this.absent : given
    if (value === null) return null
    const branch = this.only ?? this.choose(value)
    return value === undefined ? undefined : branch?.wrap(value)
  }

  protected override _fromValue(value: object | null): unknown {
    return value && Object.values(value)[0]
  }

  private choose(value: unknown): avro.Type | undefined {
    const fitting = this.branches.filter((branch) => branch.isValid(value))
    return fitting.find((branch) => keeps(branch, value)) ?? fitting[0]
  }
}

/** False where a number would be rounded. */
function keeps({ typeName }: avro.Type, value: unknown): boolean {
  return typeName !== 'float' || Object.is(Math.fround(value as number), value)
}
