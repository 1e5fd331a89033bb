/** Maps as a table takes them: lists of key and value, as `shapeOf` lays them out. */
import type { AvroType, Schema } from './schema.ts'

type Convert = (value: unknown) => unknown

const converters = new WeakMap<Schema, Convert>()

/** A decoded record with every map in it as a list of `{ key, value }`; most schemas have none. */
export function mapsToEntries(
  schema: Schema,
  record: Record<string, unknown>,
): Record<string, unknown> {
  let convert = converters.get(schema)
  if (convert === undefined) {
    convert = converterOf(schema.root, []) ?? ((value) => value)
    converters.set(schema, convert)
  }
  return convert(record) as Record<string, unknown>
}

/** What converts the values of a type, or undefined where no map is in it. */
function converterOf(type: AvroType, open: readonly AvroType[]): Convert | undefined {
  if (open.includes(type)) return undefined
  const inside = [...open, type]
  switch (type.kind) {
    case 'map': {
      const convert = converterOf(type.values, inside) ?? ((value: unknown) => value)
      return (value) =>
        Object.entries(value as object).map(([key, entry]) => ({ key, value: convert(entry) }))
    }
    case 'array': {
      const convert = converterOf(type.items, inside)
      return convert && ((value) => (value as unknown[]).map(convert))
    }
    case 'union': {
      // Of several branches with maps, a value does not tell its own; tables hold no such union.
      const converts = type.branches.flatMap((branch) => converterOf(branch, inside) ?? [])
      const [convert] = converts
      return convert && ((value) => (value === null ? null : convert(value)))
    }
    case 'record': {
      const fields = type.fields.flatMap(({ name, type: of }) => {
        const convert = converterOf(of, inside)
        return convert === undefined ? [] : [{ name, convert }]
      })
      if (fields.length === 0) return undefined
      return (value) => {
        const converted = { ...(value as Record<string, unknown>) }
        for (const { name, convert } of fields) {
          const field = converted[name]
          if (field !== undefined) converted[name] = convert(field)
        }
        return converted
      }
    }
    default:
      return undefined
  }
}
