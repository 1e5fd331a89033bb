import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { NightjarError } from '../../../core/errors.ts'
import { createFrameReader } from '../../../gateways/frames.ts'
import {
  digestOf,
  formatAuth,
  formatError,
  formatInfo,
  formatPublish,
  formatSubscribe,
  formatUnsubscribe,
  hpfeedsFrames,
  maxDataBytes,
  parseMessage,
  type Message,
} from '../../../gateways/hpfeeds/protocol.ts'
import { dataDir, skipWithout } from '../../data.ts'
import { fuzz } from './fuzz.ts'

const file = join(dataDir, 'vectors/hpfeeds_frames.txt')
const skip = skipWithout(file, 'it holds frames as hpfeeds itself wrote them')

const hex = (text: string): Buffer => Buffer.from(text, 'hex')

function read(bytes: Buffer): Message[] {
  const frames = createFrameReader(hpfeedsFrames)
  const messages: Message[] = []
  frames.feed(bytes)
  for (let frame = frames.next(); frame; frame = frames.next()) messages.push(parseMessage(frame))
  return messages
}

function format(message: Message): Buffer {
  switch (message.op) {
    case 'error':
      return formatError(message.text)
    case 'info':
      return formatInfo(message.name, message.nonce)
    case 'auth':
      return formatAuth(message.ident, message.digest)
    case 'publish':
      return formatPublish(message.ident, message.channel, message.payload)
    case 'subscribe':
      return formatSubscribe(message.ident, message.channel)
    case 'unsubscribe':
      return formatUnsubscribe(message.ident, message.channel)
  }
}

test(
  'every frame that hpfeeds itself wrote is read, and written again byte by byte',
  { skip },
  () => {
    const lines = readFileSync(file, 'utf8').split('\n')
    const found = new Map<string, Message[]>()
    let count = 0
    for (const line of lines) {
      const [name = '', , what = '', bytes = ''] = line.split(' | ')
      if (line.startsWith('#') || bytes === '' || name === 'LIMIT') continue
      const [message, ...more] = read(hex(bytes))
      assert.ok(message !== undefined && more.length === 0, line)
      assert.equal(message.op, name.toLowerCase(), line)
      assert.equal(format(message).toString('hex'), bytes, line)
      found.set(what, [message])
      count++
    }
    assert.equal(count, 10)
    assert.deepEqual(found.get('ident alice, channel alerts, payload {"event":"ping"}'), [
      {
        op: 'publish',
        ident: 'alice',
        channel: 'alerts',
        payload: Buffer.from('{"event":"ping"}'),
      },
    ])
    assert.deepEqual(found.get('ident alice, channel U+2603 (3 bytes of UTF-8), payload x'), [
      { op: 'publish', ident: 'alice', channel: '☃', payload: Buffer.from('x') },
    ])
    const proof = digestOf(hex('c0458653'), 's3cret')
    assert.deepEqual(found.get('ident alice, sha1(nonce + secret)'), [
      { op: 'auth', ident: 'alice', digest: proof },
    ])
  },
)

test(
  'a length is refused below its header and above its limit, before anything is kept',
  { skip },
  () => {
    for (const line of readFileSync(file, 'utf8').split('\n')) {
      const [name = '', , what = '', bytes = ''] = line.split(' | ')
      if (name !== 'LIMIT') continue
      const frames = createFrameReader(hpfeedsFrames)
      frames.feed(hex(bytes))
      if (/delivered/.test(what)) assert.equal(frames.next(), undefined, line)
      else assert.throws(() => frames.next(), NightjarError, line)
      assert.ok(frames.held() < 100, line)
    }
  },
)

test('a publish of exactly 1 MiB goes through, one byte more is refused by either side', () => {
  for (const channel of ['chan', '☃']) {
    const names = 1 + 5 + 1 + Buffer.byteLength(channel)
    const payload = Buffer.alloc(maxDataBytes - names, 7)
    const frame = formatPublish('alice', channel, payload)
    assert.equal(frame.length, 5 + (1 << 20))
    assert.deepEqual(read(frame), [{ op: 'publish', ident: 'alice', channel, payload }])
    assert.throws(() => formatPublish('alice', channel, Buffer.alloc(payload.length + 1)), {
      code: 'message_too_large',
      message:
        'Cannot send 1048577 bytes as one message: hpfeeds takes 1048576, ident and channel included',
    })
  }
})

test('what is no message is refused with what is wrong', () => {
  const faults: [string, string][] = [
    ['0000000003', 'Cannot take a frame of length 0: its body may have 2 to 1048576 bytes'],
    ['0000000509', 'Cannot take opcode 9: hpfeeds has 0 to 5'],
    ['00000007030561', 'Cannot read ident: it ends at byte 6 of a body of 2'],
    ['00000008030161ff', 'Cannot read channel: it ends at byte 258 of a body of 3'],
    ['0000000903016102fe', 'Cannot read channel: it ends at byte 5 of a body of 4'],
    ['000000080401 61ff'.replace(' ', ''), 'Cannot read channel: it is no UTF-8'],
    ['0000011a02', 'Cannot take a frame of length 282: its body may have 1 to 276 bytes'],
  ]
  for (const [bytes, message] of faults) {
    assert.throws(() => read(hex(bytes)), { code: 'input_invalid', message }, bytes)
  }
})

test('100,000 conversations with something wrong in them: read or refused, whole or in pieces', () => {
  const before = process.memoryUsage().heapUsed
  const { messages, refused, inputs } = fuzz({ inputs: 100_000, seed: 20261121 })
  assert.ok(messages > inputs, `${messages} messages`)
  assert.ok(refused > inputs / 5 && refused < inputs * 0.9, `${refused} refused`)
  assert.ok(process.memoryUsage().heapUsed - before < 200e6)
})
