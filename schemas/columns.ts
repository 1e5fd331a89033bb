import type { Column, ColumnType } from '../core/row.ts'
import { descriptionOf } from './descriptions.ts'
import type { AvroType, Field, Schema } from './schema.ts'
import { declaredVersion, mainRecord } from './version.ts'

/** The columns that hold a schema's records, and the label of its table, such as `v4_02`. */
export interface Shape {
  version: string
  columns: Column[]
}

const scalars: Readonly<Record<string, ColumnType>> = {
  boolean: 'BOOL',
  int: 'INT32',
  long: 'INT64',
  float: 'FLOAT32',
  double: 'FLOAT64',
  bytes: 'BYTES',
  fixed: 'BYTES',
  string: 'STRING',
  enum: 'STRING',
}

/**
 * Lay a schema out as columns: all top-level fields but cutouts. Records are RECORD, arrays REPEATED
 * (a null array becomes an empty one), maps REPEATED RECORD of key and value, and a union with null
 * says no more than the type without it, as every column may be null. A union of several numbers is
 * the widest of them.
 *
 * Left out, because a table cannot hold them: cutouts, a record inside itself, arrays of arrays,
 * fields that are only null, and unions of things other than numbers. Logical types stay what they
 * are underneath, so a timestamp is INT64 in the writer's unit.
 *
 * A column is described as the packet's schema documents it, else, in a packet of ZTF or LSST, in
 * our own words.
 */
export function shapeOf(schema: Schema, version = declaredVersion(schema)): Shape {
  const label = version === undefined ? 'unversioned' : `v${version.replace(/[^A-Za-z0-9]+/g, '_')}`
  const main = mainRecord(schema)
  const kept = main?.fields.filter(({ name }) => !name.startsWith('cutout')) ?? []
  // Names such as "a" mean something in these surveys' packets only.
  const describe = /^(ztf|lsst)\b/.test(main?.name ?? '') ? descriptionOf : () => undefined
  return { version: label, columns: columnsOf(kept, main ? [main] : [], describe) }
}

type Describe = (name: string) => string | undefined

function columnsOf(
  fields: readonly Field[],
  open: readonly AvroType[],
  describe: Describe,
): Column[] {
  return fields.flatMap((field) => {
    const column = columnOf(field.name, field.type, open, describe)
    if (!column) return []
    const description = field.doc ?? describe(field.name)
    return description === undefined ? [column] : [{ ...column, description }]
  })
}

function columnOf(
  name: string,
  type: AvroType,
  open: readonly AvroType[],
  describe: Describe,
): Column | undefined {
  switch (type.kind) {
    case 'null':
      return undefined
    case 'union': {
      const one = withoutNull(type.branches)
      return one && columnOf(name, one, open, describe)
    }
    case 'record': {
      if (open.includes(type)) return undefined
      const fields = columnsOf(type.fields, [...open, type], describe)
      return fields.length > 0 ? { name, type: 'RECORD', mode: 'NULLABLE', fields } : undefined
    }
    case 'array': {
      const item = columnOf(name, type.items, open, describe)
      return item?.mode === 'NULLABLE' ? { ...item, mode: 'REPEATED' } : undefined
    }
    case 'map': {
      const value = columnOf('value', type.values, open, describe)
      if (!value) return undefined
      const key: Column = { name: 'key', type: 'STRING', mode: 'NULLABLE' }
      return { name, type: 'RECORD', mode: 'REPEATED', fields: [key, value] }
    }
    default:
      return { name, type: scalars[type.kind] ?? 'STRING', mode: 'NULLABLE' }
  }
}

function withoutNull(branches: readonly AvroType[]): AvroType | undefined {
  const others = branches.filter(({ kind }) => kind !== 'null')
  if (others.length <= 1) return others[0]
  const kinds = others.map(({ kind }) => kind)
  if (kinds.every((kind) => kind === 'int' || kind === 'long')) return { kind: 'long' }
  const numbers = ['int', 'long', 'float', 'double']
  return kinds.every((kind) => numbers.includes(kind)) ? { kind: 'double' } : undefined
}
