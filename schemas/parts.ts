import type { AvroType } from './schema.ts'

/** The types that a type is made of: fields, branches, items or values. */
export function partsOf(type: AvroType): readonly AvroType[] {
  switch (type.kind) {
    case 'array':
      return [type.items]
    case 'map':
      return [type.values]
    case 'record':
      return type.fields.map((field) => field.type)
    case 'union':
      return type.branches
    default:
      return []
  }
}

/** True where a value of a type may hold a value of another. */
export function reaches(from: AvroType, target: AvroType): boolean {
  const seen = new Set<AvroType>()
  return visit(from)

  function visit(type: AvroType): boolean {
    if (type === target) return true
    if (seen.has(type)) return false
    seen.add(type)
    return partsOf(type).some(visit)
  }
}
