import { NightjarError } from '../core/errors.ts'
import type { Container } from './container.ts'
import { cursor, guard, maxFreeValues, refuse, seek } from './cursor.ts'
import { createProgram, emitRead, emitSkip, key, link } from './emit.ts'
import type { Schema } from './schema.ts'
import { costOf } from './sizes.ts'

/** A value and the position after its last byte. */
export interface Datum {
  value: unknown
  end: number
}

/**
 * Decode one datum. Longs are bigint, always; int, float and double are numbers; bytes and fixed are
 * views into `bytes`; an enum is its symbol; a record is an object with its fields in the order of
 * the schema, a map an object without prototype; unions are unwrapped and logical types are left
 * alone. Throws `packet_undecodable`.
 */
export type Reader = (bytes: Uint8Array, position: number) => Datum

/** Find where one datum ends without making it. Throws `packet_undecodable`. */
export type Skipper = (bytes: Uint8Array, position: number) => number

export interface ReaderOptions {
  /** Fields of the top-level record to step over; they are absent from the value. */
  skip?: (topLevelFieldName: string) => boolean
}

const readers = new WeakMap<Schema, Reader>()
const skippers = new WeakMap<Schema, Skipper>()

/**
 * Compile a schema to a reader. Without options the reader is made once per schema; with options
 * keep what you get.
 */
export function compileReader(schema: Schema, options?: ReaderOptions): Reader {
  if (options?.skip) return createReader(schema, options.skip)
  let reader = readers.get(schema)
  if (!reader) readers.set(schema, (reader = createReader(schema, () => false)))
  return reader
}

/** Compile a schema to a skipper, once per schema. */
export function compileSkipper(schema: Schema): Skipper {
  let skipper = skippers.get(schema)
  if (!skipper) skippers.set(schema, (skipper = createSkipper(schema)))
  return skipper
}

/** Decode the datum of a schema that begins at `offset`. */
export function decodeDatum(schema: Schema, bytes: Uint8Array, offset = 0): Datum {
  return compileReader(schema)(bytes, offset)
}

/** Decode the records of a container, block by block. */
export function* readRecords(container: Container): Generator<unknown, void, undefined> {
  const read = compileReader(container.schema)
  for (const { count, data } of container.blocks()) {
    let position = 0
    for (let n = 0; n < count; n++) {
      const { value, end } = read(data, position)
      position = end
      yield value
    }
    checkEnd(data, position)
  }
}

/** Refuse a block or message that goes on after its last datum. */
export function checkEnd(data: Uint8Array, end: number): void {
  if (end === data.byteLength) return
  throw new NightjarError(
    'packet_undecodable',
    `Cannot decode packet: the datum ends at byte ${end} of ${data.byteLength}`,
  )
}

/** Refuse a schema of which one value could be large without reading a byte. */
export function checkCost(schema: Schema): void {
  const { free } = costOf(schema.root)
  if (free <= maxFreeValues) return
  throw new NightjarError(
    'schema_illegal',
    `Cannot compile schema: one datum has ${free} values without bytes, more than ${maxFreeValues}`,
  )
}

function createReader(schema: Schema, skip: (name: string) => boolean): Reader {
  checkCost(schema)
  const program = createProgram()
  const { root } = schema
  const statements: string[] = []
  const entries: string[] = []
  if (root.kind === 'record' && root.fields.some(({ name }) => skip(name))) {
    for (const [i, field] of root.fields.entries()) {
      if (skip(field.name)) {
        statements.push(emitSkip(program, field.type))
        continue
      }
      statements.push(`let f${i}`, emitRead(program, field.type, `f${i}`))
      entries.push(`${key(field.name)}: f${i}`)
    }
    statements.push(`c.at = p; return { ${entries.join(', ')} }`)
  } else {
    statements.push('let value', emitRead(program, root, 'value'), 'c.at = p; return value')
  }
  const run = link<undefined, unknown>(program, statements.join('\n'))

  return function read(bytes, position) {
    seek(bytes, position)
    try {
      const value = run(cursor, cursor.view, position, undefined)
      const end = cursor.at
      if (end > bytes.byteLength) refuse('the datum passes the end')
      return { value, end }
    } catch (error) {
      throw guard(error)
    }
  }
}

function createSkipper(schema: Schema): Skipper {
  checkCost(schema)
  const program = createProgram()
  const body = `${emitSkip(program, schema.root)}\nreturn p`
  const run = link<undefined, number>(program, body)

  return function skip(bytes, position) {
    seek(bytes, position)
    try {
      const end = run(cursor, cursor.view, position, undefined)
      if (end > bytes.byteLength) refuse('the datum passes the end')
      return end
    } catch (error) {
      throw guard(error)
    }
  }
}
