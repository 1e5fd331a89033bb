import avro from 'avsc'

// avsc reads longs as numbers and so refuses every candid; this is the documented way out.
const long = avro.types.LongType.__with({
  fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
  toBuffer(value: bigint) {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64LE(value)
    return bytes
  },
  fromJSON: BigInt,
  toJSON: Number,
  isValid: (value: unknown) => typeof value === 'bigint',
  compare: (a: bigint, b: bigint) => (a === b ? 0 : a < b ? -1 : 1),
})

const types = new Map<string, avro.Type>()

/** The type that stock avsc makes of a schema's text, longs as bigint. Throws where it refuses. */
export function avscType(text: string): avro.Type {
  let type = types.get(text)
  if (!type) {
    type = avro.Type.forSchema(JSON.parse(text) as avro.Schema, { registry: { long } })
    types.set(text, type)
  }
  return type
}

/** What stock avsc reads from the blocks of a container. */
export function* avscRecords(
  text: string,
  blocks: Iterable<{ count: number; data: Uint8Array }>,
): Generator<unknown, void, undefined> {
  const type = avscType(text)
  for (const { count, data } of blocks) {
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    let position = 0
    for (let n = 0; n < count; n++) {
      const { value, offset } = type.decode(bytes, position)
      position = offset
      // A union at the root wraps its values in the name of the branch.
      yield type.typeName.startsWith('union') ? Object.values(value as object)[0] : value
    }
  }
}
