import assert from 'node:assert/strict'
import { test } from 'node:test'

import { compileReader, decodeDatum } from '../../schemas/decode.ts'
import { parseSchema } from '../../schemas/schema.ts'
import { decodeHex, recordOf } from './value.ts'

const undecodable = { name: 'NightjarError', code: 'packet_undecodable' }

test('compileReader() reads every type', () => {
  const day = { type: 'enum', name: 'day', symbols: ['mon', 'tue'] }
  const cases: [unknown, string, unknown][] = [
    ['null', '', null],
    ['boolean', '01', true],
    ['boolean', '00', false],
    ['int', '01', -1],
    ['int', 'feffffff 0f', 2147483647],
    ['int', 'ffffffff 0f', -2147483648],
    ['long', '80 01', 64n],
    ['long', 'feffffff ffffffff ff01', 9223372036854775807n],
    ['long', 'ffffffff ffffffff ff01', -9223372036854775808n],
    ['float', '0000c0bf', -1.5],
    ['float', '0000c07f', NaN],
    ['double', '182d4454 fb210940', Math.PI],
    ['string', '06 e29883', '☃'],
    ['string', '00', ''],
    ['bytes', '04 00ff', new Uint8Array([0, 255])],
    [{ type: 'fixed', name: 'f', size: 2 }, '0102', new Uint8Array([1, 2])],
    [day, '02', 'tue'],
    [{ type: 'array', items: 'int' }, '04 02 04 00', [1, 2]],
    [['null', 'string'], '00', null],
    [['float', 'int', 'null'], '02 0a', 5],
    [{ type: 'long', logicalType: 'timestamp-millis' }, '02', 1n],
    [recordOf({ type: 'array', items: 'int' }), '00', { x: [] }],
  ]
  for (const [schema, hex, value] of cases) {
    assert.deepEqual(decodeHex(schema, hex), value, `${JSON.stringify(schema)} ${hex}`)
  }
})

test('compileReader() reads every long of every length', () => {
  for (let bit = 0n; bit < 63n; bit++) {
    for (const value of [1n << bit, (1n << bit) - 1n, -(1n << bit), -(1n << bit) - 1n]) {
      let raw = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
      let hex = ''
      for (; raw > 127n; raw >>= 7n) hex += Number((raw & 127n) | 128n).toString(16)
      hex += Number(raw).toString(16).padStart(2, '0')
      assert.equal(decodeHex('long', hex), value)
    }
  }
})

test('compileReader() gives maps without a prototype', () => {
  const map = decodeHex({ type: 'map', values: 'long' }, '02 12 5f5f70726f746f5f5f 02 00')
  assert(typeof map === 'object' && map !== null)
  assert.deepEqual(Object.entries(map), [['__proto__', 1n]])
})

test('compileReader() keeps the order of fields and makes __proto__ a field like any other', () => {
  const fields = ['z', '__proto__', 'a', 'constructor'].map((name) => ({ name, type: 'int' }))
  const record = decodeHex({ type: 'record', name: 'r', fields }, '02 04 06 08')
  assert(typeof record === 'object' && record !== null)
  assert.deepEqual(Object.entries(record), [
    ['z', 1],
    ['__proto__', 2],
    ['a', 3],
    ['constructor', 4],
  ])
  assert.equal(Object.getPrototypeOf(record), Object.prototype)
})

test('compileReader() reads field names that would be code', () => {
  const name = `a"]: process.exit(1), ['`
  const schema = { type: 'record', name: 'r', fields: [{ name, type: 'int' }] }
  assert.deepEqual(decodeHex(schema, '02'), { [name]: 1 })
})

test('compileReader() reads arrays in several blocks and blocks that say their size', () => {
  const array = { type: 'array', items: 'int' }
  assert.deepEqual(decodeHex(array, '02 02 04 04 06 00'), [1, 2, 3])
  assert.deepEqual(decodeHex(array, '03 04 02 04 00'), [1, 2])
  assert.throws(() => decodeHex(array, '03 06 02 04 00'), {
    ...undecodable,
    message: /a block ends at 4 and had promised 5/,
  })
})

test('compileReader() reads nested arrays of records', () => {
  const inner = { type: 'array', items: ['null', recordOf('double')] }
  const outer = { type: 'array', items: { type: 'array', items: inner } }
  assert.deepEqual(decodeHex(outer, '02 02 04 00 02 000000000000f03f 00 00 00'), [
    [[null, { x: 1 }]],
  ])
})

