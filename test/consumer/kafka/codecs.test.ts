import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import * as zlib from 'node:zlib'

import { registerCodecs, type Codec } from '../../../consumer/kafka/codecs.ts'
import { unpackLz4, xxh32 } from '../../../consumer/kafka/lz4.ts'
import { refusedHeader } from '../../../consumer/kafka/record-batch.ts'
import { unpackSnappy } from '../../../consumer/kafka/xerial.ts'
import { crc32c } from '../../../core/crc32c.ts'
import { createRandom } from '../../../simulator/random.ts'

/** A frame around blocks, as the format has it; `packed` blocks are taken as they are. */
function frame(
  blocks: { bytes: Uint8Array; packed?: boolean }[],
  { flags = 0x60, sizes = 0x40, size = undefined as bigint | undefined, sum = true } = {},
): Buffer {
  const descriptor = [flags | (size === undefined ? 0 : 8), sizes]
  const content = Buffer.alloc(size === undefined ? 0 : 8)
  if (size !== undefined) content.writeBigUInt64LE(size)
  const head = Buffer.concat([Buffer.from(descriptor), content])
  const parts: Uint8Array[] = [
    Buffer.from([0x04, 0x22, 0x4d, 0x18]),
    head,
    Buffer.from([((xxh32(head) >>> 8) & 255) ^ (sum ? 0 : 1)]),
  ]
  for (const { bytes, packed = false } of blocks) {
    const word = Buffer.alloc(4)
    word.writeUInt32LE((bytes.length | (packed ? 0 : 0x80000000)) >>> 0)
    parts.push(word, bytes)
  }
  parts.push(Buffer.alloc(4))
  return Buffer.concat(parts)
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')
const limit = 1 << 20

suite('LZ4', () => {
  test('xxh32() gives the published values', () => {
    assert.equal(xxh32(Buffer.from('')), 0x02cc5d05)
    assert.equal(xxh32(Buffer.from('a')), 0x550d7456)
    assert.equal(xxh32(Buffer.from('abc')), 0x32d153ff)
    assert.equal(xxh32(Buffer.from('Nobody inspects the spammish repetition')), 0xe2293b2f)
  })

  test('stored blocks, copies that overlap, joined and skippable frames', () => {
    const run = Buffer.from([0x1f, 0x61, 0x01, 0x00, 0x05, 0x50, 0x62, 0x63, 0x64, 0x65, 0x66])
    const frames = Buffer.concat([
      frame([{ bytes: Buffer.from('hello ') }]),
      Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9]),
      frame([{ bytes: run, packed: true }]),
    ])
    assert.equal(text(unpackLz4(frames, limit)), `hello ${'a'.repeat(25)}bcdef`)
  })

  const refused: [string, Uint8Array, RegExp][] = [
    ['nothing', new Uint8Array(), /has no header/],
    ['another format', Buffer.alloc(20, 1), /no LZ4 frame/],
    ['a wrong header checksum', frame([], { sum: false }), /header's checksum/],
    ['an unknown block size', frame([], { sizes: 0x30 }), /block size/],
    ['reserved bits', frame([], { flags: 0x62 }), /reserved bits/],
    ['a promise above the limit', frame([], { size: 1n << 40n }), /at most 1048576/],
    ['a promise that is not kept', frame([{ bytes: Buffer.from('ab') }], { size: 3n }), /promises/],
    [
      'a copy from before the beginning',
      frame([{ bytes: Buffer.from([0x10, 0x61, 0x05, 0x00, 0x00]), packed: true }]),
      /reaches 5 back/,
    ],
    [
      'a copy of offset 0',
      frame([{ bytes: Buffer.from([0x10, 0x61, 0x00, 0x00, 0x00]), packed: true }]),
      /reaches 0 back/,
    ],
    [
      'literals past the end',
      frame([{ bytes: Buffer.from([0xf0, 0xff, 0x10]), packed: true }]),
      /pass the end/,
    ],
    [
      'a length without an end',
      frame([{ bytes: Buffer.from([0xf0, 0xff]), packed: true }]),
      /inside a length/,
    ],
    [
      'a block that goes on for ever',
      frame([
        {
          bytes: Buffer.from([0x1f, 0x61, 1, 0, ...Array<number>(3000).fill(255), 0, 0]),
          packed: true,
        },
      ]),
      /longer than 65536/,
    ],
  ]
  for (const [what, bytes, why] of refused) {
    test(`${what} is refused`, () => assert.throws(() => unpackLz4(bytes, limit), why))
  }

  test('many blocks stop at the limit', () => {
    const bomb = Buffer.from([
      0x1f,
      0x61,
      1,
      0,
      ...Array<number>(250).fill(255),
      0,
      0x50,
      1,
      2,
      3,
      4,
      5,
    ])
    const blocks = Array.from({ length: 100 }, () => ({ bytes: bomb, packed: true }))
    assert.throws(() => unpackLz4(frame(blocks), limit), /at most 1048576/)
  })
})

