import { NightjarError } from '../core/errors.ts'
import { isWire, parseWire } from './confluent.ts'
import { headerOf, isContainer, openContainer } from './container.ts'
import type { Header } from './container.ts'
import { cursor, guard, refuse, seek } from './cursor.ts'
import { checkCost, checkEnd } from './decode.ts'
import { choose, createProgram, emitSkip, link } from './emit.ts'
import type { Program } from './emit.ts'
import { encodeHeader, varint } from './framing.ts'
import { rewriteArray, scanJson } from './json.ts'
import type { JsonNode } from './json.ts'
import { reaches } from './parts.ts'
import { bundledSchemas, schemaById } from './registry.ts'
import type { SchemaSource } from './registry.ts'
import { parseSchema } from './schema.ts'
import type { AvroType, Field, Schema } from './schema.ts'

interface Plan {
  schema: Schema
  /** Walk one datum and add the ranges to keep, as start and end in turn. Returns its end. */
  walk: (data: Uint8Array, position: number, ranges: number[]) => number
}

const plans = new WeakMap<Schema, Plan | 'whole'>()
const prefixes = new WeakMap<Header | Schema, Buffer>()

/**
 * The same packet without the top-level fields whose name begins with `cutout`: an uncompressed
 * container whose schema lacks those fields and whose values are slices of the original bytes. The
 * sync marker is the original's; a packet in wire format has none and takes the first sixteen bytes of
 * its schema's fingerprint. A container without such fields is returned as it is. Throws as
 * `readAlert` does.
 */
export function trimPacket(
  bytes: Uint8Array,
  schemas: SchemaSource = bundledSchemas(),
): Uint8Array {
  if (!isContainer(bytes) && isWire(bytes)) {
    const { id, datum } = parseWire(bytes)
    const schema = schemaById(schemas, id)
    const plan = planOf(schema)
    const sync = Buffer.from(schema.fingerprint.slice(0, 32), 'hex')
    const kept = plan === 'whole' ? [datum] : keep(plan, datum, 1)
    const { text } = plan === 'whole' ? schema : plan.schema
    return join([prefixOf(schema, text), sync, ...blockOf(1, kept, sync)])
  }
  const header = headerOf(bytes)
  const plan = planOf(header.schema)
  if (plan === 'whole') return bytes
  const { metadata } = header
  const { sync, blocks } = openContainer(bytes)
  const parts: Uint8Array[] = [prefixOf(header, plan.schema.text, metadata), sync]
  for (const { count, data } of blocks()) {
    for (const part of blockOf(count, keep(plan, data, count), sync)) parts.push(part)
  }
  return join(parts)
}

/** The trimmed header up to its sync marker. It is the same for all packets of one writer. */
function prefixOf(key: Header | Schema, text: string, metadata?: Header['metadata']): Buffer {
  let prefix = prefixes.get(key)
  if (!prefix) {
    const content = { schemaText: text, codec: 'null', sync: new Uint8Array(0) } as const
    prefix = encodeHeader(metadata ? { ...content, metadata } : content)
    prefixes.set(key, prefix)
  }
  return prefix
}

function blockOf(count: number, parts: readonly Uint8Array[], sync: Uint8Array): Uint8Array[] {
  const size = parts.reduce((sum, part) => sum + part.byteLength, 0)
  return [varint(count), varint(size), ...parts, sync]
}

function keep(plan: Plan, data: Uint8Array, count: number): Uint8Array[] {
  const parts: Uint8Array[] = []
  const ranges: number[] = []
  let position = 0
  for (let n = 0; n < count; n++) position = plan.walk(data, position, ranges)
  checkEnd(data, position)
  for (let i = 0; i < ranges.length; i += 2) parts.push(data.subarray(ranges[i], ranges[i + 1]))
  return parts
}

function planOf(schema: Schema): Plan | 'whole' {
  let plan = plans.get(schema)
  if (!plan) plans.set(schema, (plan = createPlan(schema)))
  return plan
}

function createPlan(schema: Schema): Plan | 'whole' {
  const { root } = schema
  const records = (root.kind === 'union' ? root.branches : [root]).filter(
    (type) => type.kind === 'record',
  )
  const trimmed = records.filter(({ fields }) => fields.some(isCutout))
  if (trimmed.length === 0) return 'whole'
  const inside = records.flatMap(({ fields }) => fields.map(({ type }) => type))
  for (const record of trimmed) {
    if (inside.some((type) => reaches(type, record))) {
      throw new NightjarError(
        'schema_illegal',
        `Cannot trim packet: record "${record.name}" has cutouts and is used inside a record`,
      )
    }
  }
  checkCost(schema)
  const program = createProgram()
  const body = `a.push(p)\n${emitRanges(program, root)}\na.push(p)\nreturn p`
  const run = link<number[], number>(program, body)
  return { schema: parseSchema(trimText(schema.text)), walk }

  function walk(data: Uint8Array, position: number, ranges: number[]): number {
    seek(data, position)
    try {
      const end = run(cursor, cursor.view, position, ranges)
      if (end > data.byteLength) refuse('the datum passes the end')
      return end
    } catch (error) {
      throw guard(error)
    }
  }
}

function emitRanges(program: Program, type: AvroType): string {
  if (type.kind === 'union') return choose(program, type, (branch) => emitRecord(program, branch))
  return emitRecord(program, type)
}

function emitRecord(program: Program, type: AvroType): string {
  if (type.kind !== 'record') return emitSkip(program, type)
  const statements = type.fields.map((field, i) => {
    const before = type.fields[i - 1]
    const turns = isCutout(field) !== (before !== undefined && isCutout(before))
    return `${turns ? 'a.push(p)\n' : ''}${emitSkip(program, field.type)}`
  })
  const last = type.fields.at(-1)
  return statements.join('\n') + (last && isCutout(last) ? '\na.push(p)' : '')
}

/** The schema text without the cutout fields of its top-level records. */
function trimText(text: string): string {
  const latin1 = Buffer.from(text).toString('latin1')
  const root = scanJson(latin1)
  return Buffer.from(trim(root), 'latin1').toString()

  function trim(node: JsonNode): string {
    if (node.kind === 'array') return rewriteArray(latin1, node, node.items.map(trim))
    if (node.kind === 'scalar') return latin1.slice(node.start, node.end)
    const fields = node.members.get('fields')
    const type = node.members.get('type')
    if (fields?.kind === 'array') {
      const kept = fields.items.filter((field) => !isCutout({ name: nameOf(field) }))
      const items = kept.map(({ start, end }) => latin1.slice(start, end))
      return replace(node, fields, rewriteArray(latin1, fields, items))
    }
    if (type && type.kind !== 'scalar') return replace(node, type, trim(type))
    return latin1.slice(node.start, node.end)
  }

  function replace(node: JsonNode, part: JsonNode, by: string): string {
    return latin1.slice(node.start, part.start) + by + latin1.slice(part.end, node.end)
  }
}

function nameOf(node: JsonNode): string {
  const name = node.kind === 'object' ? node.members.get('name') : undefined
  return name?.kind === 'scalar' && typeof name.value === 'string' ? name.value : ''
}

function isCutout({ name }: Pick<Field, 'name'>): boolean {
  return name.startsWith('cutout')
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const all = Buffer.concat(parts)
  return new Uint8Array(all.buffer, all.byteOffset, all.byteLength)
}
