/**
 * Several stages on one delivery, which is paid once: each does its own work, and the message is acked when
 * all have. None waits for another, so nothing can come between two of them; a crash, or one that fails,
 * has the message delivered again, and those that were done find their effect done: it is idempotent by
 * identity. What the stages tell the ledger goes together, in one request.
 */
import { forStageAttribute } from '../core/alert.ts'
import type { Delivery, Topic } from '../core/ports.ts'
import type { Judge } from './stage.ts'

export interface SharedOptions {
  /** By the stage's name. */
  judges: ReadonlyMap<string, Judge>
  ledger: Topic
}

/** Messages of which it is remembered what was done, where one stage fails for long. */
const mostRemembered = 10_000

/**
 * Make the delivery handler of a reader. It does what the message is for: a replayed one names its stage,
 * any other is for all. Rejects with the first failure when every stage has come to an end.
 */
export function createShared({
  judges,
  ledger,
}: SharedOptions): (delivery: Delivery) => Promise<void> {
  /** Stages done, by message. Only a saving: whoever has forgotten does them again. */
  const done = new Map<string, Set<string>>()

  return async function onDelivery(delivery) {
    const { id, attributes } = delivery
    const meant = attributes[forStageAttribute]
    const before = done.get(id)
    const todo = [...judges].filter(
      ([stage]) => (meant === undefined || meant === stage) && before?.has(stage) !== true,
    )
    const ends = await Promise.allSettled(
      todo.map(async ([stage, judge]) => ({ stage, ...(await judge(delivery)) })),
    )
    const judged = ends.flatMap((end) => (end.status === 'fulfilled' ? [end.value] : []))
    const events = judged.flatMap(({ event }) => event ?? [])
    await Promise.all(events.map((event) => ledger.publish(event)))

    done.delete(id)
    const failed = ends.find((end) => end.status === 'rejected')
    if (failed === undefined) return
    done.set(id, new Set([...(before ?? []), ...judged.map(({ stage }) => stage)]))
    const [oldest] = done.keys()
    if (done.size > mostRemembered && oldest !== undefined) done.delete(oldest)
    throw failed.reason
  }
}
