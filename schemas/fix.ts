import { isWire, parseWire } from './confluent.ts'
import { blockAt, headerOf, isContainer } from './container.ts'
import type { Header } from './container.ts'
import { cursor, guard, refuse, seek } from './cursor.ts'
import { checkCost, checkEnd } from './decode.ts'
import { createProgram, emitSkip, link } from './emit.ts'
import { encodeBlock, encodeHeader, syncBytes } from './framing.ts'
import { reorderDefaults } from './reorder.ts'
import type { Schema } from './schema.ts'

/** A packet whose schema is legal. */
export interface Fixed {
  bytes: Uint8Array
  /** How many fields of the schema were given another order of types; 0 if nothing was touched. */
  changed: number
}

interface Plan {
  changed: number
  /** The legal schema, exactly as long as the original. */
  text: Buffer
  /** Rewrite the branch indexes of one datum in place; returns its end. */
  patch: (data: Uint8Array, position: number) => number
}

const plans = new WeakMap<Schema, Plan | 'legal'>()

/**
 * Make the schema inside a packet legal: where a field's default is not of the first type of its
 * union, the type it is of moves to the front, in the text of the schema and in the one-byte index at
 * every occurrence in the data. Values, length and sync marker stay, so the result is deterministic.
 *
 * A legal packet is returned as it is, the same object; so is wire format, which brings no schema. An
 * illegal packet with packed blocks comes back unpacked, for what a packer writes depends on its
 * version. Throws `schema_illegal` where a default fits no type, and as `openContainer` does; a
 * packet that is illegal is walked to its end, so damage throws too.
 */
export function fixPacket(bytes: Uint8Array): Fixed {
  if (!isContainer(bytes)) {
    if (!isWire(bytes)) parseWire(bytes)
    return { bytes, changed: 0 }
  }
  const header = headerOf(bytes)
  const plan = planOf(header.schema)
  if (plan === 'legal') return { bytes, changed: 0 }
  const fixed =
    header.codec === 'null' ? fixInPlace(bytes, header, plan) : fixUnpacked(bytes, header, plan)
  return { bytes: fixed, changed: plan.changed }
}

function fixInPlace(bytes: Uint8Array, header: Header, plan: Plan): Uint8Array {
  const copy = new Uint8Array(bytes)
  copy.set(plan.text, header.schemaAt)
  let position = header.bytes.length + syncBytes
  for (;;) {
    const block = blockAt(copy, header, position)
    if (!block) return copy
    patchBlock(plan, block.data, block.count)
    position = block.next
  }
}

function fixUnpacked(bytes: Uint8Array, header: Header, plan: Plan): Uint8Array {
  let position = header.bytes.length + syncBytes
  const sync = bytes.subarray(header.bytes.length, position)
  const { metadata } = header
  const parts: Uint8Array[] = [
    encodeHeader({ schemaText: plan.text, codec: 'null', metadata, sync }),
  ]
  for (;;) {
    const block = blockAt(bytes, header, position)
    if (!block) break
    patchBlock(plan, block.data, block.count)
    parts.push(...encodeBlock(block.count, block.data, sync))
    position = block.next
  }
  const all = Buffer.concat(parts)
  return new Uint8Array(all.buffer, all.byteOffset, all.byteLength)
}

function patchBlock(plan: Plan, data: Uint8Array, count: number): void {
  let position = 0
  for (let n = 0; n < count; n++) position = plan.patch(data, position)
  checkEnd(data, position)
}

function planOf(schema: Schema): Plan | 'legal' {
  let plan = plans.get(schema)
  if (!plan) plans.set(schema, (plan = createPlan(schema)))
  return plan
}

function createPlan(schema: Schema): Plan | 'legal' {
  const reordered = reorderDefaults(schema)
  if (!reordered) return 'legal'
  checkCost(schema)
  const program = createProgram(reordered.moves)
  const body = `${emitSkip(program, schema.root)}\nreturn p`
  const run = link<undefined, number>(program, body)
  return { changed: reordered.moves.size, text: reordered.text, patch }

  function patch(data: Uint8Array, position: number): number {
    seek(data, position)
    try {
      const end = run(cursor, cursor.view, position, undefined)
      if (end > data.byteLength) refuse('the datum passes the end')
      return end
    } catch (error) {
      throw guard(error)
    }
  }
}
