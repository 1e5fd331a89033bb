import { NightjarError } from '../core/errors.ts'
import { partsOf } from './parts.ts'
import type { AvroType, Field, PrimitiveType, RecordType } from './schema.ts'

const maxDepth = 64
const maxTypes = 20_000
const maxFixedSize = 1 << 24

const primitives: ReadonlySet<string> = new Set<PrimitiveType['kind']>([
  'null',
  'boolean',
  'int',
  'long',
  'float',
  'double',
  'bytes',
  'string',
])

type Json = Readonly<Record<string, unknown>>

/**
 * Turn the parsed JSON of a schema into types, with every name looked up. Accepts what writers
 * write: names with dots, inherited namespaces, `error` records, `{"type": {…}}` wrappers and illegal
 * defaults. Throws `schema_illegal`.
 */
export function resolveSchema(json: unknown): AvroType {
  const names = new Map<string, AvroType>()
  const heights = new Map<AvroType, number>()
  let types = 0
  return resolve(json, '', 0)

  function resolve(node: unknown, namespace: string, depth: number): AvroType {
    if (depth > maxDepth) throw illegal(`it is nested more than ${maxDepth} deep`)
    if (++types > maxTypes) throw illegal(`it has more than ${maxTypes} types`)
    const type = build(node, namespace, depth)
    // Names can nest types deeper than the JSON does, and all that walk types trust the bound.
    const height = 1 + Math.max(0, ...partsOf(type).map((part) => heights.get(part) ?? 0))
    if (height > maxDepth) throw illegal(`its types are nested more than ${maxDepth} deep`)
    heights.set(type, height)
    return type
  }

  function build(node: unknown, namespace: string, depth: number): AvroType {
    if (typeof node === 'string') return lookUp(node, namespace)
    if (Array.isArray(node)) return resolveUnion(node, namespace, depth)
    if (!isObject(node)) throw illegal(`${show(node)} is not a type`)

    const { type } = node
    if (typeof type !== 'string') return resolve(type, namespace, depth + 1)
    const logicalType = typeof node['logicalType'] === 'string' ? node['logicalType'] : undefined
    if (isPrimitive(type))
      return logicalType === undefined ? { kind: type } : { kind: type, logicalType }

    switch (type) {
      case 'array':
        return { kind: 'array', items: resolve(node['items'], namespace, depth + 1) }
      case 'map':
        return { kind: 'map', values: resolve(node['values'], namespace, depth + 1) }
      case 'record':
      case 'error':
        return resolveRecord(node, namespace, depth)
      case 'enum': {
        const { symbols } = node
        if (!Array.isArray(symbols) || !symbols.every((s) => typeof s === 'string')) {
          throw illegal(`the symbols of an enum are ${show(symbols)}`)
        }
        const name = fullName(node, namespace)
        return define(name, { kind: 'enum', name, symbols })
      }
      case 'fixed': {
        const { size } = node
        if (
          typeof size !== 'number' ||
          !Number.isInteger(size) ||
          size < 0 ||
          size > maxFixedSize
        ) {
          throw illegal(`the size of a fixed is ${show(size)}`)
        }
        const name = fullName(node, namespace)
        return define(name, { kind: 'fixed', name, size, ...(logicalType && { logicalType }) })
      }
      default:
        return lookUp(type, namespace)
    }
  }

  function resolveUnion(nodes: unknown[], namespace: string, depth: number): AvroType {
    if (nodes.length === 0) throw illegal('a union has no branch')
    const branches = nodes.map((node) => resolve(node, namespace, depth + 1))
    if (branches.some(({ kind }) => kind === 'union')) throw illegal('a union holds a union')
    return { kind: 'union', branches }
  }

  function resolveRecord(node: Json, namespace: string, depth: number): AvroType {
    if (!Array.isArray(node['fields'])) throw illegal('a record has no list of fields')
    const name = fullName(node, namespace)
    const record: RecordType = { kind: 'record', name, fields: [] }
    if (typeof node['doc'] === 'string') record.doc = node['doc']
    if (typeof node['version'] === 'string') record.version = node['version']
    define(name, record)

    const inner = name.slice(0, Math.max(0, name.lastIndexOf('.')))
    const seen = new Set<string>()
    for (const entry of node['fields'] as unknown[]) {
      if (!isObject(entry) || typeof entry['name'] !== 'string') {
        throw illegal(`record "${name}" has a field without a name`)
      }
      const field: Field = { name: entry['name'], type: resolve(entry['type'], inner, depth + 1) }
      if (seen.has(field.name)) throw illegal(`record "${name}" has two fields "${field.name}"`)
      seen.add(field.name)
      if (typeof entry['doc'] === 'string') field.doc = entry['doc']
      if (Object.hasOwn(entry, 'default')) field.default = entry['default']
      record.fields.push(field)
    }
    return record
  }

  function define(name: string, type: AvroType): AvroType {
    if (names.has(name)) throw illegal(`"${name}" is defined twice`)
    names.set(name, type)
    return type
  }

  function lookUp(name: string, namespace: string): AvroType {
    if (isPrimitive(name)) return { kind: name }
    const inNamespace = name.includes('.') || namespace === '' ? name : `${namespace}.${name}`
    const type = names.get(inNamespace) ?? names.get(name)
    if (!type) throw illegal(`type "${name}" is not defined before it is used`)
    return type
  }
}

function fullName(node: Json, enclosing: string): string {
  const { name, namespace } = node
  if (typeof name !== 'string' || name === '') throw illegal(`${show(name)} is not a type's name`)
  // A dot in the name makes it the full name, whatever the namespace says.
  if (name.includes('.')) return name
  const space = typeof namespace === 'string' ? namespace : enclosing
  return space === '' ? name : `${space}.${name}`
}

function isPrimitive(name: string): name is PrimitiveType['kind'] {
  return primitives.has(name)
}

function isObject(node: unknown): node is Json {
  return typeof node === 'object' && node !== null && !Array.isArray(node)
}

function show(value: unknown): string {
  return (JSON.stringify(value) ?? 'absent').slice(0, 60)
}

function illegal(why: string): NightjarError {
  return new NightjarError('schema_illegal', `Cannot read schema: ${why}`)
}
