/**
 * The stage of the named filters in a running broker: there from the first filter on, also a late one, and
 * for good, since what it owes an account of goes on when the last filter is removed.
 */
import { lateStages } from '../core/late-stage.ts'
import { filterStage } from '../core/pipeline.ts'
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

/** How often a broker without filters looks for the first. */
const lookMs = 1000

/** Start the stage if it has begun, and look for the first filter if it has not. */
export async function startFilters(ground: Ground, log: Log): Promise<LiveFilters> {
  const store = await ground.bucket('broker_files')
  let fail: (error: unknown) => void = () => {}
  const failed = new Promise<never>((_, reject) => (fail = reject))
  failed.catch(() => {})
  let running: Promise<Running> | undefined
  let closed = false
  let timer: NodeJS.Timeout | undefined

  async function look(): Promise<void> {
    const begun = (await lateStages(store)).some(({ stage }) => stage === filterStage)
    if (closed) return
    if (!begun) {
      timer = setTimeout(() => void look().catch(fail), lookMs)
      return
    }
    running = start()
    await running
  }

  async function start(): Promise<Running> {
    const { survey } = ground.at
    const schemas = openShelf(ground.home.schemas)
    const handle = createFilter({ survey, store, topic: ground.topic, schemas })
    const onDelivery = createStage({
      stage: filterStage,
      handle,
      ledger: await ground.topic('ledger'),
      deadLetters: await ground.topic('dead_letter'),
      claims: store,
      log,
    })
    const subscription = await ground.subscription('alert_data', filterStage)
    const readers = startReaders([{ name: filterStage, subscription, onDelivery }], log)
    readers.failed.catch(fail)
    return readers
  }

  await look()
  return {
    failed,
    async backlog() {
      if (running === undefined) return {}
      const subscription = await ground.subscription('alert_data', filterStage)
      return { [filterStage]: (await subscription.backlog()).messages }
    },
    async close() {
      closed = true
      clearTimeout(timer)
      await (await running)?.close()
    },
  }
}
