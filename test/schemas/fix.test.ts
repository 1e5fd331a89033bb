import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deflateRawSync } from 'node:zlib'

import { openContainer } from '../../schemas/container.ts'
import { readRecords } from '../../schemas/decode.ts'
import { encodeContainer } from '../../schemas/encode.ts'
import { fixPacket } from '../../schemas/fix.ts'
import { encodeBlock, encodeHeader } from '../../schemas/framing.ts'
import { skipWithoutData } from '../data.ts'
import { listSamples, readSample } from './corpus.ts'
import { digestOf } from './digest.ts'
import { avscRecords, avscType } from './peer.ts'

const sync = Uint8Array.from({ length: 16 }, (_, i) => i)

interface FieldJson {
  name: string
  type: unknown
  default?: unknown
}

function packet(fields: FieldJson[], records: unknown[]): Uint8Array {
  const text = JSON.stringify({ type: 'record', name: 'r', fields })
  return encodeContainer(text, records, { sync })
}

function fieldsOf(bytes: Uint8Array): { name: string; type: unknown }[] {
  const json = JSON.parse(openContainer(bytes).schema.text) as { fields: FieldJson[] }
  return json.fields
}

function recordsOf(bytes: Uint8Array): unknown[] {
  return [...readRecords(openContainer(bytes))]
}

test('fixPacket() moves the branch of the default to the front and keeps every value', () => {
  const fields = [
    { name: 'a', type: ['float', 'null'], default: null },
    { name: 'b', type: ['null', 'int'], default: 0 },
    { name: 'c', type: ['int', 'string', 'null'], default: null },
    { name: 'd', type: ['int', 'string', 'null'], default: 'x' },
  ]
  const records = [
    { a: 1.5, b: null, c: 7, d: null },
    { a: null, b: 3, c: null, d: 'night' },
    { a: NaN, b: 0, c: 'jar', d: 1 },
  ]
  const bytes = packet(fields, records)
  const fixed = fixPacket(bytes)
  assert.equal(fixed.changed, 4)
  assert.equal(fixed.bytes.length, bytes.length)
  assert.deepEqual(
    fieldsOf(fixed.bytes).map(({ type }) => type),
    [
      ['null', 'float'],
      ['int', 'null'],
      ['null', 'int', 'string'],
      ['string', 'int', 'null'],
    ],
  )
  assert.deepEqual(recordsOf(fixed.bytes), records)
  assert.deepEqual([...openContainer(fixed.bytes).sync], [...sync])
})

test('fixPacket() leaves its input as it was', () => {
  const bytes = packet([{ name: 'a', type: ['float', 'null'], default: null }], [{ a: null }])
  const before = Buffer.from(bytes)
  fixPacket(bytes)
  assert(before.equals(bytes))
})

test('fixPacket() returns the same object for a legal packet and for its own output', () => {
  const legal = packet([{ name: 'a', type: ['null', 'float'], default: null }], [{ a: 1 }])
  assert.deepEqual(fixPacket(legal), { bytes: legal, changed: 0 })
  assert.equal(fixPacket(legal).bytes, legal)
  const illegal = packet([{ name: 'a', type: ['float', 'null'], default: null }], [{ a: 1 }])
  const once = fixPacket(illegal).bytes
  assert.equal(fixPacket(once).bytes, once)
})

test('fixPacket() returns wire format as it is and refuses what is no packet', () => {
  const wire = new Uint8Array([0, 0, 0, 2, 0xbf, 1])
  assert.equal(fixPacket(wire).bytes, wire)
  assert.throws(() => fixPacket(Buffer.from('version https')), { code: 'packet_undecodable' })
})

