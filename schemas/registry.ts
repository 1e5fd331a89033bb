import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'

import { NightjarError } from '../core/errors.ts'
import { inlineSchema } from './inline.ts'
import { parseSchema } from './schema.ts'
import type { Schema } from './schema.ts'

/** Where the schemas of wire format come from. */
export interface SchemaSource {
  /** The schema of an id, or undefined if it is not known here. */
  byId(id: number): Schema | undefined
  /** Why an id is not handed out, where more is to be said than that it is unknown. */
  whyNot?(id: number): string | undefined
}

const bundled = createBundled()

/**
 * The LSST schemas that come with Nightjar, each read when it is first asked for. The id is
 * 100 × major + minor, as in LSST's own registry.
 */
export function bundledSchemas(): SchemaSource {
  return bundled
}

/** The versions of LSST schemas that come with Nightjar, such as `7.4`, oldest first. */
export function bundledVersions(): string[] {
  const versions = readdirSync(resolve(import.meta.dirname, 'lsst'))
  return versions.sort((a, b) => Number(idOf(a)) - Number(idOf(b)))
}

/** Their ids, oldest first. */
export function bundledIds(): number[] {
  return bundledVersions().map(idOf)
}

/**
 * The schemas of a folder in the survey's own layout: anywhere below it, `lsst.v7_4.alert.avsc` beside
 * the files of the types that it names. Throws `schema_illegal` if one cannot be read.
 */
export function schemasFrom(dir: string): SchemaSource {
  const schemas = new Map<number, Schema>()
  for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    const match = /^lsst\.v(\d+)_(\d+)\.alert\.avsc$/.exec(entry.name)
    if (!match) continue
    const beside = readdirSync(entry.parentPath).filter((name) => name.endsWith('.avsc'))
    const texts = beside.map((name) => readFileSync(resolve(entry.parentPath, name), 'utf8'))
    const root = readFileSync(resolve(entry.parentPath, entry.name), 'utf8')
    schemas.set(100 * Number(match[1]) + Number(match[2]), parseSchema(inlineSchema(root, texts)))
  }
  return { byId: (id) => schemas.get(id) }
}

/** A schema by its id. Throws `schema_unknown`. */
export function schemaById(schemas: SchemaSource, id: number): Schema {
  const schema = schemas.byId(id)
  if (schema) return schema
  const why = schemas.whyNot?.(id) ?? `schema id ${id} is unknown, add the schema and replay`
  throw new NightjarError('schema_unknown', `Cannot read packet: ${why}`)
}

/**
 * A ZTF schema as the survey's writer put it into packets, without documentation: `3.2`, `3.3` (both
 * with the illegal defaults that `fixPacket` mends) or `4.02`. Throws `schema_unknown`.
 */
export function loadZtfSchema(version: string): { json: unknown; text: string } {
  const path = resolve(import.meta.dirname, 'ztf', version, 'alert.avsc')
  if (!/^[\d.]+$/.test(version) || !existsSync(path)) {
    throw new NightjarError('schema_unknown', `Cannot load schema: ZTF ${version} is not bundled`)
  }
  const json: unknown = JSON.parse(readFileSync(path, 'utf8'))
  return { json, text: JSON.stringify(json) }
}

function createBundled(): SchemaSource {
  const schemas = new Map<number, Schema | undefined>()
  return {
    byId(id) {
      if (schemas.has(id)) return schemas.get(id)
      // Ids come from packets: what is not a version is not remembered either.
      const version = bundledVersions().find((candidate) => idOf(candidate) === id)
      if (version === undefined) return undefined
      const path = resolve(import.meta.dirname, 'lsst', version, 'alert.avsc')
      const schema = parseSchema(readFileSync(path))
      schemas.set(id, schema)
      return schema
    },
  }
}

function idOf(version: string): number {
  const [major, minor] = version.split('.')
  return 100 * Number(major) + Number(minor)
}
