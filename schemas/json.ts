/**
 * A JSON value and where it stands. Texts are scanned as latin1, so that positions are bytes; keys
 * and strings are decoded as UTF-8.
 */
export type JsonNode = { start: number; end: number } & (
  | { kind: 'object'; members: Map<string, JsonNode> }
  | { kind: 'array'; items: JsonNode[] }
  | { kind: 'scalar'; value: unknown }
)

const maxDepth = 300

/**
 * Find where every value of a JSON text stands. The text is latin1 of UTF-8 bytes that `JSON.parse`
 * accepts. Throws `Error` where it cannot go on.
 */
export function scanJson(text: string): JsonNode {
  let p = 0
  return value(0)

  function value(depth: number): JsonNode {
    if (depth > maxDepth) throw new Error(`JSON is nested more than ${maxDepth} deep`)
    space()
    const start = p
    switch (text[p]) {
      case '{':
        return object(start, depth)
      case '[':
        return array(start, depth)
      case '"':
        return { kind: 'scalar', value: string(), start, end: p }
    }
    while (p < text.length && !',]} \t\r\n'.includes(text[p] as string)) p++
    return { kind: 'scalar', value: JSON.parse(text.slice(start, p)) as unknown, start, end: p }
  }

  function object(start: number, depth: number): JsonNode {
    const members = new Map<string, JsonNode>()
    for (p++; next('}');) {
      const key = string()
      space()
      p++ // the colon
      // As in JSON.parse, the last of two equal keys counts.
      members.set(key, value(depth + 1))
    }
    return { kind: 'object', members, start, end: p }
  }

  function array(start: number, depth: number): JsonNode {
    const items: JsonNode[] = []
    for (p++; next(']');) items.push(value(depth + 1))
    return { kind: 'array', items, start, end: p }
  }

  /** Go to the next element of an object or array; false behind its end. */
  function next(close: string): boolean {
    space()
    if (text[p] === ',') p++
    space()
    if (p >= text.length) throw new Error('JSON ends early')
    if (text[p] !== close) return true
    p++
    return false
  }

  function string(): string {
    const start = p++
    while (p < text.length && text[p] !== '"') p += text[p] === '\\' ? 2 : 1
    p++
    const decoded: unknown = JSON.parse(Buffer.from(text.slice(start, p), 'latin1').toString())
    if (typeof decoded !== 'string') throw new Error(`JSON has no string at byte ${start}`)
    return decoded
  }

  function space(): void {
    while (p < text.length && ' \t\r\n'.includes(text[p] as string)) p++
  }
}

/**
 * The text of an array with its items replaced, moved or left out; what stands between two items
 * stays where it was.
 */
export function rewriteArray(
  text: string,
  node: Extract<JsonNode, { kind: 'array' }>,
  items: readonly string[],
): string {
  const first = node.items[0]
  if (!first) return text.slice(node.start, node.end)
  const gaps = node.items.slice(1).map((item, i) => {
    const before = node.items[i]
    return text.slice(before?.end, item.start)
  })
  const open = text.slice(node.start, first.start)
  const close = text.slice(node.items.at(-1)?.end, node.end)
  return open + items.map((item, i) => (i === 0 ? item : `${gaps[i - 1]}${item}`)).join('') + close
}
