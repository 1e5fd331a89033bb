/** A FITS image as ZTF cuts it: one HDU, 32-bit floats, seven cards, gzipped. */
import { constants, gzipSync } from 'node:zlib'

const block = 2880
const headers = new Map<string, Buffer>()

/**
 * Write an image as gzipped FITS. The gzip header carries `seconds` (Unix time) and says Unix, and
 * the strategy is run lengths only, which leaves the compressor no choice: equal on every machine.
 */
export function gzippedFits(image: Float32Array, width: number, seconds: number): Uint8Array {
  const height = image.length / width
  const header = headerOf(width, height)
  const size = header.length + Math.ceil((image.length * 4) / block) * block
  const file = Buffer.alloc(size)
  header.copy(file)
  const pixels = file.subarray(header.length, header.length + image.length * 4)
  pixels.set(new Uint8Array(image.buffer, image.byteOffset, image.byteLength))
  pixels.swap32()

  const packed = gzipSync(file, { level: 6, strategy: constants.Z_RLE })
  packed.writeUInt32LE(seconds >>> 0, 4)
  packed[8] = 0
  packed[9] = 3
  return packed
}

function headerOf(width: number, height: number): Buffer {
  const name = `${width}x${height}`
  const known = headers.get(name)
  if (known) return known
  const cards = [
    'SIMPLE  =                    T',
    'BITPIX  =                  -32',
    'NAXIS   =                    2',
    `NAXIS1  =${String(width).padStart(21)}`,
    `NAXIS2  =${String(height).padStart(21)}`,
    "BUNIT   = 'DN      '",
    'END',
  ]
  const text = cards
    .map((card) => card.padEnd(80))
    .join('')
    .padEnd(block)
  const header = Buffer.from(text, 'ascii')
  headers.set(name, header)
  return header
}
