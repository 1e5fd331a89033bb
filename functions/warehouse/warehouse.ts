/** Stage `warehouse`: every alert becomes a row, all of its fields but the cutouts. */
import { kafkaAttributes, occurrenceOf } from '../../core/alert.ts'
import { healpix29 } from '../../core/healpix.ts'
import type { Message, Table } from '../../core/ports.ts'
import { projectAlert, readAlertWithoutCutouts } from '../../schemas/alert.ts'
import { mapsToEntries } from '../../schemas/entries.ts'
import type { SchemaSource } from '../../schemas/registry.ts'
import type { StageHandler, Verdict } from '../stage.ts'
import { createShapes } from './shape.ts'

export interface WarehouseOptions {
  table: Table
  schemas: SchemaSource
}

/** Days between the Julian date's zero and 1970-01-01T00:00Z. */
const unixEpochJd = 2440587.5

/** Days since 1970 of the years 1 to 9999, which are all that a DATE has. */
const firstDate = -719_162
const lastDate = 2_932_896

/** Make the handler. A row's key is the alert's identity, so a repetition is a `duplicate`. */
export function createWarehouse({ table, schemas }: WarehouseOptions): StageHandler {
  const shapeOf = createShapes()

  return async function handleWarehouse({ data, attributes }: Message): Promise<Verdict> {
    const { objectId, candid, jd, ra, dec } = projectAlert(data, schemas)
    const { schema, version, record } = readAlertWithoutCutouts(data, schemas)
    const { topic, partition, offset } = occurrenceOf(attributes)
    const timestamp = attributes[kafkaAttributes.timestamp]
    const values = {
      ...mapsToEntries(schema, record),
      objectId,
      candid,
      obs_date: dateOf(jd),
      healpix29: pixelOf(ra, dec),
      kafka_topic: topic,
      kafka_partition: partition,
      kafka_offset: offset,
      kafka_timestamp: timestamp ? BigInt(timestamp) * 1000n : null,
    }
    const outcome = await table.append({ shape: shapeOf(schema, version), values })
    return { outcome, objectId, candid }
  }
}

/** The date of an exposure, or null where the packet tells none: an alert without is still an alert. */
function dateOf(jd: number | undefined): number | null {
  const date = Math.floor((jd ?? NaN) - unixEpochJd)
  return date >= firstDate && date <= lastDate ? date : null
}

/** The pixel, or null where NaN or the -999 of the unknown is no place on the sky. */
function pixelOf(ra = NaN, dec = NaN): bigint | null {
  return ra >= -360 && ra <= 720 && Math.abs(dec) <= 90 ? healpix29(ra, dec) : null
}
