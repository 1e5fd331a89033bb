import type { AvroType } from './schema.ts'

/** What one value of a type can cost: the fewest bytes, and values made without reading a byte. */
export interface Cost {
  least: number
  free: number
}

/**
 * Work out the cost of one value, as a lower bound where a record holds itself. An item of no bytes
 * costs at least one free value, so that a count of them is always bounded by something.
 */
export function costOf(type: AvroType): Cost {
  return measure(type, new Map())
}

function measure(type: AvroType, known: Map<AvroType, Cost>): Cost {
  switch (type.kind) {
    case 'null':
      return { least: 0, free: 1 }
    case 'float':
      return { least: 4, free: 0 }
    case 'double':
      return { least: 8, free: 0 }
    case 'fixed':
      return { least: type.size, free: type.size === 0 ? 1 : 0 }
    case 'record': {
      const before = known.get(type)
      if (before) return before
      known.set(type, { least: 0, free: 0 })
      const fields = type.fields.map((field) => measure(field.type, known))
      const least = fields.reduce((sum, cost) => sum + cost.least, 0)
      const free = fields.reduce((sum, cost) => sum + cost.free, 0)
      const cost = { least, free: least === 0 ? Math.max(1, free) : free }
      known.set(type, cost)
      return cost
    }
    case 'union': {
      // The index pays for a branch that is null.
      const costs = type.branches.map((branch) => measure(branch, known))
      const free = type.branches.map((b, i) => (b.kind === 'null' ? 0 : (costs[i]?.free ?? 0)))
      return { least: 1 + Math.min(...costs.map(({ least }) => least)), free: Math.max(...free) }
    }
    default:
      return { least: 1, free: 0 }
  }
}
