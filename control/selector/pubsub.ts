/**
 * The part of a selector that Pub/Sub can do: a filter on attributes that passes all that the selector
 * selects, and spares the delivery of some that it does not. Pub/Sub knows equality and prefixes of
 * attributes, and neither numbers nor NULL, so it is an optimisation; the selector itself still judges.
 */
import { maxFilterBytes } from '../../core/filter.ts'
import type { Comparison, Condition, Expression, Like, Selector } from './tree.ts'

/**
 * An attribute that is there exactly where the name has a value, as its text: an integer in decimal.
 */
export interface KnownAttribute {
  key: string
  kind: 'text' | 'integer'
}

/** Write the filter; empty where there is nothing that Pub/Sub could do. */
export function pubsubFilter(
  { root, convertsText }: Selector,
  attributeOf: (name: string) => KnownAttribute | undefined,
): string {
  if (convertsText) return ''
  const terms = root.kind === 'and' ? root.terms : [root]
  let filter = ''
  let joined = 0
  // Any of the terms may be left out: as many as fit.
  for (const term of terms) {
    const part = needed(term, true)
    if (part === undefined) continue
    const longer = filter === '' ? part : `${filter} AND ${part}`
    if (Buffer.byteLength(longer) > maxFilterBytes) continue
    filter = longer
    joined++
  }
  return joined > 1 ? filter : unwrapped(filter)

  /** What must hold of the attributes where the condition is true, or false; undefined: nothing. */
  function needed(node: Condition, truth: boolean): string | undefined {
    switch (node.kind) {
      case 'not':
        return needed(node.of, !truth)
      case 'and':
      case 'or': {
        const parts = node.terms.map((term) => needed(term, truth))
        const known = parts.filter((part) => part !== undefined)
        if ((node.kind === 'and') === truth) return joint(' AND ', known)
        return known.length === parts.length ? joint(' OR ', known) : undefined
      }
      case 'comparison':
        return equality(node, truth)
      case 'in': {
        const attribute = attributeOf(node.of.name)
        if (attribute?.kind !== 'text') return undefined
        const has = node.negated ? !truth : truth
        const parts = node.texts.map((text) => compared(attribute, text, has))
        const known = parts.filter((part) => part !== undefined)
        if (known.length < parts.length && has) return undefined
        return joint(has ? ' OR ' : ' AND ', known)
      }
      case 'like':
        return like(node, node.negated ? !truth : truth)
      case 'is_null': {
        const attribute = node.of.kind === 'name' ? attributeOf(node.of.name) : undefined
        if (attribute === undefined) return undefined
        const there = `attributes:${spellKey(attribute.key)}`
        return (node.negated ? !truth : truth) ? `NOT ${there}` : there
      }
      default:
        return undefined
    }
  }

  function equality({ operator, left, right }: Comparison, truth: boolean): string | undefined {
    if (operator !== '=' && operator !== '<>') return undefined
    const [name, literal] = left.kind === 'name' ? [left, right] : [right, left]
    const attribute = name.kind === 'name' ? attributeOf(name.name) : undefined
    const text = attribute && textOf(literal, attribute.kind)
    if (attribute === undefined || text === undefined) return undefined
    return compared(attribute, text, (operator === '=') === truth)
  }

  function like({ of, pattern }: Like, truth: boolean): string | undefined {
    const attribute = attributeOf(of.name)
    const [first] = pattern
    if (attribute?.kind !== 'text' || typeof first !== 'object') return undefined
    if (pattern.length === 1) return compared(attribute, first.text, truth)
    const value = spellValue(first.text)
    const isPrefix = pattern.length === 2 && pattern[1] === 'any'
    if (value === undefined || (!truth && !isPrefix)) return undefined
    const has = `hasPrefix(attributes.${spellKey(attribute.key)}, ${value})`
    return truth ? has : `NOT ${has}`
  }
}

function compared({ key }: KnownAttribute, text: string, equal: boolean): string | undefined {
  const value = spellValue(text)
  return value && `attributes.${spellKey(key)} ${equal ? '=' : '!='} ${value}`
}

/** The text that an attribute has where its name equals the literal. */
function textOf(literal: Expression, kind: KnownAttribute['kind']): string | undefined {
  if (kind === 'text') return literal.kind === 'text' ? literal.value : undefined
  if (literal.kind === 'integer') return String(literal.value)
  // Above 2^53 several integers are promoted to one double.
  const exact = literal.kind === 'double' && Number.isSafeInteger(literal.value)
  return exact ? String(literal.value === 0 ? 0 : literal.value) : undefined
}

function joint(by: string, parts: readonly string[]): string | undefined {
  return parts.length < 2 ? parts[0] : `(${parts.join(by)})`
}

function unwrapped(filter: string): string {
  return filter.startsWith('(') && filter.endsWith(')') ? filter.slice(1, -1) : filter
}

function spellKey(key: string): string {
  return /^[A-Za-z_][A-Za-z0-9_-]*$/.test(key) ? key : `"${key.replaceAll(/[\\"]/g, '\\$&')}"`
}

function spellValue(text: string): string | undefined {
  return /\p{Cc}/u.test(text) ? undefined : `"${text.replaceAll(/[\\"]/g, '\\$&')}"`
}
