import assert from 'node:assert/strict'
import { test } from 'node:test'

import { openContainer } from '../../schemas/container.ts'
import { readRecords } from '../../schemas/decode.ts'
import { encodeContainer, encodeDatum, trimPacket } from '../../schemas/encode.ts'
import { parseSchema } from '../../schemas/schema.ts'

const sync = Uint8Array.from({ length: 16 }, (_, i) => i)
const stamp = { type: 'record', name: 'cutout', fields: [{ name: 'stampData', type: 'bytes' }] }
const int = (name: string) => ({ name, type: 'int' })
const alert = {
  type: 'record',
  name: 'alert',
  fields: [
    { name: 'cutoutScience', type: ['null', stamp], default: null },
    int('a'),
    { name: 'cutoutTemplate', type: ['null', 'cutout'], default: null },
    { name: 'cutoutDifference', type: ['null', 'cutout'], default: null },
    int('b'),
    { name: 'cutoutLast', type: 'bytes' },
  ],
}
const image = { stampData: new Uint8Array(30) }
const record = {
  cutoutScience: image,
  a: 1,
  cutoutTemplate: null,
  cutoutDifference: image,
  b: 2,
  cutoutLast: new Uint8Array(3),
}

test('trimPacket() drops the fields, their part of the schema and nothing else', () => {
  const bytes = encodeContainer(JSON.stringify(alert, null, 1), [record, record], { sync })
  const { schema, sync: marker, codec } = openContainer(trimPacket(bytes))
  assert.deepEqual(JSON.parse(schema.text), { ...alert, fields: [int('a'), int('b')] })
  assert.deepEqual(
    [...readRecords(openContainer(trimPacket(bytes)))],
    Array(2).fill({ a: 1, b: 2 }),
  )
  assert.deepEqual([...marker], [...sync])
  assert.equal(codec, 'null')
})

test('trimPacket() returns a packet without cutouts as it is', () => {
  const bytes = encodeContainer(JSON.stringify({ ...alert, fields: [int('a')] }), [{ a: 1 }], {
    sync,
  })
  assert.equal(trimPacket(bytes), bytes)
})

test('trimPacket() makes a container of wire format, the same one every time', () => {
  const schema = parseSchema(JSON.stringify(alert))
  const wire = new Uint8Array([0, 0, 0, 0, 7, ...encodeDatum(schema, record)])
  const schemas = { byId: () => schema }
  const trimmed = trimPacket(wire, schemas)
  assert.deepEqual([...readRecords(openContainer(trimmed))], [{ a: 1, b: 2 }])
  assert.equal(
    Buffer.from(openContainer(trimmed).sync).toString('hex'),
    schema.fingerprint.slice(0, 32),
  )
  assert.deepEqual(trimPacket(wire, schemas), trimmed)
})

test('trimPacket() trims the record of a schema that lists its types', () => {
  const bytes = encodeContainer(JSON.stringify([stamp, { ...alert, fields: rest() }]), [record], {
    sync,
  })
  assert.deepEqual([...readRecords(openContainer(trimPacket(bytes)))], [{ a: 1, b: 2 }])
})

function rest(): unknown[] {
  return [{ name: 'cutoutScience', type: ['null', 'cutout'] }, ...alert.fields.slice(1)]
}

test('trimPacket() refuses a record with cutouts inside another', () => {
  const fields = [...alert.fields, { name: 'before', type: ['null', 'alert'] }]
  const bytes = encodeContainer(JSON.stringify({ ...alert, fields }), [], { sync })
  assert.throws(() => trimPacket(bytes), {
    code: 'schema_illegal',
    message: 'Cannot trim packet: record "alert" has cutouts and is used inside a record',
  })
})
