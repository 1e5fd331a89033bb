/**
 * One record of a source becomes one message of the survey's alert topic, byte for byte.
 *
 * Delivery is at least once: the alert is durable on its topic, then the ledger knows, and only then is
 * the record done. Nothing here waits for two effects of which a crash could lose the second: what is
 * not done is relayed again.
 */
import { formatOccurrence, type Occurrence } from '../core/alert.ts'
import { maxPacketBytes, publishWithClaim } from '../core/claim.ts'
import { deadLetter } from '../core/dead-letter.ts'
import { isPermanent, NightjarError, sentenceOf } from '../core/errors.ts'
import { formatLedgerEvent, ledgerEvent, type Outcome } from '../core/ledger.ts'
import type { Log } from '../core/log.ts'
import { intake as stage } from '../core/pipeline.ts'
import type { Message, Store, Topic } from '../core/ports.ts'
import type { SchemaSource } from '../schemas/registry.ts'
import { toMessage } from './message.ts'
import type { SourceGap, SourceRecord } from './source.ts'

export interface RelayOptions {
  alerts: Topic
  ledger: Topic
  deadLetters: Topic
  /** Where packets too large for a message wait. */
  claims: Store
  schemas: SchemaSource
  /** See that a packet's schema is among them, where it can be had; it never rejects. */
  learn?: (packet: Uint8Array) => Promise<void>
  log: Log
  now?: () => Date
}

/**
 * Relay a record, and account for the `gap` offsets before it that the source does not have; or
 * account for offsets without a record. Resolves with the outcome when all of that is durable; rejects
 * only where nothing can be published any more.
 */
export type Relay = (item: SourceRecord | SourceGap, gap?: bigint) => Promise<Outcome>

const retryFirstMs = 100
const retryMostMs = 10_000
const mostAttempts = 10

/** Make a relay to the survey's topics. */
export function createRelay(options: RelayOptions): Relay {
  const { alerts, ledger, deadLetters, claims, schemas, log } = options
  const now = options.now ?? (() => new Date())

  return relay

  async function relay(record: SourceRecord | SourceGap, gap = 0n): Promise<Outcome> {
    const { topic, partition, offset } = record
    if (gap > 0n) {
      await tellGap({ kind: 'gap', topic, partition, offset: offset - gap, span: gap })
    }
    if (record.kind === 'gap') return tellGap(record)
    if (record.value === null) {
      const reason = record.refused ?? 'tombstone: the record has no value'
      return tell(record, 'rejected', { reason })
    }
    await options.learn?.(record.value)
    const message = toMessage(record, schemas)
    const { objectId, candid } = message.attributes
    const ids = {
      ...(objectId !== undefined && { objectId }),
      ...(candid !== undefined && { candid: BigInt(candid) }),
    }
    const refused = await publish(record, message)
    if (refused === undefined) return tell(record, 'published', ids)
    const { code, message: reason } = refused
    log('message_dead_lettered', { stage, occurrence: formatOccurrence(record), code, reason })
    return tell(record, 'dead_lettered', { ...ids, reason })
  }

  /** Publish the alert, or its dead letter; answers why it was refused, if it was. */
  async function publish(
    record: SourceRecord,
    message: Message,
  ): Promise<NightjarError | undefined> {
    const name = `${record.topic}/${record.partition}/${record.offset}`
    try {
      if (message.data.length > maxPacketBytes) {
        throw new NightjarError(
          'message_too_large',
          `Cannot publish a packet of ${message.data.length} bytes: at most ${maxPacketBytes} are taken`,
        )
      }
      await untilDone(record, () => publishWithClaim(alerts, claims, name, message))
      return undefined
    } catch (error) {
      if (!isPermanent(error)) throw error
      const letter = deadLetter(message, { stage, error, at: now() })
      await untilDone(record, () => publishWithClaim(deadLetters, claims, `dead/${name}`, letter))
      return error
    }
  }

  /** Try until it is durable; what can never be is thrown. */
  async function untilDone<T>(occurrence: Occurrence, work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work()
      } catch (error) {
        if (isPermanent(error) || attempt >= mostAttempts) throw error
        const reason = sentenceOf(error)
        log('publish_retried', { occurrence: formatOccurrence(occurrence), reason, attempt })
        const pause = Math.min(retryFirstMs * 2 ** (attempt - 1), retryMostMs)
        await new Promise((resolve) => setTimeout(resolve, pause))
      }
    }
  }

  async function tellGap(gap: SourceGap): Promise<Outcome> {
    const { topic, partition, offset, span, lost = false } = gap
    const facts = { topic, partition, from: String(offset), count: String(span) }
    log(lost ? 'offsets_lost' : 'offsets_missing', facts)
    return tell(gap, lost ? 'lost' : 'gap', {
      span: Number(span),
      ...(lost && { reason: "Kafka's retention deleted it before it was read" }),
    })
  }

  async function tell(
    occurrence: Occurrence,
    outcome: Outcome,
    facts: { reason?: string; objectId?: string; candid?: bigint; span?: number } = {},
  ): Promise<Outcome> {
    const { topic, partition, offset } = occurrence
    const event = ledgerEvent({ topic, partition, offset, stage, outcome, at: now(), ...facts })
    await untilDone(occurrence, () => ledger.publish(formatLedgerEvent(event)))
    return outcome
  }
}
