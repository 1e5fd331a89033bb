import { NightjarError } from '../core/errors.ts'
import { parseWire } from './confluent.ts'
import { blockAt, headerOf, isContainer } from './container.ts'
import { checkEnd, compileReader } from './decode.ts'
import type { Reader } from './decode.ts'
import { syncBytes } from './framing.ts'
import { identifierOf } from './identity.ts'
import type { AlertKey } from './identity.ts'
import { bundledSchemas, schemaById } from './registry.ts'
import type { SchemaSource } from './registry.ts'
import type { Schema } from './schema.ts'
import { versionOf } from './version.ts'

export type { AlertKey } from './identity.ts'

/** One alert, read. The record's values are as `compileReader` gives them. */
export interface Packet {
  schema: Schema
  /** What the record calls its version, else what the schema does, such as `4.02` or `7.4`. */
  version: string | undefined
  record: Record<string, unknown>
}

const withoutCutouts = new WeakMap<Schema, Reader>()

/**
 * Read one alert packet: an Avro container of one record, or Confluent wire format whose schema
 * `schemas` knows. Throws `packet_undecodable`, `packet_unbounded`, `schema_illegal` or
 * `schema_unknown`.
 */
export function readAlert(bytes: Uint8Array, schemas: SchemaSource = bundledSchemas()): Packet {
  const { schema, data } = datumOf(bytes, schemas)
  return packetOf(schema, data, compileReader(schema))
}

/** Like `readAlert`, but top-level fields whose name begins with `cutout` are absent. */
export function readAlertWithoutCutouts(
  bytes: Uint8Array,
  schemas: SchemaSource = bundledSchemas(),
): Packet {
  const { schema, data } = datumOf(bytes, schemas)
  let read = withoutCutouts.get(schema)
  if (!read) {
    read = compileReader(schema, { skip: (name) => name.startsWith('cutout') })
    withoutCutouts.set(schema, read)
  }
  return packetOf(schema, data, read)
}

/**
 * Read who an alert is and where, without decoding it: the walk stops after the last field it needs,
 * so damage behind that goes unseen. Throws as `readAlert` does, and `alert_unidentified`.
 */
export function projectAlert(
  bytes: Uint8Array,
  schemas: SchemaSource = bundledSchemas(),
): AlertKey {
  const { schema, data } = datumOf(bytes, schemas)
  return identifierOf(schema)(data)
}

/** The only datum of a packet and its schema. */
export function datumOf(
  bytes: Uint8Array,
  schemas: SchemaSource,
): { schema: Schema; data: Uint8Array } {
  if (!isContainer(bytes)) {
    const { id, datum } = parseWire(bytes)
    return { schema: schemaById(schemas, id), data: datum }
  }
  const header = headerOf(bytes)
  const first = header.bytes.length + syncBytes
  const block = first <= bytes.byteLength ? blockAt(bytes, header, first) : undefined
  if (block?.count === 1 && block.next === bytes.byteLength) {
    return { schema: header.schema, data: block.data }
  }
  let records = 0
  let data: Uint8Array | undefined
  for (let next = block; next; next = blockAt(bytes, header, next.next)) {
    records += next.count
    if (next.count === 1) data = next.data
  }
  if (records !== 1 || !data) {
    throw new NightjarError(
      'packet_undecodable',
      `Cannot read alert: the container has ${records} records, not 1`,
    )
  }
  return { schema: header.schema, data }
}

function packetOf(schema: Schema, data: Uint8Array, read: Reader): Packet {
  const { value, end } = read(data, 0)
  checkEnd(data, end)
  if (!isRecord(value)) {
    throw new NightjarError(
      'packet_undecodable',
      `Cannot read alert: the datum is not a record but of type "${schema.root.kind}"`,
    )
  }
  return { schema, version: versionOf(schema, value), record: value }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
  )
}
