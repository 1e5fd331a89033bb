/** `nightjar consume`: a night's Kafka topic into the broker of a home. */
import { Command, Option } from 'commander'

import { groupOfStream } from '../consumer/config.ts'
import { createIntake } from '../consumer/intake.ts'
import { startNotifying } from '../consumer/kafka/notify.ts'
import { openKafkaSource } from '../consumer/kafka/source.ts'
import { waitForTopic, type TopicReport } from '../consumer/kafka/topics.ts'
import { NightjarError } from '../core/errors.ts'
import { channelTopicName, topicGroup } from '../core/names.ts'
import { runCloudIntake } from './cloud-run.ts'
import { withCloud, type CloudOptions } from './cloud.ts'
import { controlled, withControl, type ControlOptions } from './control.ts'
import { parseDuration } from './duration.ts'
import { positive, withHome, type HomeOptions } from './embedded.ts'
import {
  chooseStream,
  chooseTopics,
  connect,
  groupFor,
  probeTopic,
  surveyOf,
  withStream,
  type ChosenStream,
  type StreamOptions,
} from './kafka.ts'
import { withMetrics, type Address } from './metrics-server.ts'
import { runSession, type Session, type Taken } from './session.ts'
import { relayTo } from './wiring.ts'
import type { World } from './world.ts'

interface ConsumeOptions extends HomeOptions, StreamOptions, ControlOptions, CloudOptions {
  wait?: boolean
  deadline: number
  once?: boolean
  rate?: number
  json?: boolean
  metrics?: Address
}

/** The command. */
export function consumeCommand(world: World): Command {
  const command = new Command('consume')
    .description(
      'Run the whole broker here on a Kafka stream: every record of a night’s topic, each ' +
        'accounted for. Goes on where the last commit left it. With --cloud, take the stream in for the ' +
        'stages of Google Cloud.',
    )
    .option('--wait', 'wait for the topic to be there and to have data')
    .addOption(
      new Option('--deadline <time>', 'how long to wait at most: 90s, 30m, 12h')
        .argParser(parseDuration)
        .default(12 * 3_600_000, '12h'),
    )
    .option('--once', 'end at the topic’s end of now, finish every stage, and audit')
    .option('--rate <n>', 'alerts a second at most', positive('rate'))
    .option('--json', 'print the summary as JSON')
  return withCloud(withControl(withMetrics(withStream(withHome(command, world)))))
    .addHelpText(
      'after',
      `
Several nights (--nights) are caught up one after the other, each to its end; those whose topics are
absent or expired are said and passed over. Without --once the last one goes on until Ctrl-C. A home
is a consumer group of its own, unless the configuration names an instance.
The exit status is 0 only if nothing is missing, 1 also where there was nothing to consume.

Examples:
  $ nightjar consume --night 20261121 --wait --deadline 12h
  $ nightjar consume --nights 20261115..20261121 --once
  $ nightjar consume --brokers localhost:9092 --topic ztf_20261121_programid1 --once
  $ nightjar consume --cloud --project my-project --night 20261121 --wait`,
    )
    .action((options: ConsumeOptions) =>
      controlled(world, options, (asked) => consume(asked, options)),
    )
}

async function consume(world: World, options: ConsumeOptions): Promise<void> {
  const chosen = await chooseStream(world, surveyOf(options), options)
  const topics = chooseTopics(world, chosen.stream, options)
  // Taking in goes on until the signal by itself, so the session has nothing to wait for but the stages.
  const metrics = options.metrics ?? chosen.config.metrics
  const asked = { ...options, once: true, ...(metrics !== undefined && { metrics }) }
  const run = options.cloud === true ? runCloudIntake : runSession
  await run(world, asked, (session) => takeIn(world, options, chosen, topics, session))
}

async function takeIn(
  world: World,
  options: ConsumeOptions,
  chosen: ChosenStream,
  topics: readonly string[],
  session: Session,
): Promise<Taken> {
  const total: Taken = { records: 0, bytes: 0 }
  const passedOver: string[] = []
  for (const topic of topics) {
    const report = await lookFor(world, options, chosen, topic, session)
    if (world.signal.aborted) break
    if (report.state === 'absent' || report.state === 'expired') {
      passedOver.push(`"${topic}" is ${report.state}`)
      continue
    }
    const last = topic === topics.at(-1)
    const taken = await takeInTopic(world, options, chosen, topic, session, !last)
    total.records += taken.records
    total.bytes += taken.bytes
    if (world.signal.aborted) break
  }
  for (const what of passedOver) world.err(`Nothing to consume: ${what}\n`)
  if (passedOver.length > 0) world.exit(1)
  if (passedOver.length === topics.length) {
    throw new NightjarError(
      'source_failed',
      `Cannot consume: ${passedOver.join(', ')}; --wait waits for data`,
    )
  }
  return total
}

/** Ask for the topic, once or until it has data. */
function lookFor(
  world: World,
  options: ConsumeOptions,
  chosen: ChosenStream,
  topic: string,
  { log }: Session,
): Promise<TopicReport> {
  const probe = (): Promise<TopicReport> => probeTopic(chosen, topic, undefined, log)
  if (options.wait !== true) return probe()
  return waitForTopic({ topic, probe, deadlineMs: options.deadline, signal: world.signal, log })
}

async function takeInTopic(
  world: World,
  options: ConsumeOptions,
  chosen: ChosenStream,
  topic: string,
  { ground, place, broker, log, metrics, topicNamed, watch }: Session,
  passing: boolean,
): Promise<Taken> {
  // In the cloud the instance is one consumer group, whichever machine it runs on.
  const group =
    options.cloud === true
      ? topicGroup(groupOfStream(chosen.stream, ground.at), topic)
      : groupFor(chosen, place, topic)
  const { registry, relayTo: aside } = chosen.stream
  const source = await openKafkaSource({
    connect: () => connect(chosen, log),
    topic,
    group,
    store: await ground.bucket('broker_files'),
    log,
    once: options.once === true || passing,
  })
  const alerts =
    aside === undefined ? undefined : await topicNamed(channelTopicName(ground.at, '', aside))
  const relay = await relayTo(ground, log, registry && { registry, env: world.env }, alerts)
  const intake = createIntake({
    source: metrics.shown(topic, source),
    relay: metrics.timed(relay),
    log,
    ...(options.rate !== undefined && { rate: options.rate }),
  })
  const notifier = startNotifying(world.env, source.getsOn)
  log('intake_started', { from: `kafka ${topic} as ${group}` })
  watch(intake)
  try {
    notifier.ready()
    await Promise.race([intake.run(world.signal), broker.failed])
  } finally {
    notifier.stop()
    await source.close()
  }
  return intake.counts()
}
