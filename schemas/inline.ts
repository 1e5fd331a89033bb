import { NightjarError } from '../core/errors.ts'

/**
 * Make one schema of several files: names that `texts` define are replaced by their definition where
 * the text `root` first uses them. Returns JSON text. Throws `schema_illegal` if a file is not JSON.
 */
export function inlineSchema(root: string, texts: readonly string[]): string {
  const definitions = new Map<string, unknown>()
  for (const text of texts) {
    const json = parse(text)
    if (isNamed(json)) definitions.set(fullName(json), json)
  }
  const done = new Set<string>()
  return JSON.stringify(inline(parse(root), ''))

  function inline(node: unknown, namespace: string): unknown {
    if (typeof node === 'string') {
      const name = [node, `${namespace}.${node}`].find((candidate) => definitions.has(candidate))
      return name === undefined || done.has(name) ? node : inline(definitions.get(name), namespace)
    }
    if (Array.isArray(node)) return node.map((branch) => inline(branch, namespace))
    if (typeof node !== 'object' || node === null) return node

    const copy: Record<string, unknown> = { ...node }
    if (isNamed(node)) done.add(fullName(node))
    const inner = isNamed(node) ? fullName(node).replace(/\.?[^.]*$/, '') : namespace
    for (const place of ['type', 'items', 'values']) {
      if (place in copy) copy[place] = inline(copy[place], inner)
    }
    if (Array.isArray(copy['fields'])) {
      copy['fields'] = copy['fields'].map((field) => inline(field, inner))
    }
    return copy
  }
}

interface Named {
  name: string
  namespace?: unknown
  type: unknown
}

// A field has a name too; only these types define one.
function isNamed(node: unknown): node is Named {
  if (typeof node !== 'object' || node === null || !('name' in node) || !('type' in node))
    return false
  const { name, type } = node
  return typeof name === 'string' && ['record', 'enum', 'fixed'].includes(String(type))
}

function fullName({ name, namespace }: Named): string {
  return name.includes('.') || typeof namespace !== 'string' ? name : `${namespace}.${name}`
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    const begin = JSON.stringify(text.slice(0, 40))
    throw new NightjarError('schema_illegal', `Cannot read schema: ${begin} is not JSON`, { cause })
  }
}
