import assert from 'node:assert/strict'
import { test } from 'node:test'

import { NightjarError } from '../../core/errors.ts'
import { createFrameReader, type FrameFormat } from '../../gateways/frames.ts'

/** As VTP frames: the length counts what follows it. */
const vtp: FrameFormat = {
  headerBytes: 4,
  lengthIncludesHeader: false,
  bounds: () => ({ least: 1, most: 99_999 }),
}

function frame(body: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(body.length)
  return Buffer.concat([length, body])
}

test('frames come out whole however they come in', () => {
  const bodies = [1, 2, 99_999, 64, 5].map((size, i) => Buffer.alloc(size, i + 65))
  const stream = Buffer.concat(bodies.map(frame))
  for (const size of [1, 2, 3, 4, 5, 17, 65_536, stream.length]) {
    const reader = createFrameReader(vtp)
    const found: Buffer[] = []
    for (let at = 0; at < stream.length; at += size) {
      reader.feed(stream.subarray(at, at + size))
      for (let one = reader.next(); one; one = reader.next()) found.push(Buffer.from(one.body))
    }
    assert.deepEqual(found, bodies, `in pieces of ${size}`)
    assert.equal(reader.held(), 0)
  }
})

test('what was fed and not yet read stays in its order', () => {
  const reader = createFrameReader(vtp)
  reader.feed(Buffer.concat([frame(Buffer.from('one')), frame(Buffer.from('two'))]))
  assert.equal(reader.next()?.body.toString(), 'one')
  reader.feed(frame(Buffer.from('three')))
  assert.equal(reader.next()?.body.toString(), 'two')
  assert.equal(reader.next()?.body.toString(), 'three')
  assert.equal(reader.next(), undefined)
})

test('a length out of bounds is refused as soon as it is there', () => {
  for (const length of [0, 100_000, 0x7fffffff, 0xffffffff]) {
    const reader = createFrameReader(vtp)
    const header = Buffer.alloc(4)
    header.writeUInt32BE(length)
    reader.feed(header.subarray(0, 3))
    assert.equal(reader.next(), undefined)
    reader.feed(header.subarray(3))
    assert.throws(() => reader.next(), NightjarError)
    assert.throws(() => reader.next(), NightjarError)
  }
})

test('a peer that announces much and sends little makes little be held', () => {
  const reader = createFrameReader(vtp)
  const header = Buffer.alloc(4)
  header.writeUInt32BE(99_999)
  reader.feed(header)
  assert.equal(reader.next(), undefined)
  assert.ok(reader.held() <= 64, String(reader.held()))
  for (let sent = 1; sent <= 1000; sent++) {
    reader.feed(Buffer.from('x'))
    assert.equal(reader.next(), undefined)
    assert.ok(reader.held() <= 2 * (sent + 4) + 64)
  }
})
