import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Column } from '../../core/row.ts'
import { shapeOf } from '../../schemas/columns.ts'
import { bundledSchemas, loadZtfSchema } from '../../schemas/registry.ts'
import { parseSchema } from '../../schemas/schema.ts'

function shape(fields: unknown[], version?: string) {
  const schema = parseSchema(JSON.stringify({ type: 'record', name: 'r', fields }))
  return shapeOf(schema, version)
}

function named(columns: readonly Column[], ...path: string[]): Column | undefined {
  const [name, ...rest] = path
  const column = columns.find((candidate) => candidate.name === name)
  return rest.length === 0 ? column : named(column?.fields ?? [], ...rest)
}

test('shapeOf() lays every type out as a column', () => {
  const time = { type: 'long', logicalType: 'timestamp-micros' }
  const day = { type: 'enum', name: 'day', symbols: ['mon'] }
  const inner = { type: 'record', name: 'inner', fields: [{ name: 'y', type: 'int', doc: 'why' }] }
  const { columns } = shape([
    { name: 'i', type: ['null', 'int'] },
    { name: 'l', type: time },
    { name: 'f', type: ['float', 'null'], doc: 'mag' },
    { name: 'd', type: 'double' },
    { name: 's', type: 'string' },
    { name: 'e', type: day },
    { name: 'b', type: 'bytes' },
    { name: 'x', type: { type: 'fixed', name: 'x', size: 2 } },
    { name: 't', type: 'boolean' },
    { name: 'r', type: ['null', inner] },
    { name: 'a', type: ['null', { type: 'array', items: ['null', 'inner'] }] },
    { name: 'p', type: { type: 'array', items: 'float' } },
    { name: 'm', type: { type: 'map', values: ['null', 'string'] } },
    { name: 'n', type: ['float', 'int', 'null'] },
    { name: 'cutoutScience', type: 'bytes' },
  ])
  const y = [{ name: 'y', type: 'INT32', mode: 'NULLABLE', description: 'why' }]
  assert.deepEqual(columns, [
    { name: 'i', type: 'INT32', mode: 'NULLABLE' },
    { name: 'l', type: 'INT64', mode: 'NULLABLE' },
    { name: 'f', type: 'FLOAT32', mode: 'NULLABLE', description: 'mag' },
    { name: 'd', type: 'FLOAT64', mode: 'NULLABLE' },
    { name: 's', type: 'STRING', mode: 'NULLABLE' },
    { name: 'e', type: 'STRING', mode: 'NULLABLE' },
    { name: 'b', type: 'BYTES', mode: 'NULLABLE' },
    { name: 'x', type: 'BYTES', mode: 'NULLABLE' },
    { name: 't', type: 'BOOL', mode: 'NULLABLE' },
    { name: 'r', type: 'RECORD', mode: 'NULLABLE', fields: y },
    { name: 'a', type: 'RECORD', mode: 'REPEATED', fields: y },
    { name: 'p', type: 'FLOAT32', mode: 'REPEATED' },
    {
      name: 'm',
      type: 'RECORD',
      mode: 'REPEATED',
      fields: [
        { name: 'key', type: 'STRING', mode: 'NULLABLE' },
        { name: 'value', type: 'STRING', mode: 'NULLABLE' },
      ],
    },
    { name: 'n', type: 'FLOAT64', mode: 'NULLABLE' },
  ])
})

test('shapeOf() leaves out what no table can hold', () => {
  const { columns } = shape([
    { name: 'self', type: ['null', 'r'] },
    { name: 'grid', type: { type: 'array', items: { type: 'array', items: 'int' } } },
    { name: 'none', type: 'null' },
    { name: 'mixed', type: ['int', 'string'] },
    { name: 'a', type: 'int' },
  ])
  assert.deepEqual(columns, [{ name: 'a', type: 'INT32', mode: 'NULLABLE' }])
})

test('shapeOf() labels a table by the version', () => {
  assert.equal(shape([], '4.02').version, 'v4_02')
  assert.equal(shape([]).version, 'unversioned')
  const lsst = bundledSchemas().byId(704)
  assert(lsst)
  assert.equal(shapeOf(lsst).version, 'v7_4')
})

test('shapeOf() lays ZTF and LSST out with histories as repeated records', () => {
  const ztf = shapeOf(parseSchema(loadZtfSchema('4.02').text)).columns
  assert.deepEqual(
    ztf.map(({ name }) => name),
    ['schemavsn', 'publisher', 'objectId', 'candid', 'candidate', 'prv_candidates', 'fp_hists'],
  )
  assert.equal(named(ztf, 'prv_candidates')?.mode, 'REPEATED')
  assert.equal(named(ztf, 'candidate', 'magpsf')?.type, 'FLOAT32')
  assert.equal(named(ztf, 'candidate', 'candid')?.type, 'INT64')
  const lsst = bundledSchemas().byId(1101)
  assert(lsst)
  const { columns } = shapeOf(lsst)
  assert.equal(named(columns, 'prvDiaForcedSources', 'psfFlux')?.type, 'FLOAT32')
  assert.equal(named(columns, 'cutoutScience'), undefined)
})
