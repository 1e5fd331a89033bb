/** How the pipeline's programs are joined to the answers of a home directory, or of the cloud. */
import { readFile } from 'node:fs/promises'

import type { Registry } from '../consumer/config.ts'
import { createLearner } from '../consumer/registry.ts'
import { createRelay, type Relay } from '../consumer/relay.ts'
import { deadLetter } from '../core/dead-letter.ts'
import { isPermanent } from '../core/errors.ts'
import { ledgerRow } from '../core/ledger.ts'
import type { Log } from '../core/log.ts'
import {
  stages,
  stagesOf,
  type AnyReader,
  type FilterStage,
  type Stage,
  type StageName,
} from '../core/pipeline.ts'
import type { Table, Topic } from '../core/ports.ts'
import type { Environment } from '../core/settings.ts'
import { handlers, type HandlerWorld } from '../functions/handlers.ts'
import { parseRedshifts } from '../functions/salt2/redshifts.ts'
import { createShared } from '../functions/share.ts'
import { createJudge, createStage, type Judge, type StageOptions } from '../functions/stage.ts'
import type { Ground, Reader } from '../local/broker.ts'
import { openShelf } from '../schemas/shelf.ts'

/** What the pipeline's programs stand on: the answers of a home directory, or of Google Cloud. */
export type Pipeline = Pick<Ground, 'at' | 'topic' | 'subscription' | 'bucket'> & {
  /** Where schemas that were met are kept: on this machine in both cases. */
  home: Pick<Ground['home'], 'schemas'>
}

/** Stages that write a table, and those that do not: the first share a thread with the warehouse. */
export function stagesByThread(ground: Pipeline): { plain: StageName[]; tables: StageName[] } {
  const names = stagesOf(ground.at.survey)
  const writesTable = (name: StageName): boolean => (stages[name] as Stage).table !== undefined
  return {
    plain: names.filter((name) => !writesTable(name)),
    tables: names.filter(writesTable),
  }
}

/** The readers of some stages. Without a table, a stage that asks for one cannot be among them. */
export async function stageReaders(
  ground: Pipeline,
  names: readonly StageName[],
  log: Log,
  env: Environment,
  table?: Table,
): Promise<Reader[]> {
  const open = await stageOpener(ground, log, env, table)
  const readers: Reader[] = []
  for (const stage of names) {
    readers.push({
      name: stage,
      subscription: await ground.subscription(stages[stage].reads, stage),
      onDelivery: createStage(await open(stage)),
    })
  }
  return readers
}

/** The cloud's readers: the stages of one share its deliveries, as they do in its function. */
export async function sharedReaders(
  ground: Pipeline,
  wanted: readonly AnyReader[],
  log: Log,
  env: Environment,
  table?: Table,
): Promise<Reader[]> {
  const open = await stageOpener(ground, log, env, table)
  const ledger = await ground.topic('ledger')
  const readers: Reader[] = []
  for (const { name, reads, stages: served } of wanted) {
    const judges = new Map<string, Judge>()
    for (const stage of served) judges.set(stage, createJudge(await open(stage)))
    readers.push({
      name,
      subscription: await ground.subscription(reads, name),
      onDelivery: createShared({ judges, ledger }),
    })
  }
  return readers
}

/** How a stage is made ready on a ground. */
async function stageOpener(
  ground: Pipeline,
  log: Log,
  env: Environment,
  table?: Table,
): Promise<(stage: StageName | FilterStage) => Promise<StageOptions>> {
  const ledger = await ground.topic('ledger')
  const deadLetters = await ground.topic('dead_letter')
  const claims = await ground.bucket('broker_files')
  const schemas = openShelf(ground.home.schemas)
  const { at, topic, bucket } = ground
  const fitting = await fittingWorld(env)
  return async function open(stage) {
    const handle = await handlers[stage]({
      at,
      topic,
      bucket,
      schemas,
      ...fitting,
      table: () => (table ? Promise.resolve(table) : Promise.reject(noTable(stage))),
    })
    return { stage, handle, ledger, deadLetters, claims, log }
  }
}

/** What the environment says of fits: `NIGHTJAR_SALT2_DIR`, a full model, and `NIGHTJAR_REDSHIFTS`, a file. */
async function fittingWorld(
  env: Environment,
): Promise<Pick<HandlerWorld, 'salt2Dir' | 'redshiftOf'>> {
  const { NIGHTJAR_SALT2_DIR: salt2Dir, NIGHTJAR_REDSHIFTS: file } = env
  const redshifts = file ? parseRedshifts(await readFile(file, 'utf8')) : undefined
  return {
    ...(salt2Dir && { salt2Dir }),
    ...(redshifts && { redshiftOf: (objectId) => redshifts.get(objectId) }),
  }
}

const noTable = (stage: string): Error => new Error(`Stage "${stage}" was given no table`)

/** The reader that lands the ledger in its table; in the cloud a BigQuery subscription does it. */
export async function ledgerReader(ground: Pipeline, table: Table): Promise<Reader> {
  const deadLetters = await ground.topic('dead_letter')
  return {
    name: 'ledger',
    subscription: await ground.subscription('ledger', 'table'),
    // A message that is no ledger event has no place in the table and must not come for ever.
    async onDelivery(delivery) {
      try {
        await table.append(ledgerRow(delivery.data))
      } catch (error) {
        if (!isPermanent(error)) throw error
        await deadLetters.publish(deadLetter(delivery, { stage: 'ledger', error, at: new Date() }))
      }
    },
    maxMessages: 4000,
  }
}

/**
 * The relay from any source to the topics of a home; `from` names the schema registry of its stream, and
 * `alerts` the topic of what are no alerts of the survey.
 */
export async function relayTo(
  ground: Pipeline,
  log: Log,
  from?: { registry: Registry; env: Environment },
  alerts?: Topic,
): Promise<Relay> {
  const shelf = openShelf(ground.home.schemas)
  return createRelay({
    alerts: alerts ?? (await ground.topic('alert_data')),
    ledger: await ground.topic('ledger'),
    deadLetters: await ground.topic('dead_letter'),
    claims: await ground.bucket('broker_files'),
    schemas: shelf,
    ...(from !== undefined && { learn: createLearner({ ...from, shelf, log }) }),
    log,
  })
}
