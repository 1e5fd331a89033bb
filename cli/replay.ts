/** `nightjar replay`: send alerts again, exactly those that are meant. */
import { Command } from 'commander'

import { auditNight } from '../conductor/audit.ts'
import { readLedgerSets } from '../conductor/ledger-sets.ts'
import type { KnownNight } from '../conductor/nights.ts'
import {
  findArchived,
  messageFor,
  missingOf,
  sendAgain,
  type MissingOccurrence,
} from '../conductor/replay.ts'
import { rereadFiles } from '../consumer/files/reread.ts'
import { toMessage } from '../consumer/message.ts'
import { createPace } from '../consumer/pace.ts'
import { kafkaAttributes, occurrenceOf } from '../core/alert.ts'
import { deadLetterAttributes, revive } from '../core/dead-letter.ts'
import { NightjarError } from '../core/errors.ts'
import { kafkaTopicName } from '../core/names.ts'
import type { Night } from '../core/night.ts'
import { intake, stages, type StageName } from '../core/pipeline.ts'
import type { Message, Topic } from '../core/ports.ts'
import { openKnownGround, type Ground } from '../local/broker.ts'
import { openTopic } from '../local/topic.ts'
import type { SchemaSource } from '../schemas/registry.ts'
import { openShelf } from '../schemas/shelf.ts'
import { nightsOf } from './audit.ts'
import { openHomeQueries, type HomeQueries } from './door.ts'
import { instanceOf, nightArgument, positive, withHome, type HomeOptions } from './embedded.ts'
import { createLog } from './log.ts'
import { formatCount } from './text-table.ts'
import { relayTo } from './wiring.ts'
import type { World } from './world.ts'

interface ReplayOptions extends HomeOptions {
  missing?: boolean
  deadLetter?: boolean
  night?: Night
  to?: string
  rate?: number
}

/** The command. */
export function replayCommand(world: World): Command {
  const command = new Command('replay')
    .description(
      'Send alerts again: what an audit misses, what lies in the dead letters, or a night.',
    )
    .option('--missing', 'each missing occurrence, to the stage that lacks it alone')
    .option('--dead-letter', 'every dead letter, to the stage that gave it up alone')
    .option(
      '--night <date>',
      'with --missing: of this night; alone: all of its archive',
      nightArgument,
    )
    .option('--to <topic>', 'with --night: another topic than the survey’s alert topic')
    .option('--rate <n>', 'messages a second at most', positive('rate'))
  return withHome(command, world)
    .addHelpText(
      'after',
      `
A broker that runs takes them up at once; otherwise the next "nightjar run" does.

Examples:
  $ nightjar replay --missing --night 20261121
  $ nightjar replay --dead-letter
  $ nightjar replay --night 20261121 --rate 50`,
    )
    .action((options: ReplayOptions) => replay(world, options))
}

async function replay(world: World, options: ReplayOptions): Promise<void> {
  const { missing, deadLetter, night } = options
  if (missing === true && deadLetter === true) {
    throw new NightjarError(
      'config_invalid',
      'Cannot replay both --missing and --dead-letter at once',
    )
  }
  if (missing !== true && deadLetter !== true && night === undefined) {
    throw new NightjarError(
      'config_invalid',
      'Cannot replay: say what, with --missing, --dead-letter or --night',
    )
  }
  const ground = await openKnownGround(options.home, instanceOf(options))
  try {
    const sent =
      deadLetter === true
        ? await replayDeadLetters(world, options, ground)
        : missing === true
          ? await replayMissing(world, options, ground)
          : await replayNight(world, options, ground)
    world.out(`Sent ${formatCount(sent)} again.\n`)
  } finally {
    await ground.close()
  }
}

async function replayMissing(
  world: World,
  { night, rate }: ReplayOptions,
  ground: Ground,
): Promise<number> {
  const queries = await openHomeQueries(ground)
  const pace = createPace(rate)
  let sent = 0
  try {
    for (const known of await nightsOf(ground, night)) {
      const ledger = await readLedgerSets(queries.query, known.night, known.ranges)
      const audit = auditNight({ survey: ground.at.survey, ...known, ledger })
      const missing = [...missingOf(audit)]
      const left = await sendArchived(ground, queries, missing, () => pace(world.signal))
      sent += missing.length - left.length
      sent += await sendFromSources(world, ground, known, left)
    }
    return sent
  } finally {
    await queries.close()
  }
}

