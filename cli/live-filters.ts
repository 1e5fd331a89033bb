/**
 * The stages of the named filters in a running broker: each there from the first filter of its kind on, also
 * a late one, and for good, since what it owes an account of goes on when the last filter is removed.
 */
import { lateStages } from '../core/late-stage.ts'
import { filterStages, isFilterStage, type FilterStage } from '../core/pipeline.ts'
import type { Log } from '../core/log.ts'
import { createFilter } from '../functions/filter/filter.ts'
import { createStage } from '../functions/stage.ts'
import { startReaders, type Ground, type Running } from '../local/broker.ts'
import { openShelf } from '../schemas/shelf.ts'

export interface LiveFilters {
  /** What is left to judge; empty where no filter was ever live. */
  backlog(): Promise<Record<string, number>>
  failed: Promise<never>
  close(): Promise<void>
}

/** How often a broker looks for the first filter of a kind. */
const lookMs = 1000

/** Start each stage that has begun, and look for the first filter of those that have not. */
export async function startFilters(ground: Ground, log: Log): Promise<LiveFilters> {
  const store = await ground.bucket('broker_files')
  let fail: (error: unknown) => void = () => {}
  const failed = new Promise<never>((_, reject) => (fail = reject))
  failed.catch(() => {})
  const running = new Map<FilterStage, Running>()
  let looking: Promise<void> = Promise.resolve()
  let closed = false
  let timer: NodeJS.Timeout | undefined

  async function look(): Promise<void> {
    const begun = new Set((await lateStages(store)).map(({ stage }) => stage))
    for (const stage of stages) {
      if (!closed && begun.has(stage) && !running.has(stage)) {
        running.set(stage, await start(stage))
      }
    }
    if (closed || running.size === stages.length) return
    timer = setTimeout(() => (looking = look().catch(fail)), lookMs)
  }

  async function start(stage: FilterStage): Promise<Running> {
    const { survey } = ground.at
    const schemas = openShelf(ground.home.schemas)
    const archive = (): ReturnType<Ground['bucket']> => ground.bucket('alert_avro_bucket')
    const handle = createFilter({ stage, survey, store, archive, topic: ground.topic, schemas })
    const onDelivery = createStage({
      stage,
      handle,
      ledger: await ground.topic('ledger'),
      deadLetters: await ground.topic('dead_letter'),
      claims: store,
      log,
    })
    const subscription = await ground.subscription(filterStages[stage], stage)
    const readers = startReaders([{ name: stage, subscription, onDelivery }], log)
    readers.failed.catch(fail)
    return readers
  }

  await look()
  return {
    failed,
    async backlog() {
      const found: Record<string, number> = {}
      for (const stage of running.keys()) {
        const subscription = await ground.subscription(filterStages[stage], stage)
        found[stage] = (await subscription.backlog()).messages
      }
      return found
    },
    async close() {
      closed = true
      clearTimeout(timer)
      await looking
      for (const readers of running.values()) await readers.close()
    },
  }
}

const stages = Object.keys(filterStages).filter(isFilterStage)