suite('snappy', () => {
  const raw = Buffer.from([5, 16, ...Buffer.from('hello')])
  const chunk = (bytes: Uint8Array): Buffer => {
    const length = Buffer.alloc(4)
    length.writeInt32BE(bytes.length)
    return Buffer.concat([length, bytes])
  }
  const head = Buffer.from([0x82, ...Buffer.from('SNAPPY'), 0, 0, 0, 0, 1, 0, 0, 0, 1])

  test('raw, and in chunks', () => {
    assert.equal(text(unpackSnappy(raw, limit)), 'hello')
    const stream = Buffer.concat([head, chunk(raw), chunk(raw), head, chunk(raw)])
    assert.equal(text(unpackSnappy(stream, limit)), 'hellohellohello')
  })

  test('chunks that pass the end or the limit are refused', () => {
    assert.throws(() => unpackSnappy(Buffer.concat([head, chunk(raw).subarray(0, 6)]), limit))
    assert.throws(() => unpackSnappy(Buffer.concat([head, Buffer.alloc(4, 255)]), limit))
    const twice = Buffer.concat([head, chunk(raw), chunk(raw)])
    assert.throws(() => unpackSnappy(twice, 9), /more than 4/)
  })
})

suite('the codecs of kafkajs', () => {
  const codecs: Record<number, () => Codec> = {}
  registerCodecs(codecs as Record<number, () => unknown>, { limit })
  const codecOf = (number: number): Codec => {
    const make = codecs[number]
    assert.ok(make)
    return make()
  }

  /** One record with this value, without a key. */
  function record(value: Uint8Array): Buffer {
    const zigzag = (given: number): Buffer => {
      let rest = given * 2
      const bytes = []
      for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest & 127) | 128)
      return Buffer.from([...bytes, rest])
    }
    const body = Buffer.concat([
      Buffer.from([0, 0, 0, 1]),
      zigzag(value.length),
      value,
      Buffer.from([0]),
    ])
    return Buffer.concat([zigzag(body.length), body])
  }

  /** The end of a batch, with its head before it in memory. */
  function batch(packed: Uint8Array, number: number, count: number, damage = false): Buffer {
    const whole = Buffer.alloc(61 + packed.length)
    whole.writeBigInt64BE(1000n, 0)
    whole.writeInt32BE(whole.length - 12, 8)
    whole[16] = 2
    whole.writeInt16BE(number, 21)
    whole.writeInt32BE(count - 1, 23)
    whole.writeInt32BE(count, 57)
    whole.set(packed, 61)
    whole.writeUInt32BE(crc32c(whole.subarray(21)), 17)
    if (damage) whole[70] = (whole[70] ?? 0) ^ 4
    return whole.subarray(61)
  }

  const one = record(Buffer.alloc(500, 'x'))
  const packers: [string, number, (bytes: Uint8Array) => Uint8Array][] = [
    ['gzip', 1, (bytes) => zlib.gzipSync(bytes)],
    ['zstd', 4, (bytes) => zlib.zstdCompressSync(bytes)],
    ['lz4', 3, (bytes) => frame([{ bytes }])],
  ]

  for (const [name, number, pack] of packers) {
    test(`${name}: a batch is unpacked`, async () => {
      const found = await codecOf(number).decompress(batch(pack(one), number, 1))
      assert.deepEqual(found, one)
    })

    test(`${name}: what unpacks to more than the limit is refused, record by record`, async () => {
      const large = pack(record(Buffer.alloc(2 << 20)))
      const found = await codecOf(number).decompress(batch(large, number, 3))
      assert.equal(text(found).split(refusedHeader).length, 4)
    })
  }

  test('a batch that comes damaged is asked for again, but not for ever', async () => {
    const damaged = batch(zlib.gzipSync(one), 1, 2, true)
    await assert.rejects(codecOf(1).decompress(damaged), /checksum is wrong/)
    await assert.rejects(codecOf(1).decompress(damaged), /checksum is wrong/)
    const found = await codecOf(1).decompress(damaged)
    assert.match(text(found), /came damaged 3 times/)
  })

  test('records that do not hold together are refused', async () => {
    const broken = Buffer.from(one)
    broken[0] = 200
    const found = await codecOf(1).decompress(batch(zlib.gzipSync(broken), 1, 1))
    assert.match(text(found), new RegExp(refusedHeader))
  })

  test('bytes turned at random end in bounds, and in time', async () => {
    const random = createRandom('codecs')
    const noise = Buffer.concat([
      randomBytes(2000),
      readFileSync(existsSync('/bin/sh') ? '/bin/sh' : process.execPath).subarray(0, 20_000),
    ])
    const seeds: [(bytes: Uint8Array) => Uint8Array | Promise<Uint8Array>, Uint8Array][] = [
      [
        (bytes) => unpackLz4(bytes, limit),
        frame([
          { bytes: Buffer.from([0x1f, 0x61, 1, 0, 5, 0x50, 1, 2, 3, 4, 5]), packed: true },
          { bytes: noise.subarray(0, 3000) },
        ]),
      ],
      [(bytes) => unpackSnappy(bytes, limit), Buffer.from([5, 16, ...Buffer.from('hello')])],
      ...packers.map(([, number, pack]): (typeof seeds)[0] => [
        (bytes) => codecOf(number).decompress(batch(bytes, number, 2)),
        pack(Buffer.concat([record(noise), one])),
      ]),
    ]
    for (const [unpack, seed] of seeds) {
      for (let turn = 0; turn < 1500; turn++) {
        let bytes = Buffer.from(seed)
        const flips = 1 + random.whole(4)
        for (let i = 0; i < flips; i++)
          bytes[random.whole(Math.min(bytes.length, 300))] = random.whole(256)
        if (random.chance(0.3)) bytes = bytes.subarray(0, random.whole(bytes.length))
        const begun = performance.now()
        try {
          const found = await unpack(bytes)
          assert.ok(found.length <= limit)
        } catch (error) {
          assert.ok(error instanceof Error && error.name !== 'AssertionError', String(error))
        }
        assert.ok(performance.now() - begun < 1000)
      }
    }
  })
})
