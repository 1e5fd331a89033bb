/**
 * Fuzzing of the hpfeeds codec by its structure: whole conversations with lengths, opcodes, counting
 * bytes and cuts put wrong, fed in pieces of any size.
 *
 *     node test/gateways/hpfeeds/fuzz.ts --inputs 1000000 [--seed 1]
 */
import assert from 'node:assert/strict'
import { parseArgs } from 'node:util'

import { NightjarError } from '../../../core/errors.ts'
import { createFrameReader } from '../../../gateways/frames.ts'
import {
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

export interface FuzzReport {
  inputs: number
  /** Messages that were read whole. */
  messages: number
  /** Inputs that were refused. */
  refused: number
  seconds: number
}

/** A small seeded generator (mulberry32), so that a failure can be met again. */
export function random(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

type Random = (below: number) => number

const names = ['', 'a', 'alice', 'chan1', '☃', 'x'.repeat(255), '\0', 'é\u{1F52D}']

/** One frame that is right. */
export function anyFrame(next: Random): Buffer {
  const name = (): string => names[next(names.length)] ?? ''
  const bytes = (most: number): Buffer => Buffer.alloc(next(most), next(256))
  switch (next(6)) {
    case 0:
      return formatError(name())
    case 1:
      return formatInfo(name(), bytes(20))
    case 2:
      return formatAuth(name(), bytes(21))
    case 3:
      return formatSubscribe(name(), name())
    case 4:
      return formatUnsubscribe(name(), name())
    default:
      return formatPublish(name(), name(), bytes(next(50) === 0 ? 5000 : 60))
  }
}

const lengths = [0, 1, 4, 5, 6, 255, 281, 282, 0x7fffffff, 0x80000000, 0xffffffff]
const limits = [maxDataBytes - 1, maxDataBytes, maxDataBytes + 5, maxDataBytes + 6]

/** Put something wrong in a frame, in place or by length. */
function spoil(frame: Buffer, next: Random): Buffer {
  switch (next(6)) {
    case 0:
      frame.writeUInt32BE([...lengths, ...limits][next(lengths.length + limits.length)] ?? 0, 0)
      return frame
    case 1:
      frame.writeUInt32BE((frame.length + next(9) - 4) >>> 0, 0)
      return frame
    case 2:
      frame[4] = next(4) === 0 ? next(256) : next(8)
      return frame
    case 3:
      // The byte that counts the first name.
      if (frame.length > 5) frame[5] = next(256)
      return frame
    case 4:
      return frame.subarray(0, next(frame.length + 1))
    default:
      if (frame.length > 0) frame[next(frame.length)] = next(256)
      return frame
  }
}

/** A conversation, of which now and then something is wrong. */
export function anyConversation(next: Random): Buffer {
  const frames = Array.from({ length: 1 + next(5) }, () => {
    const frame = Buffer.from(anyFrame(next))
    return next(3) === 0 ? spoil(frame, next) : frame
  })
  return Buffer.concat(frames)
}

interface Reading {
  messages: Message[]
  refused: string | undefined
}

/** Read in pieces of at most so many bytes. Anything but a message or a refusal is thrown. */
function read(input: Buffer, next: Random, most: number): Reading {
  const frames = createFrameReader(hpfeedsFrames)
  const messages: Message[] = []
  for (let at = 0; at < input.length;) {
    const size = 1 + next(most)
    frames.feed(input.subarray(at, at + size))
    at += size
    try {
      for (let frame = frames.next(); frame; frame = frames.next()) {
        messages.push(parseMessage(frame))
      }
    } catch (error) {
      if (!(error instanceof NightjarError)) throw error
      return { messages, refused: error.message }
    }
    assert.ok(
      frames.held() <= 2 * Math.min(at, input.length) + 64,
      `${frames.held()} bytes are held`,
    )
  }
  return { messages, refused: undefined }
}

/** Feed this many inputs, each whole and in pieces, which must come to the same. */
export function fuzz({ inputs, seed }: { inputs: number; seed: number }): FuzzReport {
  const next = random(seed)
  const report: FuzzReport = { inputs, messages: 0, refused: 0, seconds: 0 }
  const began = performance.now()
  for (let i = 0; i < inputs; i++) {
    const input = anyConversation(next)
    try {
      const whole = read(input, () => input.length, 1)
      const pieces = read(input, next, [1, 3, 7, 100, 5000][next(5)] ?? 1)
      assert.equal(pieces.refused, whole.refused)
      assert.equal(pieces.messages.length, whole.messages.length)
      if (i % 16 === 0) assert.deepEqual(pieces.messages, whole.messages)
      report.messages += whole.messages.length
      if (whole.refused !== undefined) report.refused++
    } catch (cause) {
      throw new Error(`Input ${i} of seed ${seed} fails: ${input.toString('hex')}`, { cause })
    }
  }
  report.seconds = (performance.now() - began) / 1000
  return report
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      inputs: { type: 'string', default: '1000000' },
      seed: { type: 'string', default: '1' },
    },
  })
  const { inputs, messages, refused, seconds } = fuzz({
    inputs: Number(values.inputs),
    seed: Number(values.seed),
  })
  const mb = Math.round(process.memoryUsage().rss / 1e6)
  process.stdout.write(
    `hpfeeds codec: ${inputs} inputs in ${seconds.toFixed(1)} s, ${messages} messages read, ` +
      `${refused} inputs refused, none crashed; ${mb} MB\n`,
  )
}
