/** Stage `archive`: every alert becomes a file whose schema is legal, named by the alert's identity. */
import { checkObjectId, kafkaAttributes } from '../../core/alert.ts'
import { crc32c } from '../../core/crc32c.ts'
import { archiveBesideName, archiveName } from '../../core/names.ts'
import type { Message, Store, StoredObject } from '../../core/ports.ts'
import { projectAlert } from '../../schemas/alert.ts'
import { fixPacket } from '../../schemas/fix.ts'
import type { SchemaSource } from '../../schemas/registry.ts'
import { verifyAlert } from '../../schemas/verify.ts'
import type { StageHandler, Verdict } from '../stage.ts'

export interface ArchiveOptions {
  store: Store
  schemas: SchemaSource
}

/**
 * Make the handler. The bytes it stores follow from the packet alone, so a repetition finds what it
 * stored. Other bytes under the same identity are kept beside, under a name with their checksum.
 */
export function createArchive({ store, schemas }: ArchiveOptions): StageHandler {
  return async function handleArchive({ data, attributes }: Message): Promise<Verdict> {
    verifyAlert(data, schemas)
    const { objectId, candid, version } = projectAlert(data, schemas)
    checkObjectId(objectId)
    const { bytes } = fixPacket(data)
    const topic = attributes[kafkaAttributes.topic] ?? ''
    const metadata = { ...coordinates(attributes), ...(version && { schema_version: version }) }
    const id = { objectId, candid }

    const name = archiveName(topic, objectId, candid)
    const first = await store.create(name, bytes, metadata)
    if (first.created) return { outcome: 'stored', ...id }
    if (holds(first.object, bytes)) return { ...repeated(first.object, attributes), ...id }

    const beside = archiveBesideName(topic, objectId, candid, crc32c(bytes))
    const second = await store.create(beside, bytes, metadata)
    const reason = `other bytes stand under "${name}"; these are kept as "${beside}"`
    if (second.created) return { outcome: 'stored', reason, ...id }
    return { ...repeated(second.object, attributes), reason, ...id }
  }
}

const holds = (object: StoredObject, bytes: Uint8Array): boolean =>
  object.size === bytes.length && object.crc32c === crc32c(bytes)

/** The same bytes are there already: by this very occurrence, or by another one of the alert. */
function repeated(object: StoredObject, attributes: Message['attributes']): Verdict {
  const { partition, offset } = kafkaAttributes
  const same = [partition, offset].every((name) => object.metadata[name] === attributes[name])
  return same ? { outcome: 'stored' } : { outcome: 'duplicate', reason: `of ${where(object)}` }
}

const where = ({ metadata }: StoredObject): string =>
  `${metadata[kafkaAttributes.topic]}[${metadata[kafkaAttributes.partition]}]` +
  `@${metadata[kafkaAttributes.offset]}`

function coordinates(attributes: Message['attributes']): Record<string, string> {
  const names = Object.values(kafkaAttributes)
  return Object.fromEntries(names.map((name) => [name, attributes[name] ?? '']))
}
