/** One alert as a subscriber gets it: opened only as far as it is asked. */
import { redeem } from '../core/claim.ts'
import { readCutout, type Cutout } from '../core/cutout.ts'
import { NightjarError } from '../core/errors.ts'
import { lightCurveOf, type LightCurvePoint } from '../core/light-curve.ts'
import type { Delivery, Store } from '../core/ports.ts'
import { readAlert, readAlertWithoutCutouts, type Packet } from '../schemas/alert.ts'
import { isWire } from '../schemas/confluent.ts'
import { isContainer } from '../schemas/container.ts'
import { bundledSchemas, type SchemaSource } from '../schemas/registry.ts'

/** The stamps that ZTF and LSST packets carry. */
export type Stamp = 'science' | 'template' | 'difference'

export interface Alert {
  /** The message's own id; the same at every redelivery. */
  id: string
  publishedAt: Date
  attempt: number
  attributes: Readonly<Record<string, string>>
  /** The packet's bytes, or the JSON of a topic that carries that. */
  data: Uint8Array
  /** True where `data` is an Avro packet, so that what follows can be asked. */
  isPacket: boolean
  /** The packet without its cutouts: 64-bit ids are bigint. Throws `packet_undecodable` and the like. */
  packet(): Packet
  /** The packet with its cutouts, as bytes. */
  wholePacket(): Packet
  /** A stamp as pixels, rows from the bottom up; null where the packet has none, as on filtered topics. */
  cutout(stamp: Stamp): Cutout | null
  /** Detections, limits and forced photometry of the packet, oldest first. */
  lightCurve(): LightCurvePoint[]
  /** The message as JSON. Throws `input_invalid` where it is none. */
  json(): unknown
}

const stampNames: Readonly<Record<Stamp, string>> = {
  science: 'cutoutScience',
  template: 'cutoutTemplate',
  difference: 'cutoutDifference',
}

/**
 * Open a delivery: what waits in a bucket because it is too large for a message is fetched, the packet
 * is decoded when it is first asked for.
 */
export async function openAlert(
  delivery: Delivery,
  claims?: Store,
  schemas: SchemaSource = bundledSchemas(),
): Promise<Alert> {
  const { id, publishedAt, attempt } = delivery
  const { data, attributes } = claims === undefined ? delivery : await redeem(delivery, claims)
  let trimmed: Packet | undefined
  let whole: Packet | undefined
  const packet = (): Packet => (trimmed ??= readAlertWithoutCutouts(data, schemas))
  const wholePacket = (): Packet => (whole ??= readAlert(data, schemas))
  return {
    ...{ id, publishedAt, attempt, attributes, data },
    isPacket: isContainer(data) || isWire(data),
    packet,
    wholePacket,
    cutout(stamp) {
      const found = wholePacket().record[stampNames[stamp]]
      // ZTF wraps the bytes in a record beside a file name, LSST has them bare.
      const bytes = found instanceof Uint8Array ? found : stampData(found)
      return bytes === undefined ? null : readCutout(bytes)
    },
    lightCurve: () => lightCurveOf(packet().record),
    json() {
      try {
        return JSON.parse(Buffer.from(data).toString()) as unknown
      } catch (cause) {
        throw new NightjarError('input_invalid', `Cannot read message ${id}: it is not JSON`, {
          cause,
        })
      }
    },
  }
}

function stampData(value: unknown): Uint8Array | undefined {
  if (typeof value !== 'object' || value === null || !('stampData' in value)) return undefined
  return value.stampData instanceof Uint8Array ? value.stampData : undefined
}
