/** What became of a schema between two versions, as a reader of the first would see it. */
import type { AvroType, RecordType } from './schema.ts'

export interface Changes {
  /** What a reader of the older version would miss or misread, by path. */
  breaks: string[]
  /** What is new and hurts nobody. */
  adds: string[]
}

/** Types that hold every value of another. */
const wider: Readonly<Record<string, readonly string[]>> = {
  int: ['long', 'float', 'double'],
  long: ['float', 'double'],
  float: ['double'],
  string: ['bytes'],
  bytes: ['string'],
}

/**
 * Compare two schemas field by field. The names of types do not count, for LSST's carry the version.
 * A field that is gone or of another type is a break; a new one, a wider number, or a null where there
 * was none, is an addition.
 */
export function compareSchemas(before: AvroType, after: AvroType): Changes {
  const found: Changes = { breaks: [], adds: [] }
  const seen = new Map<AvroType, Set<AvroType>>()
  compare(before, after, '')
  return found

  function compare(old: AvroType, now: AvroType, path: string): void {
    const [oldBranches, nowBranches] = [branchesOf(old), branchesOf(now)]
    if (!oldBranches.nullable && nowBranches.nullable) found.adds.push(`${path}: may be null now`)
    for (const branch of oldBranches.types) {
      const match =
        nowBranches.types.find((one) => one.kind === branch.kind) ??
        nowBranches.types.find((one) => wider[branch.kind]?.includes(one.kind))
      if (match === undefined) {
        const others = nowBranches.types.map(({ kind }) => kind).join(' or ') || 'null'
        found.breaks.push(`${path || 'the whole'}: ${branch.kind} has become ${others}`)
      } else {
        compareAlike(branch, match, path)
      }
    }
  }

  function compareAlike(old: AvroType, now: AvroType, path: string): void {
    // A recursive type contains itself.
    const compared = seen.get(old) ?? new Set()
    if (compared.has(now)) return
    seen.set(old, compared.add(now))
    if (old.kind === 'record' && now.kind === 'record') compareFields(old, now, path)
    else if (old.kind === 'array' && now.kind === 'array') compare(old.items, now.items, path)
    else if (old.kind === 'map' && now.kind === 'map') compare(old.values, now.values, path)
    else if (old.kind === 'fixed' && now.kind === 'fixed' && old.size !== now.size) {
      found.breaks.push(`${path}: ${old.size} bytes have become ${now.size}`)
    } else if (old.kind === 'enum' && now.kind === 'enum') {
      const gone = old.symbols.filter((symbol) => !now.symbols.includes(symbol))
      if (gone.length > 0) found.breaks.push(`${path}: ${gone.join(', ')} is gone`)
    } else if (old.kind !== now.kind) {
      found.adds.push(`${path}: ${old.kind} has become ${now.kind}`)
    }
  }

  function compareFields(old: RecordType, now: RecordType, path: string): void {
    const at = (name: string): string => (path === '' ? name : `${path}.${name}`)
    const there = new Map(now.fields.map((field) => [field.name, field]))
    for (const { name, type } of old.fields) {
      const field = there.get(name)
      if (field === undefined) found.breaks.push(`${at(name)}: is gone`)
      else compare(type, field.type, at(name))
      there.delete(name)
    }
    for (const name of there.keys()) found.adds.push(`${at(name)}: is new`)
  }
}

function branchesOf(type: AvroType): { nullable: boolean; types: AvroType[] } {
  const branches = type.kind === 'union' ? type.branches : [type]
  const types = branches.filter(({ kind }) => kind !== 'null')
  return { nullable: types.length < branches.length, types }
}
