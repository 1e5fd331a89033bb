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
      obs_date: jd === undefined ? null : Math.floor(jd - unixEpochJd),
      healpix29: ra === undefined || dec === undefined ? null : healpix29(ra, dec),
      kafka_topic: topic,
      kafka_partition: partition,
      kafka_offset: offset,
      kafka_timestamp: timestamp ? BigInt(timestamp) * 1000n : null,
    }
    const outcome = await table.append({ shape: shapeOf(schema, version), values })
    return { outcome, objectId, candid }
  }
}
