/** The packets of a night as they lie in the archive's bucket: its listing is asked, no packet is read. */
import { packetSizes, type PacketSizes } from '../conductor/report/sizes.ts'
import type { Pipeline } from './wiring.ts'

/** Name and size of each packet, in ascending order of names. */
export async function* archivedPackets(
  ground: Pick<Pipeline, 'bucket'>,
  topics: Iterable<string>,
): AsyncGenerator<{ candid: bigint; size: number }> {
  const archive = await ground.bucket('alert_avro_bucket')
  for (const topic of [...topics].sort()) {
    for await (const { name, size } of archive.list(`${topic}/`)) {
      // `{candid}.avro`, and `{candid}.{crc32c}.avro` beside it.
      const candid = /\/(\d{1,19})(?:\.\w+)?\.avro$/.exec(name)?.[1]
      if (candid !== undefined) yield { candid: BigInt(candid), size }
    }
  }
}

/** A bucket lists a thousand names an answer; a report is not to wait for more than some hundred. */
const mostSizes = 300_000

/** What the packets of these topics weigh. */
export async function archivedSizes(
  ground: Pick<Pipeline, 'bucket'>,
  topics: Iterable<string>,
): Promise<PacketSizes | undefined> {
  const sizes = new Uint32Array(mostSizes)
  let length = 0
  for await (const { size } of archivedPackets(ground, topics)) {
    if (length === mostSizes) return packetSizes(sizes, false)
    sizes[length++] = size
  }
  return packetSizes(sizes.subarray(0, length), true)
}
