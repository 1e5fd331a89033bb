/**
 * Frames: a big-endian 32-bit length first, then what it counts. VTP has nothing else before the body;
 * hpfeeds counts the header in and has an opcode behind the length. A length outside its bounds is
 * refused as soon as it is read, before anything is kept for it.
 */
import { NightjarError } from '../core/errors.ts'

export interface FrameFormat {
  /** Bytes before the body, of which the first four are the length. */
  headerBytes: number
  lengthIncludesHeader: boolean
  /** What a body of this header may have in bytes. Throws where the header itself is refused. */
  bounds(header: Buffer): { least: number; most: number }
}

export interface Frame {
  header: Buffer
  body: Buffer
}

export interface FrameReader {
  /** Take in what came from the peer, in pieces of any size. */
  feed(bytes: Buffer): void
  /**
   * The next whole frame, if there is one. Throws `input_invalid` where the peer broke the rules;
   * nothing can be read after that.
   */
  next(): Frame | undefined
  /** Bytes that are held of what is not a whole frame yet. */
  held(): number
}

const nothing = Buffer.alloc(0)
const firstBytes = 64

/**
 * Make a reader of frames. What it holds of an unfinished frame is at most twice what came of it,
 * whatever length the peer announced.
 */
export function createFrameReader(format: FrameFormat): FrameReader {
  const { headerBytes } = format
  let chunk: Buffer = nothing
  let at = 0
  /** The start of a frame whose rest has not come yet: `filled` bytes of it are there. */
  let partial: Buffer = nothing
  let filled = 0

  /** Bytes of the whole frame whose header stands at a place. */
  function sizeOf(bytes: Buffer, from: number): number {
    const length = bytes.readUInt32BE(from)
    const size = format.lengthIncludesHeader ? length - headerBytes : length
    const { least, most } = format.bounds(bytes.subarray(from, from + headerBytes))
    if (size < least || size > most) {
      throw new NightjarError(
        'input_invalid',
        `Cannot take a frame of length ${length}: its body may have ${least} to ${most} bytes`,
      )
    }
    return headerBytes + size
  }

  const frameAt = (bytes: Buffer, from: number, size: number): Frame => ({
    header: bytes.subarray(from, from + headerBytes),
    body: bytes.subarray(from + headerBytes, from + size),
  })

  /** Move bytes to the unfinished frame until it has this many; true when it has. */
  function fillTo(size: number): boolean {
    const count = Math.min(size - filled, chunk.length - at)
    if (partial.length < filled + count) {
      const room = Math.max(firstBytes, 2 * (filled + count))
      const grown = Buffer.allocUnsafeSlow(Math.max(headerBytes, Math.min(size, room)))
      partial.copy(grown, 0, 0, filled)
      partial = grown
    }
    chunk.copy(partial, filled, at, at + count)
    filled += count
    at += count
    return filled === size
  }

  /** Let go of what was read, so that an idle reader holds nothing. */
  function forgetRead(): void {
    if (at < chunk.length) return
    chunk = nothing
    at = 0
  }

  return {
    feed(bytes) {
      chunk = at === chunk.length ? bytes : Buffer.concat([chunk.subarray(at), bytes])
      at = 0
    },
    next() {
      if (filled === 0) {
        const left = chunk.length - at
        if (left === 0) return undefined
        if (left >= headerBytes) {
          const size = sizeOf(chunk, at)
          if (left >= size) {
            const frame = frameAt(chunk, at, size)
            at += size
            forgetRead()
            return frame
          }
        }
      }
      const whole = (filled >= headerBytes || fillTo(headerBytes)) && fillTo(sizeOf(partial, 0))
      forgetRead()
      if (!whole) return undefined
      const frame = frameAt(partial, 0, filled)
      partial = nothing
      filled = 0
      return frame
    },
    held: () => partial.length + chunk.length - at,
  }
}
