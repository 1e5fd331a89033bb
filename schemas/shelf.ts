/**
 * The schemas of one broker: those that come with Nightjar, and in a folder those that were met since,
 * each with the verdict of the schema gate. What is accepted is handed out; what is parked is not, and
 * its packets wait in the dead letters until a person accepts it.
 *
 * Several processes and threads may share the folder: one learns, the others read.
 */
import { createHash, randomUUID } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'

import { NightjarError, sentenceOf } from '../core/errors.ts'
import { compareSchemas } from './compare.ts'
import { bundledIds, bundledSchemas, type SchemaSource } from './registry.ts'
import { parseSchema, type Schema } from './schema.ts'

/** What the gate says about a schema. */
export interface Verdict {
  id: number
  state: 'accepted' | 'parked'
  /** The accepted schema that it was compared with, if there was one. */
  against?: number
  /** Why it is parked, or what is new in it. */
  changes: string[]
  /** Where it came from. */
  from: string
  at: string
  /** Of the schema's text, in hex. */
  sha256: string
}

export interface Shelf extends SchemaSource {
  whyNot(id: number): string | undefined
  /** The verdict on a schema that was met, whatever it was; none for those that come with Nightjar. */
  verdictOf(id: number): Verdict | undefined
  /** Let a schema pass the gate, and keep both. A schema that is here already stays as it is. */
  add(id: number, text: string, from: string, now: Date): Verdict
  /** Accept what was parked. Throws `input_invalid` where there is no such schema. */
  accept(id: number, now: Date): Verdict
  list(): Verdict[]
}

const mostChanges = 100

/** For so long an id that is not to be had is not looked for again on the disk. */
const lookAgainMs = 500

/** Open the shelf of a folder, which need not be there yet. */
export function openShelf(dir: string): Shelf {
  const bundled = bundledSchemas()
  const accepted = new Map<number, Schema>()
  const absent = new Map<number, number>()

  const fileOf = (id: number, end: 'avsc' | 'json'): string => join(dir, `${id}.${end}`)

  function byId(id: number): Schema | undefined {
    const known = bundled.byId(id) ?? accepted.get(id)
    if (known !== undefined) return known
    if (performance.now() < (absent.get(id) ?? 0)) return undefined
    const verdict = verdictOf(id)
    if (verdict?.state === 'accepted') {
      const schema = parseSchema(readFileSync(fileOf(id, 'avsc'), 'utf8'))
      accepted.set(id, schema)
      return schema
    }
    // Ids come from packets: a flood of them must not fill the memory.
    if (absent.size > 1000) absent.clear()
    absent.set(id, performance.now() + lookAgainMs)
    return undefined
  }

  function verdictOf(id: number): Verdict | undefined {
    if (!existsSync(fileOf(id, 'json'))) return undefined
    const verdict = parseVerdict(readFileSync(fileOf(id, 'json'), 'utf8'))
    // A text that is not what was judged is not there, and is fetched again.
    if (verdict?.id !== id || !existsSync(fileOf(id, 'avsc'))) return undefined
    const text = readFileSync(fileOf(id, 'avsc'), 'utf8')
    return hashOf(text) === verdict.sha256 ? verdict : undefined
  }

  function list(): Verdict[] {
    const names = existsSync(dir) ? readdirSync(dir) : []
    return names
      .flatMap((name) => /^(\d{1,10})\.json$/.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b)
      .flatMap((id) => verdictOf(id) ?? [])
  }

  /** The newest accepted schema before an id. */
  function before(id: number): number | undefined {
    const met = list().flatMap((one) => (one.state === 'accepted' ? one.id : []))
    return [...bundledIds(), ...met].filter((one) => one < id).sort((a, b) => b - a)[0]
  }

  function judge(id: number, text: string): Pick<Verdict, 'state' | 'changes' | 'against'> {
    let schema: Schema
    try {
      schema = parseSchema(text)
    } catch (error) {
      return { state: 'parked', changes: [sentenceOf(error)] }
    }
    const against = before(id)
    const older = against === undefined ? undefined : byId(against)
    if (against === undefined || older === undefined) return { state: 'accepted', changes: [] }
    const { breaks, adds } = compareSchemas(older.root, schema.root)
    const changes = breaks.length > 0 ? breaks : adds
    return {
      state: breaks.length > 0 ? 'parked' : 'accepted',
      against,
      changes: changes.slice(0, mostChanges),
    }
  }

  function keep(verdict: Verdict, text?: string): Verdict {
    mkdirSync(dir, { recursive: true })
    // The verdict comes last: a schema without one is not there.
    if (text !== undefined) write(fileOf(verdict.id, 'avsc'), text)
    write(fileOf(verdict.id, 'json'), `${JSON.stringify(verdict, null, 2)}\n`)
    absent.delete(verdict.id)
    return verdict
  }

  function write(path: string, text: string): void {
    const aside = `${path}.${randomUUID()}`
    writeFileSync(aside, text)
    renameSync(aside, path)
  }

  return {
    byId,
    verdictOf,
    list,
    whyNot(id) {
      const verdict = verdictOf(id)
      if (verdict?.state !== 'parked') return undefined
      const more = verdict.changes.length > 3 ? `, and ${verdict.changes.length - 3} more` : ''
      return (
        `schema id ${id} is parked, it breaks with ${verdict.against ?? 'what is known'} (` +
        `${verdict.changes.slice(0, 3).join('; ')}${more}); accept it and replay`
      )
    },
    add(id, text, from, now) {
      const known = verdictOf(id)
      if (known !== undefined) return known
      const verdict = { id, ...judge(id, text), from, at: now.toISOString(), sha256: hashOf(text) }
      return keep(verdict, text)
    },
    accept(id, now) {
      const verdict = verdictOf(id)
      if (verdict === undefined) {
        throw new NightjarError('input_invalid', `Cannot accept schema ${id}: it is not here`)
      }
      parseSchema(readFileSync(fileOf(id, 'avsc'), 'utf8'))
      return keep({ ...verdict, state: 'accepted', at: now.toISOString() })
    },
  }
}

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex')

function parseVerdict(text: string): Verdict | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  return isVerdict(value) ? value : undefined
}

function isVerdict(value: unknown): value is Verdict {
  return (
    typeof value === 'object' &&
    value !== null &&
    'id' in value &&
    typeof value.id === 'number' &&
    'state' in value &&
    (value.state === 'accepted' || value.state === 'parked') &&
    'changes' in value &&
    Array.isArray(value.changes) &&
    'sha256' in value &&
    typeof value.sha256 === 'string'
  )
}
