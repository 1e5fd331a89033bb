/** A reader's stages as one cloud function: what an instance of it keeps between its events. */
import { isPermanent, sentenceOf } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import type { BucketWord, Instance, TopicWord } from '../core/names.ts'
import type { AnyReader } from '../core/pipeline.ts'
import type { Delivery, Store, Table, Topic } from '../core/ports.ts'
import { bundledSchemas } from '../schemas/registry.ts'
import { parseDelivery } from './delivery.ts'
import { handlers } from './handlers.ts'
import { createShared } from './share.ts'
import { createJudge, type Judge } from './stage.ts'

/** The answers that stages may ask for; each is opened when it is first asked for. */
export interface ServingGround {
  at: Pick<Instance, 'survey'>
  topic(word: TopicWord): Promise<Topic>
  bucket(word: BucketWord): Promise<Store>
  table(): Promise<Table>
  close(): Promise<void>
}

export interface Served {
  /** Open what the stages need before its first event asks for it; a failure is that event's. */
  warm(): void
  /** Handle one event. Resolving acks (2xx), rejecting has Pub/Sub send it again (5xx). */
  handle(event: unknown): Promise<void>
  /** Wait for what is under way and close the ground. */
  close(): Promise<void>
}

/** Messages whose failed attempts are remembered where Pub/Sub does not count them. */
const mostRemembered = 10_000

/**
 * Serve the stages of a reader. Any number of events may be under way at once: they share the ground and
 * nothing else, and their publishes share requests.
 */
export function serveReader(
  { name, stages }: Pick<AnyReader, 'name' | 'stages'>,
  ground: ServingGround,
  log: Log,
): Served {
  const underWay = new Set<Promise<void>>()
  const failures = new Map<string, number>()
  let opening: Promise<(delivery: Delivery) => Promise<void>> | undefined

  async function open(): Promise<(delivery: Delivery) => Promise<void>> {
    const world = { ...ground, schemas: bundledSchemas() }
    const [ledger, deadLetters, handles] = await Promise.all([
      ground.topic('ledger'),
      ground.topic('dead_letter'),
      Promise.all(stages.map((stage) => handlers[stage](world))),
    ])
    const claims = lazily(() => ground.bucket('broker_files'))
    const judges = new Map<string, Judge>()
    for (const [at, stage] of stages.entries()) {
      const handle = handles[at]
      if (handle === undefined) continue
      judges.set(stage, createJudge({ stage, handle, deadLetters, claims, log }))
    }
    return createShared({ judges, ledger })
  }

  /** What failed to open is opened anew by the next event. */
  function opened(): Promise<(delivery: Delivery) => Promise<void>> {
    opening ??= open().catch((error: unknown) => {
      opening = undefined
      throw error
    })
    return opening
  }

  async function work(event: unknown): Promise<void> {
    let delivery: Delivery
    try {
      delivery = parseDelivery(event)
    } catch (error) {
      if (!isPermanent(error)) throw error
      // No message and so nothing to keep: to refuse it would only have it sent again for ever.
      log('stage_failed', { stage: name, reason: sentenceOf(error) })
      return
    }
    const onDelivery = await opened()
    const { id } = delivery
    const attempt = Math.max(delivery.attempt, (failures.get(id) ?? 0) + 1)
    try {
      await onDelivery({ ...delivery, attempt })
      failures.delete(id)
    } catch (error) {
      failures.delete(id)
      failures.set(id, attempt)
      const [oldest] = failures.keys()
      if (failures.size > mostRemembered && oldest !== undefined) failures.delete(oldest)
      throw error
    }
  }

  return {
    warm() {
      opened().catch(() => {})
    },
    handle(event) {
      const working: Promise<void> = work(event).finally(() => underWay.delete(working))
      underWay.add(working)
      return working
    },
    async close() {
      while (underWay.size > 0) await Promise.allSettled(underWay)
      await ground.close()
    },
  }
}

/** A store that is opened at its first use: claims are rare, and an SDK costs a start its time. */
function lazily(open: () => Promise<Store>): Store {
  return {
    create: async (...words) => (await open()).create(...words),
    replace: async (...words) => (await open()).replace(...words),
    read: async (name) => (await open()).read(name),
    async *list(prefix) {
      yield* (await open()).list(prefix)
    },
  }
}
