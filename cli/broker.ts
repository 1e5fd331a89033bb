/** The whole broker of a home directory, in this process and its tables thread. */
import { Worker } from 'node:worker_threads'

import { NightjarError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import { brokerSubscriptions, startReaders, startSweeping, type Ground } from '../local/broker.ts'
import { takeHome } from '../local/home.ts'
import { openHomeQueries, type HomeQueries } from './door.ts'
import { startFilters } from './live-filters.ts'
import type { SaidByTables, TablesThreadData } from './tables-thread.ts'
import { tableSubscription } from './voevent-table.ts'
import { stageReaders, stagesByThread } from './wiring.ts'

export interface Broker {
  query: HomeQueries['query']
  /** What is left to do, by who has to do it. */
  backlog(): Promise<Record<string, number>>
  /** Resolves when every stage has done what there was and the ledger has landed. */
  idle(signal: AbortSignal): Promise<void>
  /** Rejects if the broker can go on no more. */
  failed: Promise<never>
  /** Finish what is under way and stop. */
  close(): Promise<void>
}

/** Start every stage of a home's survey. Throws `home_busy` where another broker runs there. */
export async function startBroker(
  ground: Ground,
  log: Log,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Broker> {
  const { home, at } = ground
  const release = takeHome(home)
  try {
    const tables = await startTablesThread({ home: home.path, at, env }, log)
    const { plain } = stagesByThread(ground)
    const running = startReaders(await stageReaders(ground, plain, log, env), log)
    const filters = await startFilters(ground, log)
    const stopSweeping = startSweeping(ground)
    const queries = await openHomeQueries(ground)
    const subscriptions = await brokerSubscriptions(ground)
    const events = await tableSubscription(ground)
    log('broker_started', {
      home: home.path,
      survey: at.survey,
      stages: subscriptions.map(({ name }) => name),
    })

    async function backlog(): Promise<Record<string, number>> {
      const found: Record<string, number> = {}
      for (const { name, subscription } of subscriptions) {
        found[name] = (await subscription.backlog()).messages
      }
      // Nobody's doing but a gateway's: of no interest where there is none.
      const { messages: voevents } = await events.backlog()
      return { ...found, ...(await filters.backlog()), ...(voevents > 0 && { voevents }) }
    }

    const failed = Promise.race([running.failed, tables.failed, filters.failed])
    failed.catch(() => {})
    return {
      query: queries.query,
      backlog,
      failed,
      async idle(signal) {
        // In the order of the pipeline: what an earlier stage has done is in a later one's backlog.
        while (!signal.aborted) {
          if (Object.values(await backlog()).every((messages) => messages === 0)) return
          await new Promise((resolve) => setTimeout(resolve, 25))
        }
      },
      async close() {
        stopSweeping()
        await queries.close()
        await running.close()
        await filters.close()
        await tables.close()
        release()
      },
    }
  } catch (error) {
    release()
    throw error
  }
}

async function startTablesThread(
  data: TablesThreadData,
  log: Log,
): Promise<{ failed: Promise<never>; close(): Promise<void> }> {
  const worker = new Worker(new URL(import.meta.resolve('./tables-thread.ts')), {
    workerData: data,
  })
  const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
  const failed = new Promise<never>((_, reject) => {
    worker.once('error', (error: unknown) => reject(revive(error)))
  })
  failed.catch(() => {})
  const ready = new Promise<void>((resolve) => {
    worker.on('message', (said: SaidByTables) => {
      if (said === 'ready') resolve()
      else log(said.name, said.facts)
    })
  })
  await Promise.race([ready, failed])
  return {
    failed,
    async close() {
      worker.postMessage('stop')
      await Promise.race([ended, failed])
    },
  }
}

/** An error that crossed threads has lost its class; its code and sentence are still there. */
function revive(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof NightjarError) return error
  const code = (error as { code?: NightjarError['code'] }).code
  return code === undefined ? error : new NightjarError(code, error.message, { cause: error })
}
