import { NightjarError } from '../core/errors.ts'
import { parseCodec, unpack } from './codec.ts'
import type { Codec } from './codec.ts'
import { maxFreeValues } from './cursor.ts'
import { checkEnd, compileSkipper } from './decode.ts'
import { encodeBlock, encodeHeader, syncBytes } from './framing.ts'
import { parseSchema } from './schema.ts'
import type { Schema } from './schema.ts'
import { costOf } from './sizes.ts'

/** Some records of a container; `data` is unpacked, and a view where nothing was packed. */
export interface Block {
  count: number
  data: Uint8Array
}

/** A block and where the next one begins. */
export interface PlacedBlock extends Block {
  next: number
}

/** An Avro object container, opened. */
export interface Container {
  schema: Schema
  codec: Codec
  /** The sixteen bytes after the header and after every block. */
  sync: Uint8Array
  /** What the writer put beside the schema. */
  metadata: ReadonlyMap<string, Uint8Array>
  /** Length of the header with its sync marker: the position of the first block. */
  headerBytes: number
  /** The blocks in order, each checked by the sync marker behind it before it is handed out. */
  blocks(): Generator<Block, void, undefined>
  /** The block at a position, or undefined at the end of the container. */
  blockAt(position: number): PlacedBlock | undefined
}

/** The part of a header that files of one writer share: all but the sync marker. */
export interface Header {
  /** The bytes up to the sync marker. */
  bytes: Buffer
  /** Where the text of the schema begins. */
  schemaAt: number
  schema: Schema
  codec: Codec
  metadata: ReadonlyMap<string, Uint8Array>
}

const magic = [0x4f, 0x62, 0x6a, 0x01]
const maxEntries = 1000
const maxRecent = 32
const maxRecentBytes = 256 << 10

// Most packets begin with the very bytes of the one before, and comparing 25 kB takes a microsecond.
const recent: Header[] = []

/** True where the bytes begin as an Avro object container does: `Obj` and 1. */
export function isContainer(bytes: Uint8Array): boolean {
  return magic.every((byte, i) => bytes[i] === byte)
}

/**
 * Open a container. The header is read, or recognised as one of the last few; blocks are read when
 * they are asked for. Throws `packet_undecodable`, `packet_unbounded` or `schema_illegal`.
 */
export function openContainer(bytes: Uint8Array): Container {
  const header = headerOf(bytes)
  const { schema, codec } = header
  const headerBytes = header.bytes.length + syncBytes
  if (headerBytes > bytes.byteLength)
    throw undecodable(bytes, header.bytes.length, 'no sync marker')
  return {
    schema,
    codec,
    sync: bytes.subarray(headerBytes - syncBytes, headerBytes),
    metadata: header.metadata,
    headerBytes,
    blocks,
    blockAt: (position) => blockAt(bytes, header, position),
  }

  function* blocks(): Generator<Block, void, undefined> {
    let free = 0
    let position = headerBytes
    for (;;) {
      const block = blockAt(bytes, header, position)
      if (!block) return
      if (block.data.byteLength === 0 && (free += block.count) > maxFreeValues) {
        throw unbounded(bytes, position, `${free} records take no bytes`)
      }
      position = block.next
      yield block
    }
  }
}

/**
 * Make one container per record, each uncompressed, with the same schema and sync marker, so that
 * the same bytes always give the same packets. A container of one uncompressed record is returned as
 * it is; one of no record gives none. Every record is walked, so damage throws.
 */
export function splitContainer(bytes: Uint8Array): Uint8Array[] {
  const { schema, codec, sync, metadata, headerBytes, blocks } = openContainer(bytes)
  const skip = compileSkipper(schema)
  const data: Uint8Array[] = []
  for (const block of blocks()) {
    let position = 0
    for (let n = 0; n < block.count; n++) {
      const end = skip(block.data, position)
      data.push(block.data.subarray(position, end))
      position = end
    }
    checkEnd(block.data, position)
  }
  if (data.length === 1 && codec === 'null') return [bytes]

  const header =
    codec === 'null'
      ? bytes.subarray(0, headerBytes)
      : encodeHeader({ schemaText: schema.text, codec: 'null', metadata, sync })
  return data.map((datum) => Buffer.concat([header, ...encodeBlock(1, datum, sync)]))
}

/** The header of a container without its sync marker, recognised if it was seen before. */
export function headerOf(bytes: Uint8Array): Header {
  for (let i = 0; i < recent.length; i++) {
    const header = recent[i] as Header
    const { length } = header.bytes
    if (length > bytes.byteLength) continue
    if (header.bytes.compare(bytes, 0, length, 0, length) !== 0) continue
    if (i > 0) {
      recent.splice(i, 1)
      recent.unshift(header)
    }
    return header
  }
  const header = readHeader(bytes)
  if (header.bytes.length > maxRecentBytes) return header
  recent.unshift(header)
  if (recent.length > maxRecent) recent.pop()
  return header
}

