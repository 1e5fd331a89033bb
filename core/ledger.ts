/**
 * What became of each occurrence at each stage. A stage publishes one small event per occurrence to
 * the ledger topic and acks its message only after; the topic lands in the table `ledger`. Events are
 * idempotent: the audit ORs them, so one that is delivered twice does no harm.
 */
import type { Occurrence } from './alert.ts'
import { NightjarError } from './errors.ts'
import { nightOfTopic, type Night } from './night.ts'
import type { Message } from './ports.ts'
import type { Column, Row, RowShape } from './row.ts'

/**
 * `stored`, `published`: the effect is durable. `duplicate`: it already was, by another occurrence of
 * the same alert. `filtered`: read, judged, not passed on. `rejected`: refused by rule, nothing kept.
 * `dead_lettered`: kept whole in the dead letters. `gap`: Kafka has no record at this offset. `lost`:
 * Kafka's retention deleted the record before it was read.
 */
export const outcomes = [
  'stored',
  'published',
  'duplicate',
  'filtered',
  'rejected',
  'dead_lettered',
  'gap',
  'lost',
] as const

export type Outcome = (typeof outcomes)[number]

/** How the stage `salt2` begins its reason where an alert was stored and nothing published. */
export const noFit = 'no fit: '

export interface LedgerEvent extends Occurrence {
  night: Night | ''
  stage: string
  outcome: Outcome
  objectId?: string
  candid?: bigint
  reason?: string
  /** How many offsets from `offset` on the event speaks of; above 1 only for gaps and losses. */
  span: number
  at: Date
}

/** The night of an event is the night of its Kafka topic; a topic without a date has none. */
export function ledgerEvent(
  event: Omit<LedgerEvent, 'night' | 'span'> & { span?: number },
): LedgerEvent {
  return { ...event, night: nightOfTopic(event.topic) ?? '', span: event.span ?? 1 }
}

/** An event as a message: flat JSON by the table's column names, 64-bit numbers as strings. */
export function formatLedgerEvent(event: LedgerEvent): Message {
  const text = JSON.stringify({
    night: event.night,
    stage: event.stage,
    kafka_topic: event.topic,
    kafka_partition: event.partition,
    kafka_offset: String(event.offset),
    span: event.span,
    objectId: event.objectId ?? null,
    candid: event.candid === undefined ? null : String(event.candid),
    outcome: event.outcome,
    reason: event.reason?.slice(0, 1000) ?? null,
    recorded_at: event.at.toISOString(),
  })
  return {
    data: Buffer.from(text),
    attributes: { stage: event.stage, outcome: event.outcome, night: event.night },
  }
}

const columns: readonly Column[] = [
  column('night', 'STRING', 'UTC date at the beginning of the night, YYYYMMDD'),
  column('stage', 'STRING', 'The stage that speaks'),
  column('kafka_topic', 'STRING', 'Kafka topic of the occurrence'),
  column('kafka_partition', 'INT32', 'Kafka partition of the occurrence'),
  column('kafka_offset', 'INT64', 'Kafka offset of the occurrence; the first one where span > 1'),
  column('span', 'INT64', 'How many offsets the event speaks of'),
  column('objectId', 'STRING', 'The object, where it could be read'),
  column('candid', 'INT64', 'The alert, where it could be read'),
  column('outcome', 'STRING', outcomes.join(', ')),
  column('reason', 'STRING', 'Why, for everything that was not simply done'),
  column('recorded_at', 'TIMESTAMP', 'When the stage said so, UTC'),
]

/** The table `ledger`. It has no key: an event twice is as good as once. */
export const ledgerShape: RowShape = { table: 'ledger', columns }

/** A ledger message as a row of the table. Throws `input_invalid` where it is not one. */
export function ledgerRow(data: Uint8Array): Row {
  try {
    const event = JSON.parse(Buffer.from(data).toString()) as Record<string, unknown>
    const candid = event['candid']
    return {
      shape: ledgerShape,
      values: {
        night: String(event['night']),
        stage: String(event['stage']),
        kafka_topic: String(event['kafka_topic']),
        kafka_partition: Number(event['kafka_partition']),
        kafka_offset: BigInt(String(event['kafka_offset'])),
        span: BigInt(String(event['span'])),
        objectId: event['objectId'],
        candid: candid === null ? null : BigInt(String(candid)),
        outcome: String(event['outcome']),
        reason: event['reason'],
        recorded_at: BigInt(Date.parse(String(event['recorded_at']))) * 1000n,
      },
    }
  } catch (cause) {
    throw new NightjarError(
      'input_invalid',
      `Cannot read a ledger event: ${JSON.stringify(Buffer.from(data).toString().slice(0, 200))}`,
      { cause },
    )
  }
}

function column(name: string, type: Column['type'], description: string): Column {
  return { name, type, mode: 'NULLABLE', description }
}
