/**
 * How an instance in Google Cloud, or on emulators of it, is run from a machine or a laptop: its stages by
 * pulling, and what is taken in.
 */
import { setTimeout as pause } from 'node:timers/promises'

import type { CloudGround } from '../cloud/ground.ts'
import { auditNight } from '../conductor/audit.ts'
import { readLedgerSets } from '../conductor/ledger-sets.ts'
import { knownNights } from '../conductor/nights.ts'
import type { Environment } from '../core/environment.ts'
import { NightjarError } from '../core/errors.ts'
import {
  filterReadersOf,
  readersOf,
  stageNamed,
  stagesOf,
  type AnyReader,
  type FilterReader,
  type StageReader,
} from '../core/pipeline.ts'
import type { Table } from '../core/ports.ts'
import { startReaders, type Reader, type Running } from '../local/broker.ts'
import { auditOf, formatAudit } from './audit.ts'
import { environmentOf, openCloud, type CloudOptions } from './cloud.ts'
import { endInTime } from './ending.ts'
import { createLog } from './log.ts'
import { noMetrics, serveMetrics } from './metrics.ts'
import { aborted, type Session, type SessionOptions, type Taken } from './session.ts'
import { ledgerReader, sharedReaders } from './wiring.ts'
import type { World } from './world.ts'

/**
 * For how long readers must have had nothing to do before the ledger is asked, which is a paid query in
 * BigQuery and disturbs an emulator that stores rows meanwhile.
 */
const quietMs = { real: 15_000, emulated: 1500 }

/**
 * For how long the ledger may stand still before a run with --once gives up. What a killed receiver had
 * out comes again after a minute, when its lease has lapsed.
 */
const defaultPatienceMs = 180_000

/**
 * Pull the stages of an instance, let `takeIn` take in, and wait: for the signal, or with `--once` until
 * the ledger accounts for every record at every stage. A backlog would be no proof: Google's comes
 * minutes late.
 */
export function runCloudSession(
  world: World,
  options: SessionOptions & CloudOptions,
  takeIn: (session: Session) => Promise<Taken>,
): Promise<void> {
  return endInTime(world.signal, (alive) => standInCloud(world, options, takeIn, alive))
}

async function standInCloud(
  world: World,
  options: SessionOptions & CloudOptions,
  takeIn: (session: Session) => Promise<Taken>,
  alive: () => void,
): Promise<void> {
  const plain = createLog(world)
  const metrics = options.metrics ? await serveMetrics(options.metrics, plain) : noMetrics
  const log = metrics.counted(plain)
  const environment = environmentOf(world, options)
  const named = readersWanted(environment, options.stages)
  const ground = await openCloud(world, environment, options)
  let running: Running | undefined
  try {
    const emulated = environment.emulators.pubsub !== undefined
    const filters = options.stages === undefined ? await filterReaders(ground) : []
    const wanted: AnyReader[] = [...named, ...filters]
    const names = wanted.flatMap((reader): readonly string[] => reader.stages)
    const needsTable = named.some((reader) =>
      reader.stages.some((stage) => stageNamed(stage).table !== undefined),
    )
    const table = needsTable || emulated || options.once === true ? await ground.table() : undefined
    const readers = await sharedReaders(ground, wanted, log, world.env, table)
    // In the cloud a BigQuery subscription lands the ledger; an emulator has no such thing.
    if (emulated && table !== undefined) readers.push(await ledgerReader(ground, table))
    const activity = watchActivity(readers, alive)
    running = startReaders(activity.readers, log)
    const { project, survey } = environment.at
    log('broker_started', { home: `project ${project}`, survey, stages: names })
    const { failed } = running
    const place = `${project}/${environment.at.instance ?? ''}`
    const started = performance.now()
    const { watch } = metrics
    const { topicNamed } = ground
    const session = { ground, place, broker: { failed }, log, metrics, topicNamed, watch }
    const taken = await Promise.race([takeIn(session), failed])
    if (options.once !== true || table === undefined) {
      await Promise.race([aborted(world.signal), failed])
    } else if (!world.signal.aborted) {
      const ms = emulated ? quietMs.emulated : quietMs.real
      const quiet = (): Promise<void> => activity.quiet(ms, world.signal)
      await Promise.race([
        accounted(ground, table, quiet, options.patience ?? defaultPatienceMs, world.signal),
        failed,
      ])
      await report(world, options, ground, table, taken, (performance.now() - started) / 1000)
    }
  } finally {
    await running?.close()
    alive()
    await ground.close()
    await metrics.close()
  }
  log('broker_stopped', { reason: world.signal.aborted ? 'asked to' : 'all is done' })
}