/** Send what the archive holds; answers what it does not. */
async function sendArchived(
  ground: Ground,
  queries: HomeQueries,
  missing: readonly MissingOccurrence[],
  pace: () => Promise<void>,
): Promise<MissingOccurrence[]> {
  const archive = await ground.bucket('alert_avro_bucket')
  const claims = await ground.bucket('broker_files')
  const left: MissingOccurrence[] = []
  for (const occurrence of missing) {
    const { stage, topic, partition, offset } = occurrence
    const sql = `SELECT objectId, candid FROM ledger
      WHERE kafka_topic = '${topic.replaceAll("'", "''")}' AND kafka_partition = ${partition}
        AND kafka_offset = ${offset} AND objectId IS NOT NULL AND candid IS NOT NULL LIMIT 1`
    let id: Record<string, unknown> | undefined
    if (stage !== intake) for await (const row of queries.query(sql)) id = row
    const { objectId, candid } = id ?? {}
    const found = id && (await readArchived(archive, occurrence, String(objectId), String(candid)))
    if (!found) {
      left.push(occurrence)
      continue
    }
    await pace()
    const { data, attributes } = asTakenIn(found, openShelf(ground.home.schemas))
    const message = messageFor(stage, data, attributes)
    await sendAgain(await ground.topic(stages[stage as StageName].reads), claims, message)
  }
  return left
}

/** An archived packet with the attributes that the intake gives, so that filters see no difference. */
function asTakenIn({ data, attributes }: Message, schemas: SchemaSource): Message {
  const timestamp = Number(attributes[kafkaAttributes.timestamp])
  return toMessage({ ...occurrenceOf(attributes), timestamp, value: data }, schemas)
}

/** The archived packet; null also where its file cannot be read, since its source may still have it. */
async function readArchived(...where: Parameters<typeof findArchived>): Promise<Message | null> {
  try {
    return await findArchived(...where)
  } catch (error) {
    if (error instanceof NightjarError && error.code === 'store_failed') return null
    throw error
  }
}

/** Read what is left from where it came from and relay it. */
async function sendFromSources(
  world: World,
  ground: Ground,
  known: KnownNight,
  left: readonly MissingOccurrence[],
): Promise<number> {
  if (left.length === 0) return 0
  const store = await ground.bucket('broker_files')
  const relay = await relayTo(ground, createLog(world))
  const keyOf = (one: { topic: string; partition: number; offset: bigint }): string =>
    `${one.topic} ${one.partition} ${one.offset}`
  const stagesLeft = new Map<string, string[]>()
  for (const one of left) {
    stagesLeft.set(keyOf(one), [...(stagesLeft.get(keyOf(one)) ?? []), one.stage])
  }
  let sent = 0
  for (const progress of known.topics) {
    for (const { source } of progress.sources) {
      // A Kafka topic is no file; its intake commits nothing that is not accounted for.
      if (source.startsWith('kafka:')) continue
      const records = rereadFiles(
        { from: source, topic: progress.topic, store },
        (record) => stagesLeft.has(keyOf(record)),
        world.signal,
      )
      for await (const record of records) {
        // What the intake lacks becomes a message for all stages, and so serves the others, too.
        await relay(record)
        sent += stagesLeft.get(keyOf(record))?.length ?? 0
        stagesLeft.delete(keyOf(record))
      }
    }
  }
  for (const key of stagesLeft.keys()) world.err(`Not found again where it came from: ${key}\n`)
  if (stagesLeft.size > 0) world.exit(1)
  return sent
}

async function replayDeadLetters(
  world: World,
  { rate }: ReplayOptions,
  ground: Ground,
): Promise<number> {
  const subscription = await ground.subscription('dead_letter', 'replay')
  const claims = await ground.bucket('broker_files')
  const pace = createPace(rate)
  const stop = new AbortController()
  let { messages: left } = await subscription.backlog()
  let sent = 0
  if (left === 0) return 0
  // Only what lies there now: a letter that dies again waits for the next replay.
  await subscription.receive(
    async (letter) => {
      if (left <= 0) throw new Error('after those that are meant')
      left--
      await pace(world.signal)
      const stage = letter.attributes[deadLetterAttributes.stage] ?? intake
      const { data, attributes } = revive(letter)
      const reads = stage in stages ? stages[stage as StageName].reads : 'alert_data'
      await sendAgain(await ground.topic(reads), claims, messageFor(stage, data, attributes))
      if (++sent && left === 0) stop.abort()
    },
    { signal: AbortSignal.any([world.signal, stop.signal]), maxMessages: 16 },
  )
  return sent
}

async function replayNight(
  world: World,
  { night, to, rate }: ReplayOptions,
  ground: Ground,
): Promise<number> {
  const archive = await ground.bucket('alert_avro_bucket')
  const claims = await ground.bucket('broker_files')
  const topic: Topic =
    to === undefined ? await ground.topic('alert_data') : await openTopic(ground.messages, to)
  const pace = createPace(rate)
  const shelf = openShelf(ground.home.schemas)
  let sent = 0
  for await (const { name } of archive.list(`${kafkaTopicName(ground.at.survey, night ?? '')}/`)) {
    if (world.signal.aborted) break
    const found = await archive.read(name)
    if (found === null) continue
    await pace(world.signal)
    const { data, object } = found
    await sendAgain(topic, claims, asTakenIn({ data, attributes: object.metadata }, shelf))
    sent++
  }
  return sent
}
