/**
 * What kafkajs does not look at in a compressed batch of records (format version 2): its checksum, and
 * whether the records in it hold together. A batch that never can be read must not stop its partition:
 * in its place stand as many records without a value, each of which says why.
 */
import { crc32c } from '../../core/crc32c.ts'
import { sentenceOf } from '../../core/errors.ts'

/** Header of a record that stands for one that could not be read; its value is the reason. */
export const refusedHeader = 'nightjar_refused'

/** Bytes of a batch before its records: base offset to record count. */
const headBytes = 61
const crcAt = 17
const crcFrom = 21

interface Head {
  baseOffset: bigint
  crc: number
  lastOffsetDelta: number
  count: number
  /** What the checksum covers. */
  summed: Uint8Array
}

/** How often a batch was found damaged: the network may be at fault once, but not again and again. */
const damaged = new Map<string, number>()
const mostReads = 3

/**
 * Unpack the records of a batch. `packed` is the end of a batch as it came, so that its head stands
 * before it in the same memory. Throws where it came damaged and may come whole the next time.
 */
export async function readBatch(
  packed: Buffer,
  codec: string,
  unpack: (input: Uint8Array) => Uint8Array | Promise<Uint8Array>,
): Promise<Buffer> {
  const head = headOf(packed)
  if (head !== undefined && head.crc !== crc32c(head.summed)) {
    const key = `${head.baseOffset}/${head.crc}`
    const times = (damaged.get(key) ?? 0) + 1
    if (times < mostReads) {
      if (damaged.size > 1000) damaged.clear()
      damaged.set(key, times)
      throw new Error(`Cannot take a batch at offset ${head.baseOffset}: its checksum is wrong`)
    }
    damaged.delete(key)
    return stand(head, `its batch of ${codec} came damaged ${times} times`)
  }
  try {
    const bytes = await unpack(packed)
    const records = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    if (head !== undefined) checkRecords(records, head.count)
    return records
  } catch (error) {
    if (head === undefined) throw error
    return stand(head, `its batch of ${codec} cannot be unpacked: ${sentenceOf(error)}`)
  }
}

/** The head that stands before `packed`, if this is the end of a batch of version 2. */
function headOf(packed: Buffer): Head | undefined {
  const start = packed.byteOffset - headBytes
  if (start < 0) return undefined
  const batch = Buffer.from(packed.buffer, start, headBytes + packed.length)
  const length = batch.readInt32BE(8)
  if (length !== batch.length - 12 || batch[16] !== 2) return undefined
  return {
    baseOffset: batch.readBigInt64BE(0),
    crc: batch.readUInt32BE(crcAt),
    lastOffsetDelta: batch.readInt32BE(23),
    count: batch.readInt32BE(57),
    summed: batch.subarray(crcFrom),
  }
}

/** Records that stand for those of a batch: one an offset, as far as their number goes. */
function stand({ count, lastOffsetDelta }: Head, reason: string): Buffer {
  const name = Buffer.from(refusedHeader)
  const value = Buffer.from(reason.slice(0, 500))
  const parts: Uint8Array[] = []
  for (let i = 0; i < count; i++) {
    // Of a batch that compaction thinned out, which offsets are left is not known without it.
    const delta = i === count - 1 ? lastOffsetDelta : i
    const body = Buffer.concat([
      Buffer.from([0, 0]),
      varint(delta),
      varint(-1),
      varint(-1),
      varint(1),
      varint(name.length),
      name,
      varint(value.length),
      value,
    ])
    parts.push(varint(body.length), body)
  }
  return Buffer.concat(parts)
}

/** Walk `count` records and throw where a length does not fit. */
function checkRecords(records: Buffer, count: number): void {
  let p = 0
  for (let i = 0; i < count; i++) {
    const length = next()
    const end = p + length
    if (length < 0 || end > records.length) throw new Error(`record ${i} passes its end`)
    p += 1
    next()
    next()
    skip(next(), end)
    skip(next(), end)
    const headers = next()
    if (headers < 0 || headers > end - p) throw new Error(`record ${i} has ${headers} headers`)
    for (let h = 0; h < headers; h++) {
      skip(next(), end)
      skip(next(), end)
    }
    if (p !== end) throw new Error(`record ${i} has ${end - p} bytes too many`)
  }

  function skip(bytes: number, end: number): void {
    if (bytes > end - p) throw new Error(`a field of ${bytes} bytes passes its record`)
    if (bytes > 0) p += bytes
  }

  /** A zigzag varint; a timestamp's may have ten bytes, and then its value is not asked for. */
  function next(): number {
    let value = 0
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = records[p++]
      if (byte === undefined) throw new Error('it ends inside a number')
      value += (byte & 127) * 2 ** shift
      if (byte < 128) return value % 2 === 0 ? value / 2 : -(value + 1) / 2
    }
    throw new Error('a number has more than ten bytes')
  }
}

function varint(value: number): Buffer {
  let rest = value < 0 ? -2 * value - 1 : 2 * value
  const bytes: number[] = []
  while (rest >= 128) {
    bytes.push((rest & 127) | 128)
    rest = Math.floor(rest / 128)
  }
  return Buffer.from([...bytes, rest])
}
