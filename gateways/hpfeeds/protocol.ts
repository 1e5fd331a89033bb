/**
 * The messages of hpfeeds, to and from frames. A frame is a 32-bit length that counts itself, an opcode
 * and data; names stand behind a byte that counts them, but the channel of SUBSCRIBE and UNSUBSCRIBE
 * takes all that is left. Text is UTF-8.
 */
import { isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'

import { NightjarError } from '../../core/errors.ts'
import type { Frame, FrameFormat } from '../frames.ts'

export const opcodes = {
  error: 0,
  info: 1,
  auth: 2,
  publish: 3,
  subscribe: 4,
  unsubscribe: 5,
} as const

export type Message =
  | { op: 'error'; text: string }
  | { op: 'info'; name: string; nonce: Buffer }
  | { op: 'auth'; ident: string; digest: Buffer }
  | Publish
  | { op: 'subscribe' | 'unsubscribe'; ident: string; channel: string }

export interface Publish {
  op: 'publish'
  ident: string
  channel: string
  payload: Buffer
}

export const headerBytes = 5
/** Bytes behind the header of a publish: both names, the bytes that count them, and the payload. */
export const maxDataBytes = 1 << 20
/** Two names at most, or one and a digest. */
const maxGreetingBytes = 1 + 255 + 20

/** What a body may have by its opcode. A name takes at least the byte that counts it. */
const bounds: Readonly<Record<number, { least: number; most: number }>> = {
  [opcodes.error]: { least: 0, most: maxDataBytes },
  [opcodes.info]: { least: 1, most: maxGreetingBytes },
  [opcodes.auth]: { least: 1, most: maxGreetingBytes },
  [opcodes.publish]: { least: 2, most: maxDataBytes },
  // The library of 2013 allowed 512 bytes, that of 2023 the same as a publish less its header.
  [opcodes.subscribe]: { least: 1, most: maxDataBytes - headerBytes },
  [opcodes.unsubscribe]: { least: 1, most: maxDataBytes - headerBytes },
}

export const hpfeedsFrames: FrameFormat = {
  headerBytes,
  lengthIncludesHeader: true,
  bounds(header) {
    const found = bounds[opcodeOf(header)]
    if (found !== undefined) return found
    throw new NightjarError(
      'input_invalid',
      `Cannot take opcode ${opcodeOf(header)}: hpfeeds has 0 to 5`,
    )
  },
}

/** The opcode of a frame's header. */
export const opcodeOf = (header: Buffer): number => header[4] ?? -1

/** Read a message. Throws `input_invalid` where the frame holds none. */
export function parseMessage({ header, body }: Frame): Message {
  switch (opcodeOf(header)) {
    case opcodes.error:
      return { op: 'error', text: body.toString() }
    case opcodes.info: {
      const [name, at] = nameAt(body, 0, 'broker name')
      return { op: 'info', name, nonce: body.subarray(at) }
    }
    case opcodes.auth: {
      const [ident, at] = nameAt(body, 0, 'ident')
      return { op: 'auth', ident, digest: body.subarray(at) }
    }
    case opcodes.publish: {
      const [ident, middle] = nameAt(body, 0, 'ident')
      const [channel, at] = nameAt(body, middle, 'channel')
      return { op: 'publish', ident, channel, payload: body.subarray(at) }
    }
    case opcodes.subscribe:
    case opcodes.unsubscribe: {
      const [ident, at] = nameAt(body, 0, 'ident')
      const op = opcodeOf(header) === opcodes.subscribe ? 'subscribe' : 'unsubscribe'
      return { op, ident, channel: textOf(body.subarray(at), 'channel') }
    }
    default:
      throw new NightjarError('input_invalid', `Cannot read opcode ${opcodeOf(header)}`)
  }
}

/** The text behind a counting byte, and where what follows begins. */
function nameAt(body: Buffer, at: number, what: string): [string, number] {
  const end = at + 1 + (body[at] ?? Infinity)
  if (end > body.length) {
    throw new NightjarError(
      'input_invalid',
      `Cannot read ${what}: it ends at byte ${end} of a body of ${body.length}`,
    )
  }
  return [textOf(body.subarray(at + 1, end), what), end]
}

function textOf(bytes: Buffer, what: string): string {
  if (isUtf8(bytes)) return bytes.toString()
  throw new NightjarError('input_invalid', `Cannot read ${what}: it is no UTF-8`)
}

/** What proves a secret: SHA-1 over nonce and secret. */
export function digestOf(nonce: Buffer, secret: string): Buffer {
  return createHash('sha1').update(nonce).update(secret).digest()
}

/** An ERROR with a text for people. */
export const formatError = (text: string): Buffer => format(opcodes.error, [], Buffer.from(text))

/** The INFO that a broker greets with. */
export const formatInfo = (name: string, nonce: Buffer): Buffer =>
  format(opcodes.info, [name], nonce)

/** The AUTH that answers it. */
export const formatAuth = (ident: string, digest: Buffer): Buffer =>
  format(opcodes.auth, [ident], digest)

/** A PUBLISH. Throws `message_too_large` above 1 MiB of names and payload together. */
export const formatPublish = (ident: string, channel: string, payload: Uint8Array): Buffer =>
  format(opcodes.publish, [ident, channel], payload)

export const formatSubscribe = (ident: string, channel: string): Buffer =>
  format(opcodes.subscribe, [ident], Buffer.from(channel))

export const formatUnsubscribe = (ident: string, channel: string): Buffer =>
  format(opcodes.unsubscribe, [ident], Buffer.from(channel))

function format(opcode: number, names: readonly string[], rest: Uint8Array): Buffer {
  let length = headerBytes + rest.length
  for (const name of names) length += 1 + Buffer.byteLength(name)
  if (length > headerBytes + maxDataBytes) {
    throw new NightjarError(
      'message_too_large',
      `Cannot send ${length - headerBytes} bytes as one message: hpfeeds takes ${maxDataBytes}, ` +
        'ident and channel included',
    )
  }
  const frame = Buffer.allocUnsafe(length)
  frame.writeUInt32BE(length, 0)
  frame[4] = opcode
  let at = headerBytes
  for (const name of names) {
    const bytes = frame.write(name, at + 1)
    if (bytes > 255) {
      throw new NightjarError('input_invalid', `Cannot send a name of ${bytes} bytes: 255 at most`)
    }
    frame[at] = bytes
    at += 1 + bytes
  }
  frame.set(rest, at)
  return frame
}
