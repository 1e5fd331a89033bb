import { cursor, guard, seek } from './cursor.ts'
import { checkCost } from './decode.ts'
import { choose, createProgram, emitRead, emitSkip, link } from './emit.ts'
import type { Program } from './emit.ts'
import type { AvroType, RecordType, Schema } from './schema.ts'

/** Read some fields of a datum, in the order of the paths; a field below a null is undefined. */
export type Projector = (bytes: Uint8Array, position: number) => unknown[]

interface Want {
  slot?: number
  inner: Map<string, Want>
}

/**
 * Compile a reader of the fields at some paths, such as `['candidate', 'jd']`. It steps over all
 * others and stops after the last one wanted, so what follows is not checked. A path that the schema
 * does not have stays undefined.
 */
export function compileProjector(schema: Schema, paths: readonly (readonly string[])[]): Projector {
  checkCost(schema)
  const tree: Want = { inner: new Map() }
  paths.forEach((path, slot) => {
    let want = tree
    for (const name of path) {
      let next = want.inner.get(name)
      if (!next) want.inner.set(name, (next = { inner: new Map() }))
      want = next
    }
    want.slot = slot
  })
  const program = createProgram()
  const body = emitWanted(program, schema.root, tree, true)
  const run = link<unknown[], void>(program, body)
  const none = paths.map(() => undefined)

  return function project(bytes, position) {
    const values: unknown[] = none.slice()
    seek(bytes, position)
    try {
      run(cursor, cursor.view, position, values)
      return values
    } catch (error) {
      throw guard(error)
    }
  }
}

/** True where the schema has a field at the path, through records and the records of unions. */
export function hasPath(type: AvroType, path: readonly string[]): boolean {
  const [name, ...rest] = path
  if (name === undefined) return true
  if (type.kind === 'union') return type.branches.some((branch) => hasPath(branch, path))
  if (type.kind !== 'record') return false
  const field = type.fields.find((candidate) => candidate.name === name)
  return field !== undefined && hasPath(field.type, rest)
}

function emitWanted(program: Program, type: AvroType, want: Want, isLast: boolean): string {
  if (want.slot !== undefined) return emitRead(program, type, `a[${want.slot}]`)
  if (type.kind === 'record') return emitFields(program, type, want, isLast)
  if (type.kind === 'union') {
    return choose(program, type, (branch) => emitWanted(program, branch, want, isLast))
  }
  return emitSkip(program, type)
}

function emitFields(program: Program, type: RecordType, want: Want, isLast: boolean): string {
  const last = type.fields.findLastIndex(({ name }) => want.inner.has(name))
  const statements = type.fields.map((field, i) => {
    const inner = want.inner.get(field.name)
    if (i > last && isLast) return ''
    return inner
      ? emitWanted(program, field.type, inner, isLast && i === last)
      : emitSkip(program, field.type)
  })
  return statements.join('\n')
}
