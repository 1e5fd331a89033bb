import type { RecordType, Schema } from './schema.ts'

const declared = new WeakMap<Schema, string | undefined>()

/**
 * The version of a packet: the record's `schemavsn` or `lsst_schema_version`, else the version that
 * the schema declares. ZTF's records are to be believed before their headers, which say 3.1 in 3.2.
 */
export function versionOf(
  schema: Schema,
  record: Readonly<Record<string, unknown>>,
): string | undefined {
  const written = record['schemavsn'] ?? record['lsst_schema_version']
  return typeof written === 'string' ? (parseLsst(written) ?? written) : declaredVersion(schema)
}

/** What the schema says of itself: its `version`, or `7.4` of a name such as `lsst.v7_4.alert`. */
export function declaredVersion(schema: Schema): string | undefined {
  if (declared.has(schema)) return declared.get(schema)
  const record = mainRecord(schema)
  const version = record && (record.version ?? parseLsst(record.name))
  declared.set(schema, version)
  return version
}

/**
 * The record that a schema is about: the root, or the last record of a root that is a union, as
 * writers list the parts before the whole.
 */
export function mainRecord({ root }: Schema): RecordType | undefined {
  if (root.kind === 'record') return root
  if (root.kind !== 'union') return undefined
  return root.branches.findLast((branch) => branch.kind === 'record')
}

/** `7.4` out of a name of LSST's such as `lsst.v7_4.alert`. */
export function parseLsst(name: string): string | undefined {
  const match = /\bv(\d+)_(\d+)\b/.exec(name)
  return match ? `${match[1]}.${match[2]}` : undefined
}
