/** A Kafka record as a message: bytes untouched, coordinates and what can be read cheaply beside. */
import { kafkaAttributes } from '../core/alert.ts'
import { NightjarError, sentenceOf } from '../core/errors.ts'
import { attributeValue } from '../core/limits.ts'
import type { Message } from '../core/ports.ts'
import { projectAlert } from '../schemas/alert.ts'
import type { SchemaSource } from '../schemas/registry.ts'
import type { SourceRecord } from './source.ts'

/** Set where the packet could not be read: what is wrong is for the stages to judge. */
export const undecodedAttribute = 'decode_failed'

/** Names that we give ourselves: a header of such a name would be taken for ours. */
const ours =
  /^(?:nightjar_|dead_letter_|kafka\.|(?:key|objectId|candid|jd|fid|schema_version|decode_failed)$)/

/** The message that stands for a record. A packet that cannot be read makes an attribute, no loss. */
export function toMessage(record: SourceRecord, schemas: SchemaSource): Message {
  const data = record.value ?? new Uint8Array()
  const attributes: Record<string, string> = {
    ...foreign(record.headers),
    [kafkaAttributes.topic]: record.topic,
    [kafkaAttributes.partition]: String(record.partition),
    [kafkaAttributes.offset]: String(record.offset),
    [kafkaAttributes.timestamp]: String(record.timestamp),
  }
  if (record.key !== undefined) attributes['key'] = record.key
  try {
    const { objectId, candid, jd, fid, version } = projectAlert(data, schemas)
    attributes['objectId'] = attributeValue(objectId)
    attributes['candid'] = String(candid)
    if (jd !== undefined) attributes['jd'] = String(jd)
    if (fid !== undefined) attributes['fid'] = String(fid)
    if (version !== undefined) attributes['schema_version'] = attributeValue(version)
  } catch (error) {
    if (!(error instanceof NightjarError)) throw error
    attributes[undecodedAttribute] = attributeValue(sentenceOf(error))
  }
  return { data, attributes }
}

function foreign(headers: SourceRecord['headers'] = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !ours.test(name)))
}