/** The block at a position, checked; undefined at the end. */
export function blockAt(
  bytes: Uint8Array,
  header: Header,
  position: number,
): PlacedBlock | undefined {
  if (position === bytes.byteLength) return undefined
  const sync = header.bytes.length
  const count = varintAt(bytes, position)
  const size = varintAt(bytes, count.end)
  const start = size.end
  const end = start + size.value
  if (size.value < 0 || end + syncBytes > bytes.byteLength) {
    const left = bytes.byteLength - start
    throw undecodable(
      bytes,
      position,
      `a block of ${size.value} bytes does not fit the ${left} left`,
    )
  }
  for (let i = 0; i < syncBytes; i++) {
    if (bytes[end + i] !== bytes[sync + i]) {
      throw undecodable(bytes, end, 'the sync marker of the block is not that of the header')
    }
  }
  const packed = new Uint8Array(bytes.buffer, bytes.byteOffset + start, size.value)
  const data = unpack(header.codec, packed)
  checkCount(bytes, header, position, count.value, data.byteLength)
  return { count: count.value, data, next: end + syncBytes }
}

function checkCount(
  bytes: Uint8Array,
  { schema }: Header,
  position: number,
  count: number,
  size: number,
): void {
  if (count === 1) return
  if (count < 0) throw undecodable(bytes, position, `a block has ${count} records`)
  const { least, free } = costOf(schema.root)
  if (count * least > size) {
    throw unbounded(bytes, position, `${count} records do not fit a block of ${size} bytes`)
  }
  if (count * free > maxFreeValues) {
    throw unbounded(bytes, position, `a block has ${count} records that take no bytes`)
  }
}

function readHeader(bytes: Uint8Array): Header {
  if (!isContainer(bytes)) {
    const begin = Buffer.from(bytes.subarray(0, 4)).toString('hex')
    throw undecodable(bytes, 0, `it begins with ${begin || 'nothing'}, not with 4f626a01`)
  }
  const metadata = new Map<string, Uint8Array>()
  let schemaAt = 0
  let position = magic.length
  for (;;) {
    const open = varintAt(bytes, position)
    position = open.end
    if (open.value === 0) break
    // A negative count is followed by the size of the block, which is of no use here.
    if (open.value < 0) position = varintAt(bytes, position).end
    const count = Math.abs(open.value)
    if (count + metadata.size > maxEntries) {
      throw unbounded(bytes, position, `the header has ${count} entries, more than ${maxEntries}`)
    }
    for (let i = 0; i < count; i++) {
      const key = bytesAt(bytes, position)
      const value = bytesAt(bytes, key.end)
      position = value.end
      const name = Buffer.from(key.value).toString()
      metadata.set(name, value.value.slice())
      if (name === 'avro.schema') schemaAt = value.end - value.value.byteLength
    }
  }
  const text = metadata.get('avro.schema')
  if (!text) throw undecodable(bytes, position, 'the header has no avro.schema')
  metadata.delete('avro.schema')
  const codec = metadata.get('avro.codec')
  return {
    bytes: Buffer.from(bytes.subarray(0, position)),
    schemaAt,
    schema: parseSchema(text),
    codec: codec ? parseCodec(Buffer.from(codec).toString()) : 'null',
    metadata,
  }
}

function bytesAt(bytes: Uint8Array, position: number): { value: Uint8Array; end: number } {
  const { value: length, end } = varintAt(bytes, position)
  if (length < 0 || length > bytes.byteLength - end) {
    throw undecodable(bytes, position, `an entry of ${length} bytes does not fit the header`)
  }
  return { value: bytes.subarray(end, end + length), end: end + length }
}

/** A zigzag integer of the framing, exact to 2^53: anything larger is refused as a size anyway. */
function varintAt(bytes: Uint8Array, position: number): { value: number; end: number } {
  let raw = 0
  let scale = 1
  for (let p = position; p < position + 8; p++, scale *= 128) {
    const byte = bytes[p]
    if (byte === undefined) throw undecodable(bytes, p, 'it ends inside a number')
    raw += (byte & 127) * scale
    if (byte < 128) return { value: raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2, end: p + 1 }
  }
  throw unbounded(bytes, position, 'a number of the framing is larger than 2^55')
}

function undecodable(bytes: Uint8Array, position: number, why: string): NightjarError {
  return refusal('packet_undecodable', bytes, position, why)
}

function unbounded(bytes: Uint8Array, position: number, why: string): NightjarError {
  return refusal('packet_unbounded', bytes, position, why)
}

function refusal(
  code: 'packet_undecodable' | 'packet_unbounded',
  bytes: Uint8Array,
  position: number,
  why: string,
): NightjarError {
  const where = `at byte ${position} of ${bytes.byteLength}`
  return new NightjarError(code, `Cannot read container: ${why}, ${where}`)
}