test('compileReader() reads a record inside itself up to a bound', () => {
  const list = { type: 'record', name: 'l', fields: [{ name: 'next', type: ['null', 'l'] }] }
  assert.deepEqual(decodeHex(list, '02 02 00'), { next: { next: { next: null } } })
  assert.throws(() => decodeHex(list, `${'02'.repeat(1000)}00`), {
    ...undecodable,
    message: /a record is nested more than 64 deep/,
  })
})

test('compileReader() takes a union index of more bytes than it needs', () => {
  assert.equal(decodeHex(['null', 'int'], '82 00 02'), 1)
})

test('compileReader() refuses what does not fit, with the value', () => {
  const day = { type: 'enum', name: 'day', symbols: ['mon', 'tue'] }
  const nothing = { type: 'array', items: 'null' }
  const empty = { type: 'record', name: 'e', fields: [] }
  const cases: [unknown, string, RegExp][] = [
    ['double', '00', /it ends at byte 1, inside a value/],
    ['long', 'ffffffff ffffffff ff02', /a long has more than 64 bits/],
    ['int', 'ffffffff 1f', /an int has more than 32 bits/],
    ['string', '08 61', /a value has a length of 4 with 1 bytes left/],
    ['string', '01', /a value has a length of -1/],
    ['string', '02 ff', /a string before byte 2 is not UTF-8/],
    ['boolean', '02', /a boolean is 2/],
    [day, '04', /there is no choice 2 of 2/],
    [['null', 'int'], '04', /there is no choice 2 of 2/],
    [['null', 'int'], '01', /there is no choice -1 of 2/],
    [{ type: 'array', items: 'int' }, '80a8d6b9 07', /a block of 1000000000 items does not fit/],
    [{ type: 'map', values: 'int' }, '80d0acf3 0e', /a block of \d+ items does not fit/],
    [nothing, '80a8d6b9 07 00', /a block has 1000000000 items without bytes/],
    [{ type: 'array', items: empty }, '80a8d6b9 07 00', /items without bytes/],
    [{ type: 'fixed', name: 'f', size: 3 }, '0102', /a fixed of 3 bytes passes the end/],
  ]
  for (const [schema, hex, message] of cases) {
    assert.throws(() => decodeHex(schema, hex), { ...undecodable, message }, String(message))
  }
})

test('compileReader() bounds values without bytes over the whole datum', () => {
  // 1000 blocks of 1000 nulls each: few enough each, too many together.
  const hex = `${'d00f'.repeat(1000)}00`
  assert.throws(() => decodeHex({ type: 'array', items: 'null' }, hex), undecodable)
})

test('compileReader() refuses a schema whose records multiply', () => {
  const fields = (type: unknown) => ['a', 'b'].map((name) => ({ name, type }))
  let schema: unknown = 'null'
  for (let i = 0; i < 40; i++) {
    const name = `r${i}`
    const [first, second] = fields(schema)
    const again = typeof schema === 'string' ? second : { name: 'b', type: `r${i - 1}` }
    schema = { type: 'record', name, fields: [first, again] }
  }
  assert.throws(() => decodeHex(schema, ''), { name: 'NightjarError', code: 'schema_illegal' })
})

test('compileReader() steps over the fields it is told to skip', () => {
  const fields = [
    { name: 'a', type: 'int' },
    { name: 'cutout', type: ['null', { type: 'array', items: 'string' }] },
    { name: 'b', type: 'int' },
  ]
  const schema = parseSchema(JSON.stringify({ type: 'record', name: 'r', fields }))
  const read = compileReader(schema, { skip: (name) => name === 'cutout' })
  const bytes = Buffer.from('0202020261000 4'.replaceAll(' ', ''), 'hex')
  assert.deepEqual(read(bytes, 0), { value: { a: 1, b: 2 }, end: 7 })
})

test('decodeDatum() begins at an offset and returns views, not copies', () => {
  const bytes = new Uint8Array([9, 9, 4, 7, 8])
  const { value, end } = decodeDatum(parseSchema('"bytes"'), bytes, 2)
  assert(value instanceof Uint8Array)
  assert.deepEqual([...value], [7, 8])
  assert.equal(value.buffer, bytes.buffer)
  assert.equal(end, 5)
})

test('compileReader() keeps strings that share a slot of its table apart', () => {
  const read = compileReader(parseSchema('"string"'))
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 20_000; i++) {
      const text = `name ${i} ${'é'.repeat(i % 3)}`
      const encoded = Buffer.from(text)
      const bytes = Buffer.concat([Buffer.from([2 * encoded.length]), encoded])
      assert.equal(read(bytes, 0).value, text)
    }
  }
})
