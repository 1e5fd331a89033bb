/** How whoever conducts comes by a conductor: the verbs of the command line, and the function of the cloud. */
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'

import { createNotices, type Notices } from '../conductor/notices.ts'
import type { ConductorSettings } from '../conductor/settings.ts'
import { tick, type Hands, type Tick, type TickOptions } from '../conductor/tick.ts'
import { topicsOfStream } from '../consumer/config.ts'
import { NightjarError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import { nightAt, nightOfTopic, parseNight, type Night } from '../core/night.ts'
import { hasEndedHere, processHere } from '../local/alive.ts'
import { environmentOf, type CloudOptions } from './cloud.ts'
import { createHands } from './conductor-hands.ts'
import { loadConductor } from './config.ts'
import { dueNights } from './due-nights.ts'
import type { HomeOptions } from './embedded.ts'
import { chooseStream, probeTopic, surveyOf, type ChosenStream } from './kafka.ts'
import { createLog } from './log.ts'
import type { NightPlace } from './night-place.ts'
import { openChannels } from './notify.ts'
import type { World } from './world.ts'

export interface NightOptions extends HomeOptions, CloudOptions {
  config?: string
  stream?: string
  brokers?: string[]
  night?: Night
  /** Exact names, instead of those that the stream has for the night. */
  kafkaTopic?: string[]
}

/** A conductor of one night. */
export interface Conductor {
  place: NightPlace
  hands: Hands
  night: Night
  notices: Notices
  settings: ConductorSettings
  options: TickOptions
}

/** Conduct the night that is meant, where it is meant. */
export async function withConductor<T>(
  world: World,
  options: NightOptions,
  work: (conductor: Conductor) => Promise<T>,
  log = createLog(world),
): Promise<T> {
  const survey = surveyOf(options)
  const chosen = await chooseStream(world, survey, options)
  const settings = await loadConductor(world, options.config)
  const { topics, boots } = topicsMeant(world, options)
  const night = nightMeant(world, options)
  const place = await openNightPlace(world, options, chosen, night, topics)
  try {
    const { rules, summary } = settings
    const { store } = place
    const now = (): number => world.now().getTime()
    const name = processHere()
    const notices = createNotices({
      ...{ store, log, now },
      channels: openChannels(settings, world.env),
    })
    const hands = await createHands({
      ...{ place, rules, log, signal: world.signal, now: world.now, notices, summary, boots },
      topicsOf: (of) => topics ?? topicsOfStream(chosen.stream, of),
      probe: (topic, group) => probeTopic(chosen, topic, group, log),
    })
    return await work({
      ...{ place, hands, night, notices, settings },
      options: {
        ...{ survey, night, store, hands, rules, log },
        owner: `${hostname()}-${process.pid}-${randomBytes(4).toString('hex')}`,
        ...(options.cloud !== true &&
          name !== undefined && {
            process: { name, hasEnded: hasEndedHere },
          }),
        now,
      },
    })
  } finally {
    await place.close()
  }
}

/** One tick, and what is to be told after it. */
export async function tickAndTell({ options, notices }: Conductor): Promise<Tick> {
  const done = await tick(options)
  await notices.deliver(options)
  return done
}

/**
 * One tick of each night that is due, oldest first. A night whose tick fails keeps no other from its own;
 * `failed` is told of it.
 */
export async function tickDue(
  world: World,
  options: NightOptions,
  failed: (night: Night, error: unknown) => void,
  log?: Log,
): Promise<Tick[]> {
  // The SDK of Cloud Storage has its variable taken from the process: each night asks for it anew.
  const own: World = { ...world, env: { ...world.env } }
  const due = await withConductor(
    own,
    options,
    ({ place: { store }, settings }) =>
      dueNights(store, surveyOf(options), world.now(), settings.rules),
    log,
  )
  const ticks: Tick[] = []
  for (const night of due) {
    if (world.signal.aborted) break
    try {
      ticks.push(await withConductor(own, { ...options, night }, tickAndTell, log))
    } catch (error) {
      failed(night, error)
    }
  }
  return ticks
}

async function openNightPlace(
  world: World,
  options: NightOptions,
  chosen: ChosenStream,
  night: Night,
  topics: readonly string[] | undefined,
): Promise<NightPlace> {
  if (options.cloud === true) {
    const { openNightCloud } = await import('./night-cloud.ts')
    return openNightCloud(world, environmentOf(world, options), options.home, chosen)
  }
  const { openNightHome } = await import('./night-home.ts')
  const { config, stream, brokers, survey } = options
  const words = [
    ...['consume', '--survey', survey, '--night', night],
    ...(config === undefined ? [] : ['--config', config]),
    ...(stream === undefined ? [] : ['--stream', stream]),
    ...(brokers === undefined ? [] : ['--brokers', ...brokers]),
    ...(topics === undefined ? [] : ['--topic', ...topics]),
  ]
  return openNightHome(world, options, chosen, words)
}

/** The night that is meant: the one that is said, or the one of the topic, or tonight. */
export function nightMeant(world: World, options: NightOptions): Night {
  const { topics } = topicsMeant(world, options)
  const ofTopic = topics?.map(nightOfTopic).find((night) => night !== undefined)
  return options.night ?? nightTold(world) ?? ofTopic ?? nightAt(world.now(), surveyOf(options))
}

/** A machine is told its night by its metadata, as the variable NIGHT; START and END mean tonight. */
function nightTold({ env }: Pick<World, 'env'>): Night | undefined {
  const told = env['NIGHT'] ?? ''
  return /^(START|END)?$/i.test(told) ? undefined : parseNight(told)
}

/** What is to be taken in. */
export interface TopicsMeant {
  /** Exact Kafka topics; absent: those that the stream has for the night. */
  topics?: string[]
  /** Whether the consumer is the conductor's to start and to stop. */
  boots: boolean
}

/**
 * And its topics as KAFKA_TOPIC, divided by commas. NONE has no consumer started, as it did for the original:
 * somebody else takes the night in.
 */
export function topicsMeant(
  { env }: Pick<World, 'env'>,
  { kafkaTopic }: Pick<NightOptions, 'kafkaTopic'>,
): TopicsMeant {
  const told = kafkaTopic ?? (env['KAFKA_TOPIC'] ?? '').split(',').map((topic) => topic.trim())
  const topics = told.filter((topic) => topic !== '')
  if (topics.length === 0) return { boots: true }
  if (!topics.includes('NONE')) return { topics, boots: true }
  if (topics.length === 1) return { boots: false }
  throw new NightjarError(
    'config_invalid',
    `Cannot take Kafka topics "${topics.join(',')}": NONE stands for no consumer, and so alone`,
  )
}
