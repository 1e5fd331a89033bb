/** Small alert packets, and records that carry them. */
import type { SourceRecord } from '../../consumer/source.ts'
import { encodeContainer } from '../../schemas/encode.ts'

const schema = JSON.stringify({
  type: 'record',
  name: 'alert',
  namespace: 'ztf',
  fields: [
    { name: 'schemavsn', type: 'string' },
    { name: 'publisher', type: 'string' },
    { name: 'objectId', type: 'string' },
    { name: 'candid', type: 'long' },
    {
      name: 'candidate',
      type: {
        type: 'record',
        name: 'candidate',
        fields: [
          { name: 'jd', type: 'double' },
          { name: 'fid', type: 'int' },
        ],
      },
    },
    { name: 'cutoutScience', type: 'bytes' },
  ],
})
const sync = Buffer.alloc(16, 7)

const alertOf = (candid: bigint, bytes: number): Record<string, unknown> => ({
  schemavsn: '4.02',
  publisher: 'a test',
  objectId: `ZTF21t${candid}`,
  candid,
  candidate: { jd: 2461365.75, fid: 2 },
  cutoutScience: Buffer.alloc(bytes, 1),
})

/** A container of one alert, as large as is asked for. */
export const packet = (candid: bigint, bytes = 100): Uint8Array =>
  encodeContainer(schema, [alertOf(candid, bytes)], { sync })

/** A container of several alerts, or of none. */
export const container = (candids: readonly bigint[]): Uint8Array =>
  encodeContainer(
    schema,
    candids.map((candid) => alertOf(candid, 10)),
    { sync },
  )

/** A record of partition 3, by default with a packet in it. */
export const record = (offset: bigint, rest: Partial<SourceRecord> = {}): SourceRecord => ({
  topic: 'ztf_20261121_programid1',
  partition: 3,
  offset,
  timestamp: 1_795_230_000_000,
  value: packet(offset),
  ...rest,
})
