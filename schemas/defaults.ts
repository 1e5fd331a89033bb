import { NightjarError } from '../core/errors.ts'
import type { AvroType, Field } from './schema.ts'

/**
 * The branch that a field's default belongs to: 0 where all is legal, more where the union must be
 * reordered for it. Throws `schema_illegal` if the default fits nothing.
 */
export function defaultBranch(field: Field, record: string): number {
  if (!Object.hasOwn(field, 'default')) return 0
  const branches = field.type.kind === 'union' ? field.type.branches : [field.type]
  const index = branches.findIndex((branch) => fits(branch, field.default))
  if (index >= 0) return index
  const shown = JSON.stringify(field.default).slice(0, 60)
  throw new NightjarError(
    'schema_illegal',
    `Cannot fix schema: default ${shown} of field "${field.name}" of "${record}" fits no type of it`,
  )
}

/** True where JSON is a default of the type, as Avro writes defaults down. */
export function fits(type: AvroType, json: unknown): boolean {
  switch (type.kind) {
    case 'null':
      return json === null
    case 'boolean':
      return typeof json === 'boolean'
    case 'int':
      return typeof json === 'number' && json === (json | 0)
    case 'long':
      return typeof json === 'number' && Number.isInteger(json)
    case 'float':
    case 'double':
      return typeof json === 'number'
    case 'string':
      return typeof json === 'string'
    case 'bytes':
      return isBytes(json)
    case 'fixed':
      return isBytes(json) && json.length === type.size
    case 'enum':
      return typeof json === 'string' && type.symbols.includes(json)
    case 'array':
      return Array.isArray(json) && json.every((item) => fits(type.items, item))
    case 'map':
      return isObject(json) && Object.values(json).every((value) => fits(type.values, value))
    case 'record':
      return isObject(json) && type.fields.every((field) => fitsField(field, json))
    case 'union': {
      // Inside a default, only the first branch can be meant.
      const [first] = type.branches
      return first !== undefined && fits(first, json)
    }
  }
}

function fitsField(field: Field, json: Readonly<Record<string, unknown>>): boolean {
  const given = Object.hasOwn(json, field.name) ? json[field.name] : field.default
  return given !== undefined && fits(field.type, given)
}

// Bytes are written as a string of the code points 0 to 255.
function isBytes(json: unknown): json is string {
  return typeof json === 'string' && [...json].every((letter) => letter <= '\u00ff')
}

function isObject(json: unknown): json is Readonly<Record<string, unknown>> {
  return typeof json === 'object' && json !== null && !Array.isArray(json)
}
