/**
 * What every stage has around its handler: fetch what waits in a bucket, tell failures that pass from
 * those that do not, keep dead letters, tell the ledger, and only then let the message be acked.
 *
 * A crash repeats the handler, whose effect is idempotent, and at worst the dead letter and the
 * ledger event, which are counted by their occurrence.
 */
import { formatOccurrence, occurrenceOf, type AlertId, type Occurrence } from '../core/alert.ts'
import { publishWithClaim, redeem } from '../core/claim.ts'
import { deadLetter } from '../core/dead-letter.ts'
import { isPermanent, NightjarError, sentenceOf } from '../core/errors.ts'
import { formatLedgerEvent, ledgerEvent, type Outcome } from '../core/ledger.ts'
import type { Log } from '../core/log.ts'
import type { Delivery, Message, Store, Topic } from '../core/ports.ts'

/** What became of a message, for the ledger. */
export interface Verdict extends Partial<AlertId> {
  outcome: Outcome
  reason?: string
}

/**
 * A stage's own work on one message. It resolves when its effect is durable. It throws a permanent
 * error for what it can never handle and any other for what may work later.
 */
export type StageHandler = (message: Message) => Promise<Verdict>

export interface StageOptions {
  stage: string
  handle: StageHandler
  ledger: Topic
  deadLetters: Topic
  claims: Store
  log: Log
  /** Deliveries after which a message is given up; fewer than Pub/Sub's 100, which gives up without a word. */
  maxAttempts?: number
  /** Attempts that end in an error of our own making, such as a TypeError, before it is given up. */
  maxUnexpected?: number
  now?: () => Date
}

/** What became of a message at a stage, with what the ledger is still to be told. */
export interface Judged {
  verdict: Verdict
  event?: Message
}

/** A stage's whole work on a delivery but for telling the ledger. Rejecting has the message come again. */
export type Judge = (delivery: Delivery) => Promise<Judged>

/** Make the delivery handler of a stage: resolving acks, rejecting has the message come again. */
export function createStage(options: StageOptions): (delivery: Delivery) => Promise<Verdict> {
  const judge = createJudge(options)
  return async function onDelivery(delivery) {
    const { verdict, event } = await judge(delivery)
    if (event !== undefined) await options.ledger.publish(event)
    return verdict
  }
}

/** Make the judge of a stage, for who tells the ledger of several at once. */
export function createJudge(options: Omit<StageOptions, 'ledger'>): Judge {
  const { stage, handle, deadLetters, claims, log } = options
  const { maxAttempts = 90, maxUnexpected = 3 } = options
  const now = options.now ?? (() => new Date())

  return async function judged(delivery) {
    const verdict = await judge(delivery)
    const occurrence = whereFrom(delivery)
    // A message that does not say where it is from has its dead letter, but no place in the ledger.
    if (occurrence === undefined) return { verdict }
    const { topic, partition, offset } = occurrence
    const event = ledgerEvent({ topic, partition, offset, stage, at: now(), ...verdict })
    return { verdict, event: formatLedgerEvent(event) }
  }

  async function judge(delivery: Delivery): Promise<Verdict> {
    try {
      if (delivery.attempt > maxAttempts) throw exhausted(maxAttempts)
      occurrenceOf(delivery.attributes)
      return await handle(await redeem(delivery, claims))
    } catch (error) {
      if (isPermanent(error)) return bury(delivery, error)
      if (isUnexpected(error) && delivery.attempt >= maxUnexpected) {
        return bury(delivery, givenUp(error, delivery.attempt))
      }
      // The last one that still may succeed: another stage of the delivery may be what has failed so far.
      if (delivery.attempt >= maxAttempts) return bury(delivery, exhausted(maxAttempts, error))
      log('message_retried', {
        stage,
        occurrence: nameOf(delivery),
        reason: sentenceOf(error),
        attempt: delivery.attempt,
      })
      throw error
    }
  }

  async function bury(delivery: Delivery, error: NightjarError): Promise<Verdict> {
    const { code, message: reason } = error
    const name = `dead/${nameOf(delivery)}/${stage}`
    const letter = deadLetter(delivery, { stage, error, at: now() })
    await publishWithClaim(deadLetters, claims, name, letter)
    log('message_dead_lettered', { stage, occurrence: nameOf(delivery), code, reason })
    const { objectId, candid } = delivery.attributes
    return {
      outcome: 'dead_lettered',
      reason,
      ...(objectId !== undefined && { objectId }),
      ...(/^-?\d{1,19}$/.test(candid ?? '') && { candid: BigInt(candid as string) }),
    }
  }
}

/** A fault of the code, which time does not mend; the system's own errors, such as ENOSPC, may pass. */
function isUnexpected(error: unknown): boolean {
  if (error instanceof NightjarError) return false
  return !(error instanceof Error && 'errno' in error)
}

function exhausted(maxAttempts: number, cause?: unknown): NightjarError {
  const last = cause === undefined ? '' : `, the last one so: ${sentenceOf(cause)}`
  return new NightjarError(
    'attempts_exhausted',
    `Cannot handle a message: ${maxAttempts} attempts have failed or died${last}`,
    { cause },
  )
}

function givenUp(cause: unknown, attempt: number): NightjarError {
  const name = cause instanceof Error ? cause.name : 'error'
  return new NightjarError(
    'attempts_exhausted',
    `Cannot handle a message: unexpected ${name} at attempt ${attempt}: ${sentenceOf(cause)}`,
    { cause },
  )
}

function whereFrom({ attributes }: Message): Occurrence | undefined {
  try {
    return occurrenceOf(attributes)
  } catch {
    return undefined
  }
}

function nameOf(delivery: Delivery): string {
  const occurrence = whereFrom(delivery)
  return occurrence === undefined ? `message ${delivery.id}` : formatOccurrence(occurrence)
}
