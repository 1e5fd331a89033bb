import assert from 'node:assert/strict'
import { test } from 'node:test'

import { openContainer } from '../../schemas/container.ts'
import { compileReader, readRecords } from '../../schemas/decode.ts'
import { encodeContainer, encodeDatum } from '../../schemas/encode.ts'
import { fixPacket } from '../../schemas/fix.ts'
import { loadZtfSchema } from '../../schemas/registry.ts'
import { parseSchema } from '../../schemas/schema.ts'
import type { AvroType } from '../../schemas/schema.ts'
import { skipWithoutData } from '../data.ts'
import { listSamples, readSample } from './corpus.ts'
import { digestOf } from './digest.ts'
import { avscRecords, avscType } from './peer.ts'
import { recordOf } from './value.ts'

const skip = skipWithoutData
const sync = Uint8Array.from({ length: 16 }, (_, i) => 255 - i)

test('encodeDatum() writes what compileReader() reads, for every type', () => {
  const day = { type: 'enum', name: 'day', symbols: ['mon', 'tue'] }
  const cases: [unknown, unknown][] = [
    ['null', null],
    ['boolean', true],
    ['int', -2147483648],
    ['long', -9223372036854775808n],
    ['float', -1.5],
    ['float', NaN],
    ['double', Math.PI],
    ['string', 'naïve ☃'],
    ['bytes', new Uint8Array([0, 255])],
    [{ type: 'fixed', name: 'f', size: 2 }, new Uint8Array([1, 2])],
    [day, 'tue'],
    [{ type: 'array', items: 'long' }, [1n, 2n]],
    [['null', 'string'], null],
    [['float', 'int', 'double'], 0.1],
    [recordOf(['null', 'int']), { x: 3 }],
  ]
  for (const [json, value] of cases) {
    const schema = parseSchema(JSON.stringify(json))
    const bytes = encodeDatum(schema, value)
    const datum = compileReader(schema)(bytes, 0)
    assert.deepEqual(datum, { value, end: bytes.length }, JSON.stringify(json))
  }
})

test('encodeDatum() puts a number into the branch that loses nothing of it', () => {
  const schema = parseSchema('["float", "int", "double"]')
  assert.equal(encodeDatum(schema, 0.5)[0], 0)
  assert.equal(encodeDatum(schema, 16777217)[0], 2)
  assert.equal(encodeDatum(schema, 0.1)[0], 4)
})

test('encodeDatum() gives an absent field its default, and null where it may be', () => {
  const fields = [
    { name: 'a', type: 'int', default: 7 },
    { name: 'b', type: ['float', 'null'], default: null },
    { name: 'c', type: ['string', 'null'] },
  ]
  const schema = parseSchema(JSON.stringify({ type: 'record', name: 'r', fields }))
  const { value } = compileReader(schema)(encodeDatum(schema, {}), 0)
  assert.deepEqual(value, { a: 7, b: null, c: null })
})

test('encodeDatum() names the field and value that do not fit', () => {
  const schema = parseSchema(JSON.stringify(recordOf({ type: 'array', items: recordOf2('int') })))
  const cases: [unknown, string][] = [
    [{ x: [{ y: 1 }, { y: 1.5 }] }, 'Cannot encode "x[1].y": 1.5 does not fit type "int"'],
    [{ x: [{ y: 2 ** 31 }] }, 'Cannot encode "x[0].y": 2147483648 does not fit type "int"'],
    [{ x: [{ y: 1n }] }, 'Cannot encode "x[0].y": 1n does not fit type "int"'],
    [{ x: [{}] }, 'Cannot encode "x[0].y": absent does not fit type "int"'],
    [{}, 'Cannot encode "x": absent does not fit type "array"'],
  ]
  for (const [value, message] of cases) {
    assert.throws(() => encodeDatum(schema, value), { code: 'input_invalid', message })
  }
})

function recordOf2(type: unknown): unknown {
  return { type: 'record', name: 'inner', fields: [{ name: 'y', type }] }
}

test('encodeContainer() writes the same bytes for the same sync marker', () => {
  const options = { sync }
  const once = encodeContainer('"long"', [1n, -1n], options)
  assert.deepEqual(once, encodeContainer('"long"', [1n, -1n], options))
  assert.equal(
    Buffer.from(once).toString('latin1'),
    'Obj\x01\x04\x14avro.codec\x08null\x16avro.schema\x0c"long"\0' +
      `${Buffer.from(sync).toString('latin1')}\x04\x04\x02\x01${Buffer.from(sync).toString('latin1')}`,
  )
  assert.throws(() => encodeContainer('"long"', [], { sync: new Uint8Array(3) }), {
    code: 'input_invalid',
    message: 'Cannot encode container: the sync marker has 3 bytes, not 16',
  })
})

test('encodeContainer() keeps the text of the bundled ZTF schemas, illegal defaults and all', () => {
  for (const version of ['3.2', '3.3', '4.02']) {
    const { text } = loadZtfSchema(version)
    const bytes = encodeContainer(text, [blankOf(parseSchema(text).root)], { sync })
    assert.equal(openContainer(bytes).schema.text, text)
    const fixed = fixPacket(bytes)
    assert.equal(fixed.changed > 100, version !== '4.02')
    const { schema, blocks } = openContainer(fixed.bytes)
    const [value] = avscRecords(schema.text, blocks())
    assert.equal(digestOf([value]), digestOf(readRecords(openContainer(bytes))))
  }
})

/** A value with nothing in it but what must be there. */
function blankOf(type: AvroType): unknown {
  switch (type.kind) {
    case 'record': {
      const required = type.fields.filter((field) => field.type.kind !== 'union')
      return Object.fromEntries(required.map((field) => [field.name, blankOf(field.type)]))
    }
    case 'string':
      return ''
    case 'long':
      return 0n
    default:
      return 0
  }
}

test('encodeDatum() writes the bytes that stock avsc writes, for real alerts', { skip }, () => {
  const folders = ['ztf/mixed-2024-2025-v4.02-boom', 'ztf/official-samples-all-versions']
  for (const file of folders.flatMap(listSamples)) {
    const { schema, blocks } = openContainer(fixPacket(readSample(file)).bytes)
    for (const { data } of blocks()) {
      const { value } = compileReader(schema)(data, 0)
      assert.deepEqual(encodeDatum(schema, value), data, file)
      const [peer] = avscRecords(schema.text, blocks())
      assert.deepEqual(new Uint8Array(avscType(schema.text).toBuffer(peer)), data, file)
    }
  }
})
