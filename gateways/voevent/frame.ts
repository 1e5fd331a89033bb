/** VTP's frame: four bytes of length, most significant first, then the document. */
import { NightjarError } from '../../core/errors.ts'
import type { FrameFormat } from '../frames.ts'

/** Comet's limit: a longer frame makes every Comet close the connection. */
export const mostDocumentBytes = 99_999

export const vtpFrames: FrameFormat = {
  headerBytes: 4,
  lengthIncludesHeader: false,
  bounds(header) {
    const length = header.readUInt32BE(0)
    if (length > mostDocumentBytes) {
      const swapped = header.readUInt32LE(0)
      const hint =
        swapped <= mostDocumentBytes ? `; with its bytes swapped it would be ${swapped}` : ''
      throw new NightjarError(
        'input_invalid',
        `Cannot take a frame of length ${length}: at most ${mostDocumentBytes} bytes are allowed${hint}`,
      )
    }
    return { least: 0, most: mostDocumentBytes }
  },
}

/** A document as a frame. */
export function formatFrame(document: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(4 + document.length)
  frame.writeUInt32BE(document.length, 0)
  frame.set(document, 4)
  return frame
}
