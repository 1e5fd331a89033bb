import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parseSchema } from '../../schemas/schema.ts'

const illegal = { name: 'NightjarError', code: 'schema_illegal' }

function parse(json: unknown) {
  return parseSchema(JSON.stringify(json))
}

test('parseSchema() resolves names by full name, by namespace and by bare name', () => {
  const cutout = { type: 'record', name: 'ztf.alert.cutout', fields: [] }
  const { root } = parse({
    type: 'record',
    name: 'alert',
    namespace: 'ztf.alert',
    fields: [
      { name: 'a', type: cutout },
      { name: 'b', type: 'ztf.alert.cutout' },
      { name: 'c', type: ['null', 'cutout'] },
    ],
  })
  assert(root.kind === 'record')
  const [a, b, c] = root.fields
  assert.equal(root.name, 'ztf.alert.alert')
  assert.equal(b?.type, a?.type)
  assert(c?.type.kind === 'union')
  assert.equal(c.type.branches[1], a?.type)
})

test('parseSchema() allows a record to hold itself', () => {
  const list = { name: 'next', type: ['null', 'list'] }
  const { root } = parse({ type: 'record', name: 'list', fields: [list] })
  assert(root.kind === 'record' && root.fields[0]?.type.kind === 'union')
  assert.equal(root.fields[0].type.branches[1], root)
})

test('parseSchema() keeps illegal defaults, documentation, versions and logical types', () => {
  const time = { type: 'long', logicalType: 'timestamp-micros' }
  const { root } = parse({
    type: 'record',
    name: 'r',
    version: '3.3',
    fields: [
      { name: 'x', type: ['float', 'null'], default: null, doc: 'mag' },
      { name: 't', type: time },
    ],
  })
  assert(root.kind === 'record')
  assert.equal(root.version, '3.3')
  assert.equal(root.fields[0]?.default, null)
  assert.equal(root.fields[0]?.doc, 'mag')
  assert.deepEqual(root.fields[1]?.type, { kind: 'long', logicalType: 'timestamp-micros' })
})

test('parseSchema() gives the same object for the same bytes', () => {
  const text = '{"type": "map", "values": "long"}'
  assert.equal(parseSchema(text), parseSchema(Buffer.from(text)))
  assert.notEqual(parseSchema(text), parseSchema(`${text} `))
})

test('parseSchema() bounds how deep names nest types', () => {
  const chain = Array.from({ length: 200 }, (_, i) => {
    const fields = i === 0 ? [] : [{ name: 'x', type: `r${i - 1}` }]
    return { type: 'record', name: `r${i}`, fields }
  })
  assert.throws(() => parse(chain), {
    ...illegal,
    message: 'Cannot read schema: its types are nested more than 64 deep',
  })
})

test('parseSchema() names the fault of a schema', () => {
  const field = (type: unknown) => ({ name: 'x', type })
  const record = (fields: unknown) => ({ type: 'record', name: 'r', fields })
  let deep: unknown = 'int'
  for (let i = 0; i < 70; i++) deep = { type: 'array', items: deep }
  const faults: [unknown, RegExp][] = [
    [record([field('int'), field('long')]), /record "r" has two fields "x"/],
    [record([field('star')]), /type "star" is not defined before it is used/],
    [record([field(['int', ['null']])]), /a union holds a union/],
    [record([{ type: 'int' }]), /record "r" has a field without a name/],
    [record('none'), /a record has no list of fields/],
    [[], /a union has no branch/],
    [{ type: 'fixed', name: 'f', size: -1 }, /the size of a fixed is -1/],
    [{ type: 'fixed', name: 'f', size: 1e9 }, /the size of a fixed is 1000000000/],
    [{ type: 'enum', name: 'e' }, /the symbols of an enum are absent/],
    [[record([]), record([])], /"r" is defined twice/],
    [{ type: 'array' }, /absent is not a type/],
    [deep, /it is nested more than 64 deep/],
    [null, /null is not a type/],
  ]
  for (const [schema, message] of faults) {
    assert.throws(() => parse(schema), { ...illegal, message }, String(message))
  }
  assert.throws(() => parseSchema('{"type": '), { ...illegal, message: /it is not JSON/ })
  assert.throws(() => parseSchema(' '.repeat((1 << 20) + 1)), {
    ...illegal,
    message: 'Cannot read schema: it is 1048577 bytes long, more than 1048576',
  })
})
