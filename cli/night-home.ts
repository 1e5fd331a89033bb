/** A night in a home directory: its broker is a process of its own, with the stages in it. */
import { join } from 'node:path'

import { duckdb } from '../conductor/report/dialect.ts'
import { NightjarError } from '../core/errors.ts'
import { brokerSubscriptions, openGround } from '../local/broker.ts'
import { openMachine } from '../local/machine.ts'
import { brokerControl } from './consumer-control.ts'
import { openHomeQueries } from './door.ts'
import { instanceOf, type HomeOptions } from './embedded.ts'
import { groupFor, type ChosenStream } from './kafka.ts'
import { createLog } from './log.ts'
import { noQueries, type NightPlace } from './night-place.ts'
import type { World } from './world.ts'

/** Stand in a home; `words` are those of the verb that becomes its broker. */
export async function openNightHome(
  world: World,
  options: HomeOptions,
  chosen: ChosenStream,
  words: readonly string[],
): Promise<NightPlace> {
  const ground = await openGround(options.home, instanceOf(options))
  const { home } = ground
  const machine = openMachine({
    home,
    command: [join(import.meta.dirname, '../bin/nightjar'), ...words, '--home', home.path],
    env: world.env,
    control: brokerControl(home.path, world.signal),
    onKilled: (pid) => createLog(world)('machine_killed', { machine: 'consumer', pid }),
  })
  return {
    name: `home "${home.path}"`,
    ground,
    store: await ground.bucket('broker_files'),
    dialect: duckdb,
    consumer: { ...machine, metadata: async () => machine.metadata() },
    stagesInConsumer: true,
    groupOf: (topic) => groupFor(chosen, home.path, topic),
    openLedger: () => openHomeQueries(ground),
    async openReport() {
      try {
        const queries = await openHomeQueries(ground)
        return {
          ...queries,
          async hasTable(name) {
            const sql = `SELECT 1 AS is FROM information_schema.tables WHERE table_name = '${name}'`
            for await (const _ of queries.query(sql)) return true
            return false
          },
        }
      } catch (error) {
        // A home in which no broker ever ran has no warehouse: its night has a report of nothing.
        if (error instanceof NightjarError && error.code === 'home_unusable') return noQueries
        throw error
      }
    },
    resetCounters: async () => 'a home counts by its ledger',
    attachStages: async () => "a home's stages are in the process of its consumer",
    detachStages: async () => "a home's stages are in the process of its consumer",
    powerOff: async () => 'this machine is not ours to switch off',
    async backlog() {
      const backlog: Record<string, number> = {}
      for (const { name, subscription } of await brokerSubscriptions(ground)) {
        backlog[name] = (await subscription.backlog()).messages
      }
      return backlog
    },
    close: () => ground.close(),
  }
}
