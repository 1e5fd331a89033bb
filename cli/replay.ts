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
import type { Log } from '../core/log.ts'
import { kafkaTopicName } from '../core/names.ts'
import type { Night } from '../core/night.ts'
import { intake, readsOf } from '../core/pipeline.ts'
import type { Message, Topic } from '../core/ports.ts'
import { judgeTransient } from '../functions/exgalac/exgalac.ts'
import type { SchemaSource } from '../schemas/registry.ts'
import { openShelf } from '../schemas/shelf.ts'
import { nightsOf } from './audit.ts'
import { withCloud, type CloudOptions } from './cloud.ts'
import { nightArgument, positive, withHome, type HomeOptions } from './embedded.ts'
import { createLog } from './log.ts'
import { openPlace, type Place } from './place.ts'
import { formatCount } from './text-table.ts'
import { relayTo, type Pipeline } from './wiring.ts'
import type { World } from './world.ts'

interface ReplayOptions extends HomeOptions, CloudOptions {
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
  return withCloud(withHome(command, world))
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
  const place = await openPlace(world, options)
  try {
    const sent =
      deadLetter === true
        ? await replayDeadLetters(world, options, place)
        : missing === true
          ? await replayMissing(world, options, place)
          : await replayNight(world, options, place)
    world.out(`Sent ${formatCount(sent)} again.\n`)
  } finally {
    await place.close()
  }
}

async function replayMissing(
  world: World,
  { night, rate }: ReplayOptions,
  place: Place,
): Promise<number> {
  const pace = createPace(rate)
  const log = createLog(world)
  let sent = 0
  for (const known of await nightsOf(place, night)) {
    const done = await sendMissing(place, known, { log, signal: world.signal, pace })
    sent += done.sent
    for (const key of done.notFound) world.err(`Not found again where it came from: ${key}\n`)
    if (done.notFound.length > 0) world.exit(1)
  }
  return sent
}

export interface SendOptions {
  log: Log
  signal: AbortSignal
  pace?: (signal: AbortSignal) => Promise<void>
}

/**
 * Send what the audit of a night misses, each to the stage that lacks it. `notFound` is what neither
 * the archive nor its source has, as `topic partition offset`.
 */
export async function sendMissing(
  place: Pick<Place, 'ground' | 'query'>,
  known: KnownNight,
  options: SendOptions,
): Promise<{ sent: number; notFound: string[] }> {
  const { ground, query } = place
  const { signal, pace = async () => {} } = options
  const ledger = await readLedgerSets(query, known.night, known.ranges)
  const audit = auditNight({ survey: ground.at.survey, ...known, ledger })
  const missing = [...missingOf(audit)]
  const left = await sendArchived(place, missing, () => pace(signal))
  const found = await sendFromSources(ground, known, left, options)
  return { sent: missing.length - left.length + found.sent, notFound: found.notFound }
}

/** Send what the archive holds; answers what it does not. */
async function sendArchived(
  { ground, query }: Pick<Place, 'ground' | 'query'>,
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
    if (stage !== intake) for await (const row of query(sql)) id = row
    const { objectId, candid } = id ?? {}
    const found = id && (await readArchived(archive, occurrence, String(objectId), String(candid)))
    if (!found) {
      left.push(occurrence)
      continue
    }
    const input = inputOf(stage, found, openShelf(ground.home.schemas))
    if (input === undefined) {
      left.push(occurrence)
      continue
    }
    await pace()
    const message = messageFor(stage, input.data, input.attributes)
    await sendAgain(await ground.topic(readsOf(stage)), claims, message)
  }
  return left
}

/**
 * What a stage was given for an archived packet, byte for byte: users read these topics, too. Undefined
 * where the stage before would not have passed this packet on.
 */
function inputOf(stage: string, found: Message, schemas: SchemaSource): Message | undefined {
  const taken = asTakenIn(found, schemas)
  return readsOf(stage) === 'exgalac_trans' ? judgeTransient(taken, schemas).transient : taken
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
  ground: Pipeline,
  known: KnownNight,
  left: readonly MissingOccurrence[],
  { log, signal }: SendOptions,
): Promise<{ sent: number; notFound: string[] }> {
  if (left.length === 0) return { sent: 0, notFound: [] }
  const store = await ground.bucket('broker_files')
  const relay = await relayTo(ground, log)
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
        signal,
      )
      for await (const record of records) {
        // What the intake lacks becomes a message for all stages, and so serves the others, too.
        await relay(record)
        sent += stagesLeft.get(keyOf(record))?.length ?? 0
        stagesLeft.delete(keyOf(record))
      }
    }
  }
  return { sent, notFound: [...stagesLeft.keys()] }
}

/** How long the cloud may take to hand out the next dead letter. */
const quietMs = 10_000

async function replayDeadLetters(
  world: World,
  { rate, cloud }: ReplayOptions,
  { ground }: Place,
): Promise<number> {
  const subscription = await ground.subscription('dead_letter', 'replay')
  const claims = await ground.bucket('broker_files')
  const pace = createPace(rate)
  const stop = new AbortController()
  // The cloud's backlog comes minutes late: there, no letter for a while means that there is none.
  let left = cloud === true ? Infinity : (await subscription.backlog()).messages
  let sent = 0
  if (left === 0) return 0
  const now = world.now()
  const quiet = cloud === true ? setTimeout(() => stop.abort(), quietMs) : undefined
  // Only what lies there now: a letter that dies again waits for the next replay.
  await subscription.receive(
    async (letter) => {
      if (left <= 0 || (cloud === true && letter.publishedAt > now))
        throw new Error('after those that are meant')
      left--
      quiet?.refresh()
      await pace(world.signal)
      const stage = letter.attributes[deadLetterAttributes.stage] ?? intake
      const { data, attributes } = revive(letter)
      await sendAgain(
        await ground.topic(readsOf(stage)),
        claims,
        messageFor(stage, data, attributes),
      )
      if (++sent && left === 0) stop.abort()
    },
    { signal: AbortSignal.any([world.signal, stop.signal]), maxMessages: 16 },
  )
  return sent
}

async function replayNight(
  world: World,
  { night, to, rate }: ReplayOptions,
  { ground, topicNamed }: Place,
): Promise<number> {
  const archive = await ground.bucket('alert_avro_bucket')
  const claims = await ground.bucket('broker_files')
  const topic: Topic = to === undefined ? await ground.topic('alert_data') : await topicNamed(to)
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
