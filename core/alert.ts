/** Who an alert is (survey, objectId, candid) and where it came from (Kafka topic, partition, offset). */
import { NightjarError } from './errors.ts'

/** One record of a Kafka partition: what the ledger counts by. */
export interface Occurrence {
  topic: string
  partition: number
  offset: bigint
}

export interface AlertId {
  objectId: string
  candid: bigint
}

/** The names that Google's Pub/Sub Kafka connector gives, so that old subscribers keep working. */
export const kafkaAttributes = {
  topic: 'kafka.topic',
  partition: 'kafka.partition',
  offset: 'kafka.offset',
  timestamp: 'kafka.timestamp',
} as const

/** The stage that a replayed message is for; the other stages' subscriptions filter it out. */
export const forStageAttribute = 'nightjar_for'

/** The filter of the subscription of one or more stages: everything but what is replayed for others. */
export function stageFilter(...stages: readonly string[]): string {
  const own = stages.map((stage) => ` OR attributes.${forStageAttribute} = "${stage}"`)
  return `NOT attributes:${forStageAttribute}${own.join('')}`
}

/** Read the occurrence from a message's attributes. */
export function occurrenceOf(attributes: Readonly<Record<string, string>>): Occurrence {
  const topic = attributes[kafkaAttributes.topic]
  const partition = attributes[kafkaAttributes.partition]
  const offset = attributes[kafkaAttributes.offset]
  if (!topic || !/^\d{1,9}$/.test(partition ?? '') || !/^\d{1,18}$/.test(offset ?? '')) {
    throw new NightjarError(
      'attribute_invalid',
      `Cannot tell where a message came from: its attributes say topic "${topic}", ` +
        `partition "${partition}", offset "${offset}"`,
    )
  }
  return { topic, partition: Number(partition), offset: BigInt(offset as string) }
}

/** `ztf_20261121_programid1[3]@1205`, as people and logs read it. */
export function formatOccurrence({ topic, partition, offset }: Occurrence): string {
  return `${topic}[${partition}]@${offset}`
}

/**
 * Check that an objectId may become part of an object's name: letters, digits, dash and underscore.
 * ZTF's own form is `ZTF` + 2 digits + 7 letters; simulations and early packets have others.
 */
export function checkObjectId(objectId: string): string {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(objectId)) {
    throw new NightjarError(
      'alert_unidentified',
      `Cannot name an alert: its objectId is ${JSON.stringify(objectId.slice(0, 80))}`,
    )
  }
  return objectId
}
