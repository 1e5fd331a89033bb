import assert from 'node:assert/strict'
import { test } from 'node:test'

import { isContainer, openContainer } from '../../schemas/container.ts'
import { compileReader, readRecords } from '../../schemas/decode.ts'
import { encodeContainer, encodeDatum } from '../../schemas/encode.ts'
import { fixPacket } from '../../schemas/fix.ts'
import { loadZtfSchema } from '../../schemas/registry.ts'
import { parseSchema } from '../../schemas/schema.ts'
import type { AvroType } from '../../schemas/schema.ts'
import { skipWithoutData } from '../data.ts'
import { listSamples, readSample, readSamples } from './corpus.ts'
import { digestOf } from './digest.ts'
import { avscRecords, avscType } from './peer.ts'
import { recordOf } from './value.ts'

const skip = skipWithoutData
const replacement = new Uint8Array([0xef, 0xbf, 0xbd])
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

test('encodeDatum() takes any view of bytes, any number that is a long, and the ends of both', () => {
  const view = new Uint8Array([9, 1, 2, 9]).subarray(1, 3)
  assert.deepEqual(encodeDatum(parseSchema('"bytes"'), view), new Uint8Array([4, 1, 2]))
  assert.deepEqual(encodeDatum(parseSchema('"long"'), 3), new Uint8Array([6]))
  assert.deepEqual(encodeDatum(parseSchema('["int", "long"]'), 3n), new Uint8Array([2, 6]))
  assert.deepEqual(encodeDatum(parseSchema('"string"'), 'a\ud800').slice(2), replacement)
  for (const value of [2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n + 1n, 0n, -1n]) {
    const schema = parseSchema('"long"')
    assert.equal(compileReader(schema)(encodeDatum(schema, value), 0).value, value)
  }
  const long = new Uint8Array(3 << 20).fill(7)
  const schema = parseSchema('"bytes"')
  assert.deepEqual(compileReader(schema)(encodeDatum(schema, long), 0).value, long)
})

test('encodeDatum() gives an absent field its default, and null where it may be', () => {
  const fields = [
    { name: 'a', type: 'int', default: 7 },
    { name: 'b', type: ['float', 'null'], default: null },
    { name: 'c', type: ['string', 'null'] },
    { name: 'd', type: ['null', 'int'], default: 0 },
    { name: 'e', type: 'int', default: null },
  ]
  const schema = parseSchema(JSON.stringify({ type: 'record', name: 'r', fields }))
  const { value } = compileReader(schema)(encodeDatum(schema, { e: 1 }), 0)
  assert.deepEqual(value, { a: 7, b: null, c: null, d: 0, e: 1 })
  assert.throws(() => encodeDatum(schema, {}), { code: 'input_invalid' })
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
  const unions = recordOf(['null', { type: 'map', values: ['float', recordOf2('int')] }])
  assert.throws(() => encodeDatum(parseSchema(JSON.stringify(unions)), { x: { k: true } }), {
    code: 'input_invalid',
    message: 'Cannot encode "x.k": true does not fit type "union"',
  })
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

test(
  'encodeDatum() writes the bytes that it reads, for real alerts of every version',
  { skip },
  () => {
    let count = 0
    for (const { file } of readSamples()) {
      if (!/^(ztf|lsst|elasticc)\//.test(file)) continue
      const bytes = readSample(file)
      if (!isContainer(bytes)) continue
      const { schema, blocks } = openContainer(bytes)
      for (const { data } of blocks()) {
        const { value, end } = compileReader(schema)(data, 0)
        assert.deepEqual(encodeDatum(schema, value), data.slice(0, end), file)
        count++
      }
    }
    assert(count > 100, `${count}`)
  },
)

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
