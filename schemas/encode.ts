import { NightjarError } from '../core/errors.ts'
import { encodeBlock, encodeHeader } from './framing.ts'
import { parseSchema } from './schema.ts'
import type { AvroType, Schema } from './schema.ts'
import { writerOf } from './writer.ts'

export { trimPacket } from './trim.ts'

/** How a container is written. The same records with the same marker give the same bytes. */
export interface EncodeOptions {
  /** The sixteen bytes of the sync marker. */
  sync: Uint8Array
  codec?: 'null'
}

// Grows to the longest datum written, so that avsc writes a packet in one pass.
let scratch = Buffer.allocUnsafeSlow(1 << 16)

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
  const data = Buffer.concat(records.map((record) => encodeDatum(schema, record)))
  const header = encodeHeader({ schemaText, codec, sync })
  const blocks = records.length > 0 ? encodeBlock(records.length, data, sync) : []
  const { buffer, byteOffset, byteLength } = Buffer.concat([header, ...blocks])
  return new Uint8Array(buffer, byteOffset, byteLength)
}

/** Write one datum without any framing. Throws `input_invalid` if the value does not fit the schema. */
export function encodeDatum(schema: Schema, value: unknown): Uint8Array {
  const writer = writerOf(schema)
  try {
    let end = writer.encode(value, scratch)
    if (end < 0) {
      // avsc says how many bytes were missing.
      scratch = Buffer.allocUnsafeSlow(2 * (scratch.length - end))
      end = writer.encode(value, scratch)
    }
    return new Uint8Array(scratch.subarray(0, end))
  } catch (cause) {
    let unfit: NightjarError | undefined
    writer.isValid(value, {
      errorHook: (path, found) => (unfit ??= misfit(schema.root, path, found, cause)),
    })
    throw unfit ?? misfit(schema.root, [], value, cause)
  }
}

function misfit(
  root: AvroType,
  path: readonly string[],
  value: unknown,
  cause: unknown,
): NightjarError {
  const { field, type } = placeOf(root, path)
  const json = JSON.stringify(value, (_key, v: unknown) => (typeof v === 'bigint' ? `${v}n` : v))
  const shown = typeof value === 'bigint' ? `${value}n` : (json ?? 'absent')
  return new NightjarError(
    'input_invalid',
    `Cannot encode "${field}": ${shown.slice(0, 60)} does not fit type "${type.kind}"`,
    { cause },
  )
}

/** Our name of a place that avsc names, and the type there. avsc's path has a step per union. */
function placeOf(root: AvroType, path: readonly string[]): { field: string; type: AvroType } {
  let type = root
  let field = ''
  for (const step of path) {
    if (type.kind === 'record') {
      type = type.fields.find(({ name }) => name === step)?.type ?? type
      field += field === '' ? step : `.${step}`
    } else if (type.kind === 'array') {
      type = type.items
      field += `[${step}]`
    } else if (type.kind === 'map') {
      type = type.values
      field += `.${step}`
    } else if (type.kind === 'union') {
      type = type.branches.find((branch) => branchName(branch) === step) ?? type
    }
  }
  return { field, type }
}

function branchName(type: AvroType): string {
  return 'name' in type ? type.name : type.kind
}
