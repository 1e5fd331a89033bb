/** `nightjar replay`: send alerts again, exactly those that are meant. */
import { Command } from 'commander'

import { messageFor, sendAgain } from '../conductor/replay.ts'
import { createPace } from '../consumer/pace.ts'
import { deadLetterAttributes, revive } from '../core/dead-letter.ts'
import { NightjarError } from '../core/errors.ts'
import { kafkaTopicName } from '../core/names.ts'
import type { Night } from '../core/night.ts'
import { intake, readsOf } from '../core/pipeline.ts'
import type { Topic } from '../core/ports.ts'
import { openShelf } from '../schemas/shelf.ts'
import { nightsOf } from './audit.ts'
import { withCloud, type CloudOptions } from './cloud.ts'
import { nightArgument, positive, withHome, type HomeOptions } from './embedded.ts'
import { createLog } from './log.ts'
import { openPlace, type Place } from './place.ts'
import { asTakenIn, sendMissing } from './send-missing.ts'
import { formatCount } from './text-table.ts'
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
