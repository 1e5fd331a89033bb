import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32, deflateRawSync, zstdCompressSync } from 'node:zlib'

import { isContainer, openContainer, splitContainer } from '../../schemas/container.ts'
import { readRecords } from '../../schemas/decode.ts'
import { encodeContainer } from '../../schemas/encode.ts'
import { encodeBlock, encodeHeader } from '../../schemas/framing.ts'

const sync = Uint8Array.from({ length: 16 }, (_, i) => i)
const schemaText = '"string"'

function containerOf(codec: 'null' | 'deflate' | 'snappy' | 'zstandard', blocks: Uint8Array[]) {
  const header = encodeHeader({ schemaText, codec, sync })
  return Buffer.concat([header, ...blocks.flatMap((data) => encodeBlock(2, data, sync))])
}

// Two strings, "night" and "jar".
const two = Buffer.from('0a6e69676874066a6172', 'hex')

function snappyOf(bytes: Uint8Array): Uint8Array {
  const crc = Buffer.alloc(4)
  crc.writeUInt32BE(crc32(bytes))
  const literal = Buffer.from([bytes.length, (bytes.length - 1) << 2])
  return Buffer.concat([literal, bytes, crc])
}

test('openContainer() reads blocks of every codec', () => {
  const packed = {
    null: two,
    deflate: deflateRawSync(two),
    snappy: snappyOf(two),
    zstandard: zstdCompressSync(two),
  }
  for (const codec of ['null', 'deflate', 'snappy', 'zstandard'] as const) {
    const bytes = containerOf(codec, [packed[codec], packed[codec]])
    const container = openContainer(bytes)
    assert.equal(container.codec, codec)
    assert.deepEqual([...container.sync], [...sync])
    assert.deepEqual([...container.metadata.keys()], ['avro.codec'])
    assert.deepEqual([...readRecords(container)], ['night', 'jar', 'night', 'jar'])
  }
})

test('openContainer() checks the sync marker before it hands a block out', () => {
  const bytes = containerOf('null', [two])
  bytes[bytes.length - 1] = 99
  assert.throws(() => [...openContainer(bytes).blocks()], {
    code: 'packet_undecodable',
    message:
      'Cannot read container: the sync marker of the block is not that of the header, ' +
      `at byte ${bytes.length - 16} of ${bytes.length}`,
  })
})

test('openContainer() tells files of one writer apart by their own sync markers', () => {
  for (const marker of [1, 2, 3]) {
    const bytes = encodeContainer(schemaText, ['x'], { sync: new Uint8Array(16).fill(marker) })
    assert.deepEqual([...openContainer(bytes).sync], [...new Uint8Array(16).fill(marker)])
    assert.deepEqual([...readRecords(openContainer(bytes))], ['x'])
  }
})

test('openContainer() refuses a snappy block whose CRC-32 is wrong', () => {
  const data = snappyOf(two)
  data[data.length - 1]! ^= 1
  assert.throws(() => [...openContainer(containerOf('snappy', [data])).blocks()], {
    code: 'packet_undecodable',
    message: /its CRC-32 is \d+, not \d+/,
  })
})

test('openContainer() refuses a snappy block that promises more than it can hold', () => {
  const data = Buffer.from('ffffff3f 00 61 00000000'.replaceAll(' ', ''), 'hex')
  assert.throws(() => [...openContainer(containerOf('snappy', [data])).blocks()], {
    code: 'packet_unbounded',
    message: /it promises 134217727 bytes, more than 132/,
  })
})

test('openContainer() refuses a deflate block that unpacks to more than 64 MiB', () => {
  const bomb = deflateRawSync(Buffer.alloc((64 << 20) + 1))
  assert.throws(() => [...openContainer(containerOf('deflate', [bomb])).blocks()], {
    code: 'packet_unbounded',
  })
})

test('openContainer() refuses more records than a block has bytes for', () => {
  const header = encodeHeader({ schemaText, codec: 'null', sync })
  const bytes = Buffer.concat([header, ...encodeBlock(1e9, two, sync)])
  assert.throws(() => [...openContainer(bytes).blocks()], {
    code: 'packet_unbounded',
    message: /1000000000 records do not fit a block of 10 bytes/,
  })
})

test('openContainer() bounds records that take no bytes', () => {
  const header = encodeHeader({ schemaText: '"null"', codec: 'null', sync })
  const none = new Uint8Array(0)
  const one = Buffer.concat([header, ...encodeBlock(1e9, none, sync)])
  assert.throws(() => [...openContainer(one).blocks()], { code: 'packet_unbounded' })
  const blocks = Array.from({ length: 70 }, () => encodeBlock(1000, none, sync)).flat()
  const many = Buffer.concat([header, ...blocks])
  assert.throws(() => [...openContainer(many).blocks()], { code: 'packet_unbounded' })
})

test('openContainer() refuses a codec it does not know, by name', () => {
  const bytes = Buffer.from(containerOf('null', [two]))
  bytes.write('lzma', bytes.indexOf('null'))
  assert.throws(() => openContainer(bytes), {
    code: 'packet_undecodable',
    message: 'Cannot read container: codec "lzma" is not known',
  })
})

test('openContainer() says what a thing begins with that is no container', () => {
  assert.equal(isContainer(Buffer.from('version ')), false)
  assert.throws(() => openContainer(Buffer.from('version ')), {
    code: 'packet_undecodable',
    message: 'Cannot read container: it begins with 76657273, not with 4f626a01, at byte 0 of 8',
  })
})

test('splitContainer() makes one container per record with the same schema and marker', () => {
  const bytes = containerOf('null', [two, two])
  const parts = splitContainer(bytes)
  assert.equal(parts.length, 4)
  assert.deepEqual(
    parts.flatMap((part) => [...readRecords(openContainer(part))]),
    ['night', 'jar', 'night', 'jar'],
  )
  for (const part of parts) {
    assert.equal(openContainer(part).schema, openContainer(bytes).schema)
    assert.deepEqual([...openContainer(part).sync], [...sync])
  }
  assert.deepEqual(splitContainer(bytes), parts)
})

test('splitContainer() unpacks what was packed', () => {
  const parts = splitContainer(containerOf('deflate', [deflateRawSync(two)]))
  assert.deepEqual(
    parts.map((part) => openContainer(part).codec),
    ['null', 'null'],
  )
  assert.deepEqual([...parts], splitContainer(containerOf('null', [two])))
})

test('splitContainer() returns a container of one record as it is and none for none', () => {
  const one = encodeContainer(schemaText, ['x'], { sync })
  assert.equal(splitContainer(one)[0], one)
  assert.deepEqual(splitContainer(encodeContainer(schemaText, [], { sync })), [])
})

test('splitContainer() throws on a record that does not end with its block', () => {
  const header = encodeHeader({ schemaText, codec: 'null', sync })
  const bytes = Buffer.concat([header, ...encodeBlock(1, two, sync)])
  assert.throws(() => splitContainer(bytes), {
    code: 'packet_undecodable',
    message: 'Cannot decode packet: the datum ends at byte 6 of 10',
  })
})