/**
 * Stand on an instance to take in, and nothing else: its stages run elsewhere. Ends when the taking in
 * does, with every publish acknowledged and every offset that may be committed.
 */
export async function runCloudIntake(
  world: World,
  options: SessionOptions & CloudOptions,
  takeIn: (session: Session) => Promise<Taken>,
): Promise<void> {
  const plain = createLog(world)
  const metrics = options.metrics ? await serveMetrics(options.metrics, plain) : noMetrics
  const log = metrics.counted(plain)
  const environment = environmentOf(world, options)
  const ground = await openCloud(world, environment, options)
  try {
    const { project, instance } = environment.at
    const place = `${project}/${instance ?? ''}`
    const { topicNamed } = ground
    const broker = { failed: new Promise<never>(() => {}) }
    const { watch } = metrics
    const taken = await takeIn({ ground, place, broker, log, metrics, topicNamed, watch })
    if (options.json === true) world.out(`${JSON.stringify(taken)}\n`)
  } finally {
    await ground.close()
    await metrics.close()
  }
}

/** The readers of the named filters that an instance was deployed with. */
async function filterReaders(ground: CloudGround): Promise<FilterReader[]> {
  const found: FilterReader[] = []
  for (const reader of filterReadersOf(ground.at.survey)) {
    if (await ground.hasReader(reader)) found.push(reader)
  }
  return found
}

/** Readers that tell when they have done something, and when none of them has anything to do. */
function watchActivity(
  readers: readonly Reader[],
  onDone: () => void,
): {
  readers: Reader[]
  quiet(ms: number, signal: AbortSignal): Promise<void>
} {
  let underWay = 0
  let last = performance.now()
  return {
    readers: readers.map((reader) => ({
      ...reader,
      async onDelivery(delivery) {
        underWay++
        try {
          await reader.onDelivery(delivery)
          onDone()
        } finally {
          underWay--
          last = performance.now()
        }
      },
    })),
    async quiet(ms, signal) {
      const from = performance.now()
      while (!signal.aborted) {
        if (underWay === 0 && performance.now() - Math.max(last, from) >= ms) return
        await pause(100, undefined, { signal }).catch(() => {})
      }
    },
  }
}

/** Resolves when nothing is missing in the ledger, or when it has stood still for too long. */
async function accounted(
  ground: CloudGround,
  table: Table,
  quiet: () => Promise<void>,
  waitMs: number,
  signal: AbortSignal,
): Promise<void> {
  let least = Infinity
  let since = performance.now()
  for (;;) {
    await quiet()
    if (signal.aborted) return
    let missing = 0
    for (const known of await knownNights(await ground.bucket('broker_files'))) {
      const ledger = await readLedgerSets(table.query, known.night, known.ranges, known.lateStages)
      missing += auditNight({ survey: ground.at.survey, ...known, ledger }).missingCount
    }
    if (missing === 0) return
    if (missing < least) {
      least = missing
      since = performance.now()
    }
    if (performance.now() - since > waitMs) return
  }
}

async function report(
  world: World,
  { json }: SessionOptions,
  ground: CloudGround,
  table: Table,
  taken: Taken,
  seconds: number,
): Promise<void> {
  const audits = []
  for (const night of await knownNights(await ground.bucket('broker_files'))) {
    audits.push(await auditOf(ground, table.query, night, world.now()))
  }
  if (json === true) {
    const nights = audits.map(({ record }) => record)
    world.out(`${JSON.stringify({ ...taken, seconds, nights }, null, 2)}\n`)
  } else {
    for (const audit of audits) world.out(formatAudit(audit, 100))
  }
  if (audits.some(({ record }) => record.state !== 'complete')) world.exit(1)
}

/**
 * The readers of `--stages salt2`, of `none`, or all of the survey's. Stages that share their deliveries go
 * together: to ack what one of them has done would take it from the others.
 */
function readersWanted({ at }: Environment, text: string | undefined): StageReader[] {
  const readers = readersOf(at.survey)
  if (text === undefined) return readers
  if (text === 'none') return []
  const known = stagesOf(at.survey)
  const asked = text.split(',').map((word) => {
    const stage = known.find((name) => name === word.trim())
    if (stage !== undefined) return stage
    throw new NightjarError(
      'config_invalid',
      `Cannot run stage "${word}" of ${at.survey}: known are ${known.join(', ')}, and none`,
    )
  })
  return readers.filter(({ stages: served }) => {
    const missing = served.filter((stage) => !asked.includes(stage))
    if (missing.length === 0 || missing.length === served.length) return missing.length === 0
    throw new NightjarError(
      'config_invalid',
      `Cannot run ${served.filter((stage) => asked.includes(stage)).join(', ')} alone: one ` +
        `subscription brings messages to ${served.join(', ')}; name them all`,
    )
  })
}
