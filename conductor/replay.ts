/**
 * Sending alerts again: exactly those that are missing, those that lie in the dead letters, or a whole
 * night. Each message goes to the stage that lacks it and to no other.
 */
import { forStageAttribute, kafkaAttributes, type Occurrence } from '../core/alert.ts'
import { publishWithClaim } from '../core/claim.ts'
import { intake } from '../core/pipeline.ts'
import type { Message, Store, Topic } from '../core/ports.ts'
import type { Audit } from './audit.ts'

export interface MissingOccurrence extends Occurrence {
  /** The stage that lacks it; `intake` where it never became a message. */
  stage: string
}

/** Every single occurrence that an audit misses, in the order of the pipeline. */
export function* missingOf(audit: Audit): Generator<MissingOccurrence> {
  for (const { stage, partitions } of audit.stages) {
    for (const { topic, partition, missing } of partitions) {
      for (const { first, count } of missing) {
        for (let i = 0n; i < BigInt(count); i++) {
          yield { stage, topic, partition, offset: first + i }
        }
      }
    }
  }
}

/** The message that an occurrence was, marked for one stage. */
export function messageFor(
  stage: string,
  data: Uint8Array,
  attributes: Readonly<Record<string, string>>,
): Message {
  if (stage === intake) return { data, attributes }
  return { data, attributes: { ...attributes, [forStageAttribute]: stage } }
}

/** Find an archived alert by its identity and, where several share it, by where it came from. */
export async function findArchived(
  archive: Store,
  { topic, partition, offset }: Occurrence,
  objectId: string,
  candid: string,
): Promise<Message | null> {
  let found: Message | null = null
  for await (const { name } of archive.list(`${topic}/${objectId}/${candid}.`)) {
    const object = await archive.read(name)
    if (object === null) continue
    const { metadata } = object.object
    const attributes = {
      ...metadata,
      [kafkaAttributes.topic]: topic,
      [kafkaAttributes.partition]: String(partition),
      [kafkaAttributes.offset]: String(offset),
      objectId,
      candid,
    }
    found ??= { data: object.data, attributes }
    const own =
      metadata[kafkaAttributes.partition] === String(partition) &&
      metadata[kafkaAttributes.offset] === String(offset)
    if (own) return { data: object.data, attributes }
  }
  return found
}

/** Publish again; what is too large goes by claim as it did before. */
export async function sendAgain(topic: Topic, claims: Store, message: Message): Promise<void> {
  const { topic: name, partition, offset } = kafkaAttributes
  const { attributes } = message
  await publishWithClaim(
    topic,
    claims,
    `${attributes[name]}/${attributes[partition]}/${attributes[offset]}`,
    message,
  )
}
