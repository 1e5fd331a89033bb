import { NightjarError } from '../core/errors.ts'
import { defaultBranch } from './defaults.ts'
import { rewriteArray, scanJson } from './json.ts'
import type { JsonNode } from './json.ts'
import { parseSchema } from './schema.ts'
import type { AvroType, Field, Schema, UnionType } from './schema.ts'

/** A schema whose every default is legal, and where the branches of its changed unions went. */
export interface Reordered {
  /** As many bytes as the original. */
  text: Buffer
  moves: Map<UnionType, readonly number[]>
}

// A larger index would not stay one byte when its branch moves.
const maxBranches = 64

/**
 * Move to the front of each union the branch that its field's default is of, by exchanging the pieces
 * of the text; undefined if the schema is legal. Throws `schema_illegal` where order cannot help.
 */
export function reorderDefaults(schema: Schema): Reordered | undefined {
  const moves = new Map<UnionType, readonly number[]>()
  const latin1 = Buffer.from(schema.text).toString('latin1')
  const text = rewrite(scan(latin1), schema.root)
  if (moves.size === 0) return undefined

  const reordered = Buffer.from(text, 'latin1')
  // A branch that names a type which a later branch now defines would be caught here.
  parseSchema(reordered)
  return { text: reordered, moves }

  function rewrite(node: JsonNode, type: AvroType): string {
    if (node.kind === 'scalar') return slice(node)
    if (node.kind === 'array') {
      const branches = type.kind === 'union' ? type.branches : []
      const items = node.items.map((item, i) => {
        const branch = branches[i]
        return branch ? rewrite(item, branch) : slice(item)
      })
      const places = type.kind === 'union' ? moves.get(type) : undefined
      const moved = items.slice()
      places?.forEach((place, i) => (moved[place] = items[i] ?? ''))
      return rewriteArray(latin1, node, moved)
    }
    const written = node.members.get('type')
    if (written && written.kind !== 'scalar') return replace(node, written, rewrite(written, type))
    switch (type.kind) {
      case 'array':
        return inside(node, 'items', type.items)
      case 'map':
        return inside(node, 'values', type.values)
      case 'record': {
        const fields = node.members.get('fields')
        if (fields?.kind !== 'array') return slice(node)
        const items = fields.items.map((item, i) => {
          const field = type.fields[i]
          return field ? rewriteField(item, field, type.name) : slice(item)
        })
        return replace(node, fields, rewriteArray(latin1, fields, items))
      }
      default:
        return slice(node)
    }
  }

  function rewriteField(node: JsonNode, field: Field, record: string): string {
    const branch = defaultBranch(field, record)
    if (branch > 0 && field.type.kind === 'union') {
      const { branches } = field.type
      if (branches.length > maxBranches) {
        throw new NightjarError(
          'schema_illegal',
          `Cannot fix schema: field "${field.name}" of "${record}" has ${branches.length} types`,
        )
      }
      const places = branches.map((_, i) => (i === branch ? 0 : i < branch ? i + 1 : i))
      moves.set(field.type, places)
    }
    return inside(node, 'type', field.type)
  }

  function inside(node: JsonNode, key: string, type: AvroType): string {
    const part = node.kind === 'object' ? node.members.get(key) : undefined
    return part ? replace(node, part, rewrite(part, type)) : slice(node)
  }

  function replace(node: JsonNode, part: JsonNode, by: string): string {
    return latin1.slice(node.start, part.start) + by + latin1.slice(part.end, node.end)
  }

  function slice(node: JsonNode): string {
    return latin1.slice(node.start, node.end)
  }
}

function scan(text: string): JsonNode {
  try {
    return scanJson(text)
  } catch (cause) {
    throw new NightjarError('schema_illegal', 'Cannot fix schema: its JSON cannot be followed', {
      cause,
    })
  }
}
