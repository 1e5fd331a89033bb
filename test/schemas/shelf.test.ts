import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { compareSchemas } from '../../schemas/compare.ts'
import { bundledSchemas, bundledVersions, schemaById } from '../../schemas/registry.ts'
import { parseSchema } from '../../schemas/schema.ts'
import { openShelf } from '../../schemas/shelf.ts'

const root = mkdtempSync(join(tmpdir(), 'nightjar-shelf-'))
after(() => rmSync(root, { recursive: true }))
const folder = (): string => join(mkdtempSync(join(root, 'x-')), 'schemas')

const now = new Date('2026-11-21T12:00:00Z')
const record = (name: string, ...fields: unknown[]): string =>
  JSON.stringify({ type: 'record', name, fields })
const field = (name: string, type: unknown): unknown => ({ name, type })
const changes = (before: string, after: string) =>
  compareSchemas(parseSchema(before).root, parseSchema(after).root)

test('compareSchemas() tells additions from breaks, whatever the types are called', () => {
  const inner = (name: string, ...fields: unknown[]) => ({ type: 'record', name, fields })
  const before = record(
    'a.v1',
    field('id', 'int'),
    field('flux', ['null', 'float']),
    field('band', 'string'),
    field('source', inner('S1', field('ra', 'double'), field('dec', 'double'))),
    field('past', { type: 'array', items: 'S1' }),
  )
  const wider = record(
    'b.v2',
    field('id', ['null', 'long']),
    field('flux', ['double', 'null']),
    field('band', 'string'),
    field('source', inner('S2', field('ra', 'double'), field('dec', 'double'), field('x', 'int'))),
    field('past', { type: 'array', items: 'S2' }),
    field('extra', 'bytes'),
  )
  assert.deepEqual(changes(before, wider), {
    breaks: [],
    adds: [
      'id: may be null now',
      'id: int has become long',
      'flux: float has become double',
      'source.x: is new',
      'extra: is new',
    ],
  })
  assert.deepEqual(changes(wider, before).breaks, [
    'id: long has become int',
    'flux: double has become float',
    'source.x: is gone',
    'extra: is gone',
  ])
  assert.deepEqual(changes(before, record('c', field('id', 'string'))).breaks, [
    'id: int has become string',
    'flux: is gone',
    'band: is gone',
    'source: is gone',
    'past: is gone',
  ])
})

test('compareSchemas() ends on types that contain themselves', () => {
  const tree = (name: string) =>
    record(name, field('left', ['null', name]), field('items', { type: 'array', items: name }))
  assert.deepEqual(changes(tree('a'), tree('b')), { breaks: [], adds: [] })
})

test('between the LSST schemas that came one after the other it finds what is known of them', () => {
  const breaking = bundledVersions().map((version, index, all) => {
    const [older, newer] = [all[index - 1], version].map((one) => {
      const [major, minor] = (one ?? '7.0').split('.')
      return bundledSchemas().byId(100 * Number(major) + Number(minor))
    })
    assert(older && newer)
    return [version, compareSchemas(older.root, newer.root).breaks]
  })
  const found = Object.fromEntries(breaking) as Record<string, string[]>
  // 9 to 10 renamed MPCORB.
  assert.ok(found['10.0']?.includes('MPCORB: is gone'), found['10.0']?.join())
  assert.deepEqual(found['11.1'], [])
})

test('a shelf accepts what adds, parks what breaks, and hands out only the first', () => {
  const shelf = openShelf(folder())
  const first = shelf.add(50, record('a', field('id', 'long')), 'test', now)
  assert.deepEqual([first.state, first.against], ['accepted', undefined])
  const wider = record('a', field('id', 'long'), field('x', 'int'))
  assert.equal(shelf.add(51, wider, 'test', now).state, 'accepted')
  const parked = shelf.add(60, record('a', field('x', 'int')), 'test', now)
  assert.deepEqual([parked.state, parked.against, parked.changes], ['parked', 51, ['id: is gone']])
  assert.equal(shelf.byId(51)?.text, wider)
  assert.equal(shelf.byId(60), undefined)
  assert.throws(() => schemaById(shelf, 60), {
    code: 'schema_unknown',
    message:
      'Cannot read packet: schema id 60 is parked, it breaks with 51 (id: is gone); accept it and replay',
  })
  assert.throws(() => schemaById(shelf, 61), /schema id 61 is unknown/)
  assert.deepEqual(
    shelf.list().map(({ id }) => id),
    [50, 51, 60],
  )
})

test('what one process learns or accepts, another that looks on sees', async () => {
  const dir = folder()
  const [writer, reader] = [openShelf(dir), openShelf(dir)]
  assert.equal(reader.byId(70), undefined)
  writer.add(70, record('a', field('id', 'long')), 'test', now)
  writer.add(71, record('a'), 'test', now)
  await new Promise((resolve) => setTimeout(resolve, 600))
  assert.equal(reader.byId(70)?.root.kind, 'record')
  assert.equal(reader.byId(71), undefined)
  writer.accept(71, now)
  await new Promise((resolve) => setTimeout(resolve, 600))
  assert.equal(reader.byId(71)?.root.kind, 'record')
  assert.throws(() => writer.accept(72, now), { code: 'input_invalid' })
})

test('a shelf does not take a damaged file for a schema, nor no schema for one', () => {
  const dir = folder()
  const shelf = openShelf(dir)
  assert.equal(shelf.add(80, '{"type": "nonsense"}', 'test', now).state, 'parked')
  assert.throws(() => shelf.accept(80, now), { code: 'schema_illegal' })
  shelf.add(81, record('a', field('id', 'long')), 'test', now)
  writeFileSync(join(dir, '81.avsc'), record('a'))
  assert.equal(openShelf(dir).byId(81), undefined)
  assert.equal(
    openShelf(dir).add(81, record('a', field('id', 'long')), 'test', now).state,
    'accepted',
  )
  writeFileSync(join(dir, '81.json'), '{')
  assert.equal(openShelf(dir).byId(81), undefined)
  assert.deepEqual(
    readdirSync(dir).filter((name) => !/^\d+\.(avsc|json)$/.test(name)),
    [],
  )
  assert.match(readFileSync(join(dir, '80.json'), 'utf8'), /"from": "test"/)
})

test('what comes with Nightjar is not replaced', () => {
  const shelf = openShelf(folder())
  shelf.add(704, record('a'), 'test', now)
  assert.equal(shelf.byId(704), bundledSchemas().byId(704))
})
