/**
 * A zip that is the same for the same files, whoever makes it and when: names in order, no dates, no
 * owners (PKWARE APPNOTE 6.3.10, sections 4.3 to 4.5). For the bundles of functions: small, no zip64.
 */
import { crc32, deflateRawSync } from 'node:zlib'

import { NightjarError } from '../core/errors.ts'

export interface ZipEntry {
  /** Path in the archive, with forward slashes. */
  name: string
  data: Uint8Array
}

const version = 20
const deflated = 8
const utf8Names = 0x0800
/** 1980-01-01, the first date that a zip can say. */
const firstDate = (1 << 5) | 1
/** Made on Unix, so that the mode is read: a regular file, rw-r--r--. */
const madeBy = (3 << 8) | version
const mode = 0o100644 << 16

/** Pack files. Throws `input_invalid` for a name twice or more than a plain zip can hold. */
export function packZip(files: readonly ZipEntry[]): Uint8Array {
  const entries = files.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const parts: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  let before: string | undefined
  for (const { name, data } of entries) {
    if (name === before) throw refused(`"${name}" is there twice`)
    before = name
    const path = Buffer.from(name)
    const packed = deflateRawSync(data, { level: 9 })
    const facts = factsOf(data, packed, path)
    const local = Buffer.concat([words([4, 0x04034b50]), facts, words([2, 0]), path])
    directory.push(
      words([4, 0x02014b50], [2, madeBy]),
      facts,
      words([2, 0], [2, 0], [2, 0], [2, 0], [4, mode >>> 0], [4, offset]),
      path,
    )
    parts.push(local, packed)
    offset += local.length + packed.length
  }
  if (entries.length >= 0xffff || offset >= 0xffffffff) {
    throw refused(`${entries.length} files of ${offset} bytes are too many`)
  }
  const central = Buffer.concat(directory)
  const end = words(
    [4, 0x06054b50],
    [2, 0],
    [2, 0],
    [2, entries.length],
    [2, entries.length],
    [4, central.length],
    [4, offset],
    [2, 0],
  )
  return Buffer.concat([...parts, central, end])
}

/** What the local header and the central directory say alike, up to the length of the name. */
function factsOf(data: Uint8Array, packed: Uint8Array, path: Uint8Array): Buffer {
  return words(
    [2, version],
    [2, utf8Names],
    [2, deflated],
    [2, 0],
    [2, firstDate],
    [4, crc32(data)],
    [4, packed.length],
    [4, data.length],
    [2, path.length],
  )
}

/** Little-endian numbers, each with its bytes. */
function words(...numbers: [bytes: number, value: number][]): Buffer {
  const buffer = Buffer.alloc(numbers.reduce((sum, [bytes]) => sum + bytes, 0))
  let at = 0
  for (const [bytes, value] of numbers) at = buffer.writeUIntLE(value, at, bytes)
  return buffer
}

function refused(why: string): NightjarError {
  return new NightjarError('input_invalid', `Cannot pack a zip: ${why}`)
}
