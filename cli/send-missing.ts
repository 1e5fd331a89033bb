/** Sending again what an audit misses: from the archive, or from where it came from. */
import { auditNight } from '../conductor/audit.ts'
import { readLedgerSets } from '../conductor/ledger-sets.ts'
import type { KnownNight } from '../conductor/nights.ts'
import {
  findArchived,
  messageFor,
  missingOf,
  sendAgain,
  type MissingOccurrence,
} from '../conductor/replay.ts'
import { rereadFiles } from '../consumer/files/reread.ts'
import { toMessage } from '../consumer/message.ts'
import { kafkaAttributes, occurrenceOf, type Occurrence } from '../core/alert.ts'
import { NightjarError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import { fitName } from '../core/names.ts'
import type { Night } from '../core/night.ts'
import { intake, readsOf } from '../core/pipeline.ts'
import type { Message } from '../core/ports.ts'
import { judgeTransient } from '../functions/exgalac/exgalac.ts'
import { salt2Message } from '../functions/salt2/message.ts'
import { parseRecord } from '../functions/salt2/record.ts'
import { projectAlert } from '../schemas/alert.ts'
import type { SchemaSource } from '../schemas/registry.ts'
import { openShelf } from '../schemas/shelf.ts'
import type { Place } from './place.ts'
import { relayTo, type Pipeline } from './wiring.ts'

export interface SendOptions {
  log: Log
  signal: AbortSignal
  pace?: (signal: AbortSignal) => Promise<void>
}

/**
 * Send what the audit of a night misses, each to the stage that lacks it. `notFound` is what neither
 * the archive nor its source has, as `topic partition offset`.
 */
export async function sendMissing(
  place: Pick<Place, 'ground' | 'query'>,
  known: KnownNight,
  options: SendOptions,
): Promise<{ sent: number; notFound: string[] }> {
  const { ground, query } = place
  const { signal, pace = async () => {} } = options
  const ledger = await readLedgerSets(query, known.night, known.ranges, known.lateStages)
  const audit = auditNight({ survey: ground.at.survey, ...known, ledger })
  const missing = [...missingOf(audit)]
  const left = await sendArchived(place, known.night, missing, () => pace(signal))
  const found = await sendFromSources(ground, known, left, options)
  return { sent: missing.length - left.length + found.sent, notFound: found.notFound }
}

/** How many occurrences one query is about: in BigQuery each query has its price and its seconds. */
const askedAtOnce = 500

/** Send what the archive holds; answers what it does not. */
async function sendArchived(
  { ground, query }: Pick<Place, 'ground' | 'query'>,
  night: Night,
  missing: readonly MissingOccurrence[],
  pace: () => Promise<void>,
): Promise<MissingOccurrence[]> {
  const archive = await ground.bucket('alert_avro_bucket')
  const claims = await ground.bucket('broker_files')
  const left = missing.filter(({ stage }) => stage === intake)
  const archived = missing.filter(({ stage }) => stage !== intake)
  for (let at = 0; at < archived.length; at += askedAtOnce) {
    const some = archived.slice(at, at + askedAtOnce)
    const ids = await identitiesOf(query, night, some)
    for (const occurrence of some) {
      const { stage } = occurrence
      const id = ids.get(keyOf(occurrence))
      const found = id && (await readArchived(archive, occurrence, id.objectId, id.candid))
      if (!found) {
        left.push(occurrence)
        continue
      }
      const input = await inputOf(ground, stage, found)
      if (input === undefined) {
        left.push(occurrence)
        continue
      }
      await pace()
      const message = messageFor(stage, input.data, input.attributes)
      await sendAgain(await ground.topic(readsOf(stage)), claims, message)
    }
  }
  return left
}

/** What the ledger knows of occurrences: the alert that each was, by `keyOf`. */
async function identitiesOf(
  query: Place['query'],
  night: Night,
  occurrences: readonly Occurrence[],
): Promise<Map<string, { objectId: string; candid: string }>> {
  const found = new Map<string, { objectId: string; candid: string }>()
  const places = Map.groupBy(occurrences, ({ topic, partition }) => `${topic} ${partition}`)
  for (const ones of places.values()) {
    const [{ topic, partition } = { topic: '', partition: 0 }] = ones
    const offsets = [...new Set(ones.map(({ offset }) => offset))].join(', ')
    const rows = query(`SELECT DISTINCT kafka_offset, objectId, candid FROM ledger
      WHERE night = '${night}' AND kafka_topic = '${topic.replaceAll("'", "''")}' AND kafka_partition = ${partition}
        AND kafka_offset IN (${offsets}) AND objectId IS NOT NULL AND candid IS NOT NULL`)
    for await (const row of rows) {
      const offset = BigInt(String(row['kafka_offset']))
      const id = { objectId: String(row['objectId']), candid: String(row['candid']) }
      found.set(keyOf({ topic, partition, offset }), id)
    }
  }
  return found
}

const keyOf = ({ topic, partition, offset }: Occurrence): string =>
  `${topic} ${partition} ${offset}`

/**
 * What a stage was given for an archived packet, byte for byte: users read these topics, too. Undefined
 * where the stage before would not have passed this packet on.
 */
async function inputOf(
  ground: Pipeline,
  stage: string,
  found: Message,
): Promise<Message | undefined> {
  const schemas = openShelf(ground.home.schemas)
  const taken = asTakenIn(found, schemas)
  const reads = readsOf(stage)
  if (reads === 'alert_data') return taken
  const { transient } = judgeTransient(taken, schemas)
  if (reads !== 'salt2' || transient === undefined) return transient
  const { objectId, candid } = projectAlert(taken.data, schemas)
  const fit = await (await ground.bucket('sncosmo')).read(fitName(objectId, candid))
  return fit === null ? undefined : salt2Message(parseRecord(fit.data), transient.attributes)
}

/** An archived packet with the attributes that the intake gives, so that filters see no difference. */
export function asTakenIn({ data, attributes }: Message, schemas: SchemaSource): Message {
  const timestamp = Number(attributes[kafkaAttributes.timestamp])
  return toMessage({ ...occurrenceOf(attributes), timestamp, value: data }, schemas)
}

/** The archived packet; null also where its file cannot be read, since its source may still have it. */
async function readArchived(...where: Parameters<typeof findArchived>): Promise<Message | null> {
  try {
    return await findArchived(...where)
  } catch (error) {
    if (error instanceof NightjarError && error.code === 'store_failed') return null
    throw error
  }
}

/** Read what is left from where it came from and relay it. */
async function sendFromSources(
  ground: Pipeline,
  known: KnownNight,
  left: readonly MissingOccurrence[],
  { log, signal }: SendOptions,
): Promise<{ sent: number; notFound: string[] }> {
  if (left.length === 0) return { sent: 0, notFound: [] }
  const store = await ground.bucket('broker_files')
  const relay = await relayTo(ground, log)
  const stagesLeft = new Map<string, string[]>()
  for (const one of left) {
    stagesLeft.set(keyOf(one), [...(stagesLeft.get(keyOf(one)) ?? []), one.stage])
  }
  let sent = 0
  for (const progress of known.topics) {
    for (const { source } of progress.sources) {
      // A Kafka topic is no file; its intake commits nothing that is not accounted for.
      if (source.startsWith('kafka:')) continue
      const records = rereadFiles(
        { from: source, topic: progress.topic, store },
        (record) => stagesLeft.has(keyOf(record)),
        signal,
      )
      for await (const record of records) {
        // What the intake lacks becomes a message for all stages, and so serves the others, too.
        await relay(record)
        sent += stagesLeft.get(keyOf(record))?.length ?? 0
        stagesLeft.delete(keyOf(record))
      }
    }
  }
  return { sent, notFound: [...stagesLeft.keys()] }
}
