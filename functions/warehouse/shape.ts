/** The shape of an alert's row: what its schema has, who it is, when and where, and where it came from. */
import { alertTableName } from '../../core/names.ts'
import type { Column, RowShape } from '../../core/row.ts'
import { shapeOf } from '../../schemas/columns.ts'
import type { Schema } from '../../schemas/schema.ts'

const identity: readonly Column[] = [
  column('objectId', 'STRING', 'The object that the alert is about'),
  column('candid', 'INT64', 'The alert: ZTF candid, LSST diaSourceId'),
]

const added: readonly Column[] = [
  column('obs_date', 'DATE', 'UTC date of the exposure'),
  column('healpix29', 'INT64', 'HEALPix pixel of the position, order 29, nested'),
  column('kafka_topic', 'STRING', 'Kafka topic that the alert came from'),
  column('kafka_partition', 'INT32', 'Kafka partition that the alert came from'),
  column('kafka_offset', 'INT64', 'Kafka offset that the alert came from'),
  column('kafka_timestamp', 'TIMESTAMP', 'When Kafka got the alert, UTC'),
]

/** Answer the shape for a schema and the version that the packet gives itself; made once each. */
export function createShapes(): (schema: Schema, version: string | undefined) => RowShape {
  const bySchema = new WeakMap<Schema, Map<string | undefined, RowShape>>()
  return function shape(schema, version) {
    let byVersion = bySchema.get(schema)
    if (byVersion === undefined) bySchema.set(schema, (byVersion = new Map()))
    let found = byVersion.get(version)
    if (found === undefined) byVersion.set(version, (found = makeShape(schema, version)))
    return found
  }
}

function makeShape(schema: Schema, version: string | undefined): RowShape {
  const { columns } = shapeOf(schema)
  const names = new Set(columns.map(({ name }) => name))
  // Packets that were rewritten by others carry the candid inside `candidate` alone.
  const missing = identity.filter(({ name }) => !names.has(name))
  return {
    table: alertTableName(version),
    view: 'alerts',
    columns: [...columns, ...missing, ...added],
    key: identity.map(({ name }) => name),
  }
}

function column(name: string, type: Column['type'], description: string): Column {
  return { name, type, mode: 'NULLABLE', description }
}
