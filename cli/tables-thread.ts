/**
 * The thread that owns the warehouse: the stages that write tables, the ledger's reader, and the door
 * at which other processes ask. It shares nothing with the main thread but the home directory.
 */
import { parentPort, workerData } from 'node:worker_threads'

import { ledgerShape } from '../core/ledger.ts'
import type { Events, Log } from '../core/log.ts'
import { datasetName, type Instance } from '../core/names.ts'
import { routinesOf, routineStatement } from '../core/routines.ts'
import { openGround, startReaders } from '../local/broker.ts'
import { doorPath, serveDoor } from '../local/door.ts'
import { openTable } from '../local/table.ts'
import { voeventReader } from './voevent-table.ts'
import { ledgerReader, stageReaders, stagesByThread } from './wiring.ts'

/** What the main thread gives to it. */
export interface TablesThreadData {
  home: string
  at: Instance
  env: Readonly<Record<string, string | undefined>>
}

/** What it says: that it is ready, and from then on events of the log. */
export type SaidByTables = 'ready' | { name: keyof Events; facts: Events[keyof Events] }

if (parentPort !== null) {
  const port = parentPort
  const { home, at, env } = workerData as TablesThreadData
  // The main thread has the one log, with its counts and its bounds.
  const log: Log = (name, facts) => port.postMessage({ name, facts } satisfies SaidByTables)
  const ground = await openGround(home, at)
  const dataset = datasetName(at)
  const routines = routinesOf(at.survey, 'duckdb').map((routine) =>
    routineStatement(routine, 'duckdb', dataset),
  )
  const table = await openTable({
    ...{ file: ground.home.warehouse, dataset, routines },
    shapes: [ledgerShape],
    // A conductor or a query that found no broker may have it open for as long as it asks.
    patienceMs: 20_000,
  })
  const running = startReaders(
    [
      ...(await stageReaders(ground, stagesByThread(ground).tables, log, env, table)),
      await ledgerReader(ground, table),
      await voeventReader(ground, table),
    ],
    log,
  )
  const door = await serveDoor({
    socket: doorPath(ground.home.path),
    handlers: { query: (sql) => table.query(String(sql)) },
  })
  running.failed.catch((error: unknown) => {
    throw error
  })
  port.once('message', () => {
    void (async () => {
      await door.close()
      await running.close()
      await table.close()
      await ground.close()
      port.close()
    })()
  })
  port.postMessage('ready')
}
