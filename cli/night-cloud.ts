/**
 * A night on an instance in Google Cloud: its consumer is a machine of Compute Engine, its stages are
 * functions that Pub/Sub pushes to.
 */
import { hostname } from 'node:os'

import { bigquery } from '../conductor/report/dialect.ts'
import { groupOfStream } from '../consumer/config.ts'
import type { Environment } from '../core/environment.ts'
import { NightjarError, sentenceOf } from '../core/errors.ts'
import { lateStages } from '../core/late-stage.ts'
import { machineName, topicGroup } from '../core/names.ts'
import {
  counter,
  countedTopics,
  filterReadersOf,
  readersOf,
  type AnyReader,
} from '../core/pipeline.ts'
import { openCloud } from './cloud.ts'
import type { ChosenStream } from './kafka.ts'
import { noQueries, type NightPlace } from './night-place.ts'
import type { World } from './world.ts'

/** Stand on an instance. Nothing is asked of Google yet. */
export async function openNightCloud(
  world: World,
  environment: Environment,
  home: string,
  chosen: ChosenStream,
): Promise<NightPlace> {
  const ground = await openCloud(world, environment, { home })
  const { at } = ground
  const { survey, project } = at
  const store = await ground.bucket('broker_files')
  const consumer = async () => ground.machine('consumer', world.signal)

  /** Several at once; the first that fails is told when all have ended. */
  async function all<T>(works: readonly Promise<T>[]): Promise<T[]> {
    await Promise.allSettled(works)
    return Promise.all(works)
  }

  /** With those of the named filters from the first filter of their kind on: before, they owe nothing. */
  async function readers(): Promise<AnyReader[]> {
    const begun = new Set((await lateStages(store)).map(({ stage }) => stage))
    const late = filterReadersOf(survey).filter(({ stages }) =>
      stages.some((one) => begun.has(one)),
    )
    return [...readersOf(survey), ...late]
  }

  async function setPush(on: boolean): Promise<string | undefined> {
    const stand = await all(
      (await readers()).map(async ({ name, reads }) => ({
        name,
        pushing: await ground.setPush(reads, name, on),
      })),
    )
    const pulled = stand.filter(({ pushing }) => pushing === 'none').map(({ name }) => name)
    if (pulled.length === 0) return undefined
    return `no function is pushed to, and none was, by ${pulled.join(', ')}`
  }

  const openLedger = async () => {
    const { query } = await ground.table()
    // The data set is closed with the ground.
    return { query, close: async () => {} }
  }

  async function hasTable(name: string): Promise<boolean> {
    const { query } = await ground.table()
    try {
      for await (const _ of query(`SELECT 1 AS found FROM ${name} LIMIT 1`)) break
      return true
    } catch (error) {
      if (error instanceof NightjarError && error.code === 'input_invalid') return false
      throw error
    }
  }

  return {
    name: `project ${project}`,
    ground,
    store,
    dialect: bigquery,
    consumer: {
      start: async (metadata) => (await consumer()).start(metadata),
      stop: async () => (await consumer()).stop(),
      state: async () => (await consumer()).state(),
      metadata: async () => (await consumer()).metadata(),
    },
    stagesInConsumer: false,
    groupOf: (topic) => topicGroup(groupOfStream(chosen.stream, at), topic),
    openLedger,
    async openReport() {
      // Tables are made by their first rows: before the first alert ever there is nothing to tell of.
      return (await hasTable('alerts')) ? { ...(await openLedger()), hasTable } : noQueries
    },
    async resetCounters(since) {
      await all(countedTopics(survey).map((word) => ground.seek(word, counter, since)))
      return undefined
    },
    attachStages: () => setPush(true),
    detachStages: () => setPush(false),
    async powerOff() {
      const own = machineName(at, 'conductor')
      const [here] = (world.env['HOSTNAME'] || hostname()).split('.')
      if (here !== own) return `this is not the machine "${own}"`
      const machine = await ground.machine('conductor', world.signal)
      await machine.powerOff()
      return undefined
    },
    async backlog() {
      const backlog: Record<string, number> = {}
      await all(
        [...(await readers()), { name: 'table', reads: 'ledger' as const }].map(
          async ({ name, reads }) => {
            try {
              const { messages } = await (await ground.subscription(reads, name)).backlog()
              backlog[reads === 'ledger' ? 'ledger' : name] = messages
            } catch (error) {
              // Unknown is not zero: it is left out, and said.
              world.err(`nightjar: ${sentenceOf(error)}\n`)
            }
          },
        ),
      )
      return backlog
    },
    close: () => ground.close(),
  }
}