test('fixPacket() edits a record that is used many times once, and its data everywhere', () => {
  const inner = {
    type: 'record',
    name: 'inner',
    fields: [{ name: 'x', type: ['int', 'null'], default: null }],
  }
  const fields = [
    { name: 'first', type: inner },
    { name: 'list', type: { type: 'array', items: 'inner' } },
    { name: 'map', type: { type: 'map', values: ['null', 'inner'] } },
    { name: 'later', type: [{ type: 'array', items: ['null', 'inner'] }, 'null'], default: null },
  ]
  const records = [
    {
      first: { x: 1 },
      list: [{ x: null }, { x: 2 }],
      map: { k: { x: 3 }, l: null },
      later: [null, { x: null }],
    },
    { first: { x: null }, list: [], map: {}, later: null },
  ]
  const bytes = packet(fields, records)
  const fixed = fixPacket(bytes)
  assert.equal(fixed.changed, 2)
  assert.equal(digestOf(recordsOf(fixed.bytes)), digestOf(records))
  const { schema, blocks } = openContainer(fixed.bytes)
  assert.equal(digestOf(avscRecords(schema.text, blocks())), digestOf(records))
})

test('fixPacket() keeps spaces, escapes and letters beyond ASCII of the schema in their bytes', () => {
  const text =
    '{ "type":"record",\n "name":"r", "doc": "Δ \\"[\\u00e9", "fields": [ {"name":"a" ,' +
    ' "default": null, "type": [ "float"  ,\t"null" ], "doc": "☃]" } ] }'
  const fixed = fixPacket(encodeContainer(text, [{ a: 2 }], { sync }))
  assert.equal(
    openContainer(fixed.bytes).schema.text,
    text.replace('[ "float"  ,\t"null" ]', '[ "null"  ,\t"float" ]'),
  )
  assert.deepEqual(recordsOf(fixed.bytes), [{ a: 2 }])
})

test('fixPacket() unpacks an illegal container that is packed', () => {
  const fields = [{ name: 'a', type: ['int', 'null'], default: null }]
  const schemaText = JSON.stringify({ type: 'record', name: 'r', fields })
  const header = encodeHeader({ schemaText, codec: 'deflate', sync })
  const data = deflateRawSync(Buffer.from('00020202', 'hex').subarray(0, 3))
  const bytes = Buffer.concat([header, ...encodeBlock(2, data, sync)])
  const fixed = fixPacket(bytes).bytes
  assert.equal(openContainer(fixed).codec, 'null')
  assert.deepEqual(recordsOf(fixed), recordsOf(bytes))
  assert.deepEqual(fixPacket(bytes).bytes, fixed)
})

test('fixPacket() refuses a default that fits no type, by name', () => {
  assert.throws(
    () => fixPacket(packet([{ name: 'fid', type: 'int', default: null }], [{ fid: 1 }])),
    {
      code: 'schema_illegal',
      message: 'Cannot fix schema: default null of field "fid" of "r" fits no type of it',
    },
  )
})

test('fixPacket() refuses to put the use of a type before its definition', () => {
  const inner = { type: 'record', name: 'inner', fields: [] }
  const type = [inner, 'null', { type: 'array', items: 'inner' }]
  assert.throws(() => fixPacket(packet([{ name: 'a', type, default: [] }], [{ a: null }])), {
    code: 'schema_illegal',
    message: /type "inner" is not defined before it is used/,
  })
})

test('fixPacket() refuses an illegal packet that is damaged', () => {
  const bytes = packet([{ name: 'a', type: ['int', 'null'], default: null }], [{ a: null }])
  bytes[openContainer(bytes).headerBytes + 2] = 8
  assert.throws(() => fixPacket(bytes), {
    code: 'packet_undecodable',
    message: /there is no choice 4 of 2/,
  })
})

test(
  'fixPacket() makes every ZTF packet legal for stock avsc, length and values kept',
  {
    skip: skipWithoutData,
  },
  () => {
    let changed = 0
    for (const file of listSamples('ztf')) {
      const bytes = readSample(file)
      const fixed = fixPacket(bytes)
      if (fixed.changed === 0) {
        assert.equal(fixed.bytes, bytes, file)
        continue
      }
      changed++
      assert.throws(() => avscType(openContainer(bytes).schema.text), file)
      assert.equal(fixed.bytes.length, bytes.length, file)
      assert.equal(fixPacket(fixed.bytes).bytes, fixed.bytes, file)
      const digest = digestOf(readRecords(openContainer(bytes)))
      const { schema, blocks } = openContainer(fixed.bytes)
      assert.equal(digestOf(readRecords(openContainer(fixed.bytes))), digest, file)
      assert.equal(digestOf(avscRecords(schema.text, blocks())), digest, file)
    }
    assert.equal(changed, 906)
  },
)
