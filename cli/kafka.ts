/** How verbs find a Kafka stream: the options they share, the stream and the topics they mean. */
import { createHash } from 'node:crypto'
import { hostname } from 'node:os'

import { Option, type Command } from 'commander'

import {
  groupOfStream,
  parseAddress,
  streamOf,
  topicsOfStream,
  type Config,
  type Stream,
} from '../consumer/config.ts'
import { refusalOf, unreachable } from '../consumer/kafka/refusal.ts'
import { describeTopic, withAdmin, type TopicReport } from '../consumer/kafka/topics.ts'
import { NightjarError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import { kafkaTopicName, parseSurvey, topicGroup, type Survey } from '../core/names.ts'
import { nightOfDate, nightsBetween, parseNight, type Night } from '../core/night.ts'
import { loadConfig, withConfig } from './config.ts'
import { nightArgument } from './embedded.ts'
import type { World } from './world.ts'

export interface StreamOptions {
  config?: string
  stream?: string
  brokers?: string[]
  night?: Night
  nights?: Night[]
  topic?: string[]
}

/** Add the options that name a stream and its topics. */
export function withStream(command: Command): Command {
  return withConfig(command)
    .option('--stream <name>', 'a stream of the configuration; the survey’s if absent')
    .addOption(
      new Option('--brokers <address...>', 'host:port of Kafka brokers, without a configuration'),
    )
    .option('--night <date>', 'UTC date of the night; tonight if absent', nightArgument)
    .option('--nights <from..to>', 'several nights, 20261119..20261121', nightsArgument)
    .option('--topic <name...>', 'Kafka topics by their exact names, instead of a night’s')
}

/** A stream, with whatever else the configuration says. */
export interface ChosenStream {
  config: Config
  stream: Stream
}

/** The stream that is meant. Throws `config_invalid` where there is none, or several might be. */
export async function chooseStream(
  world: World,
  survey: Survey,
  options: StreamOptions,
): Promise<ChosenStream> {
  const { brokers, stream: name } = options
  if (brokers !== undefined) {
    for (const broker of brokers) checkAddress(broker)
    const topics = [kafkaTopicName(survey, '{night}')]
    return {
      config: { streams: {} },
      stream: { name: survey, survey, brokers, topics, clientId: 'nightjar' },
    }
  }
  const config = await loadConfig(world, options.config)
  if (name !== undefined) {
    const stream = streamOf(config, name)
    if (stream.survey === survey) return { config, stream }
    throw new NightjarError(
      'config_invalid',
      `Cannot take stream "${name}" for ${survey}: it has alerts of ${stream.survey}; give --survey`,
    )
  }
  const own = Object.values(config.streams).filter(
    (stream) => stream.survey === survey && stream.relayTo === undefined,
  )
  const stream = own.find((one) => one.name === survey) ?? (own.length === 1 ? own[0] : undefined)
  if (stream !== undefined) return { config, stream }
  const names = own.map((one) => one.name).join(', ')
  throw new NightjarError(
    'config_invalid',
    own.length === 0
      ? `Cannot find a stream of ${survey}: configure one (see docs/nightjar.toml), or give --brokers`
      : `Cannot choose a stream of ${survey}: give --stream, one of ${names}`,
  )
}

/** The topics that are meant, oldest night first. */
export function chooseTopics(world: World, stream: Stream, options: StreamOptions): string[] {
  if (options.topic !== undefined) return options.topic
  const nights = options.nights ?? [options.night ?? nightOfDate(world.now())]
  return [...new Set(nights.flatMap((night) => topicsOfStream(stream, night)))]
}

/**
 * The group that a home consumes a topic in. Two homes are two instances, unless the configuration
 * names one: they must not divide a topic between them.
 */
export function groupFor(chosen: ChosenStream, home: string, topic: string): string {
  const { config, stream } = chosen
  const own = createHash('sha256').update(`${hostname()}\0${home}`).digest('hex').slice(0, 8)
  const instance = config.instance ?? `home${own}`
  const at = { survey: stream.survey, project: 'local', instance }
  return topicGroup(groupOfStream(stream, at), topic)
}

/** A client of the stream; kafkajs is loaded only now. */
export async function connect({ stream }: ChosenStream, log: Log) {
  const { kafkaClient } = await import('../consumer/kafka/client.ts')
  return kafkaClient(stream, log)
}

/** Ask something by a connection of its own. Throws one sentence where it is refused, or nobody answers. */
export async function askKafka<T>(
  chosen: ChosenStream,
  log: Log,
  ask: (admin: Parameters<typeof describeTopic>[0]) => Promise<T>,
): Promise<T> {
  const kafka = await connect(chosen, log)
  try {
    return await withAdmin(kafka, ask)
  } catch (error) {
    throw refusalOf(error) ?? unreachable(error, chosen.stream.brokers) ?? error
  }
}

/** Ask for one topic by a connection of its own. */
export async function probeTopic(
  chosen: ChosenStream,
  topic: string,
  group: string | undefined,
  log: Log,
): Promise<TopicReport> {
  return askKafka(chosen, log, (admin) => describeTopic(admin, topic, group))
}

/** Whose alerts a verb means. */
export const surveyOf = ({ survey }: { survey: string }): Survey => parseSurvey(survey)

/** `20261119..20261121`, as typed. */
function nightsArgument(text: string): Night[] {
  const [from, to, ...rest] = text.split('..')
  if (from === undefined || to === undefined || rest.length > 0) {
    throw new NightjarError(
      'config_invalid',
      `Cannot take nights "${text}": write them as 20261119..20261121`,
    )
  }
  return nightsBetween(parseNight(from), parseNight(to))
}

function checkAddress(text: string): void {
  if (parseAddress(text) !== undefined) return
  throw new NightjarError(
    'config_invalid',
    `Cannot take broker "${text}": it must be host:port, such as localhost:9092`,
  )
}
