import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { test } from 'node:test'

import { parseWire } from '../../schemas/confluent.ts'
import {
  bundledSchemas,
  bundledVersions,
  loadZtfSchema,
  schemaById,
  schemasFrom,
} from '../../schemas/registry.ts'
import type { AvroType } from '../../schemas/schema.ts'
import { dataDir, skipWithoutData } from '../data.ts'

test('parseWire() takes five bytes of framing off', () => {
  const { id, datum } = parseWire(new Uint8Array([0, 0, 0, 2, 0xc0, 7, 8]))
  assert.equal(id, 704)
  assert.deepEqual([...datum], [7, 8])
})

test('parseWire() says what a thing begins with that is not wire format', () => {
  assert.throws(() => parseWire(new Uint8Array([0, 0, 0, 2])), {
    code: 'packet_undecodable',
    message:
      'Cannot read packet: it begins with 00000002, neither an Avro container nor wire format',
  })
})

test('bundledSchemas() knows each LSST version by 100 × major + minor', () => {
  assert.deepEqual(bundledVersions(), [
    '7.0',
    '7.1',
    '7.2',
    '7.3',
    '7.4',
    '8.0',
    '9.0',
    '10.0',
    '11.0',
    '11.1',
  ])
  for (const version of bundledVersions()) {
    const [major, minor] = version.split('.')
    const schema = bundledSchemas().byId(100 * Number(major) + Number(minor))
    assert(schema?.root.kind === 'record', version)
    assert.equal(schema.root.name, `lsst.v${major}_${minor}.alert`)
  }
  assert.equal(bundledSchemas().byId(12345), undefined)
  assert.equal(bundledSchemas().byId(-1), undefined)
})

test('schemaById() names an id that is unknown', () => {
  assert.throws(() => schemaById(bundledSchemas(), 12345), {
    code: 'schema_unknown',
    message: 'Cannot read packet: schema id 12345 is unknown, add the schema and replay',
  })
})

test('loadZtfSchema() names a version that is not bundled, and takes no path', () => {
  for (const version of ['9.9', '../lsst/7.4', '..']) {
    assert.throws(() => loadZtfSchema(version), { code: 'schema_unknown' })
  }
})

const folder = resolve(dataDir, 'schemas/lsst')
const skip = skipWithoutData || (existsSync(folder) ? false : `needs ${folder}`)

test("schemasFrom() reads the survey's own layout to what is bundled", { skip }, () => {
  const schemas = schemasFrom(folder)
  for (const version of bundledVersions()) {
    const [major, minor] = version.split('.')
    const id = 100 * Number(major) + Number(minor)
    const [theirs, ours] = [schemas.byId(id), bundledSchemas().byId(id)]
    assert(theirs && ours, version)
    assert.deepEqual(outline(theirs.root), outline(ours.root), version)
  }
})

/** A type without its documentation. */
function outline(type: AvroType): unknown {
  switch (type.kind) {
    case 'record':
      return [type.name, type.fields.map((f) => [f.name, f.default, outline(f.type)])]
    case 'union':
      return type.branches.map(outline)
    case 'array':
      return ['array', outline(type.items)]
    default:
      return type.kind
  }
}
