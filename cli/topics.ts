/** `nightjar topics`: what a Kafka stream has, by exact names and watermarks. */
import { Command } from 'commander'

import { describeTopic, recordsIn, type TopicReport } from '../consumer/kafka/topics.ts'
import { nightOfDate, nightsBetween, type Night } from '../core/night.ts'
import { homeAt } from '../local/home.ts'
import { withHome, type HomeOptions } from './embedded.ts'
import {
  askKafka,
  chooseStream,
  chooseTopics,
  groupFor,
  surveyOf,
  withStream,
  type StreamOptions,
} from './kafka.ts'
import { createLog } from './log.ts'
import { formatCount, formatTable } from './text-table.ts'
import type { World } from './world.ts'

interface TopicsOptions extends HomeOptions, StreamOptions {
  partitions?: boolean
  json?: boolean
}

/** Nights that a survey keeps on its brokers, and tonight. */
const keptNights = 7

/** The command. */
export function topicsCommand(world: World): Command {
  const command = new Command('topics')
    .description(
      'Show the topics of a Kafka stream: absent, empty, has data or expired, and how far they ' +
        'are taken in. The last nights, if none is named.',
    )
    .option('--partitions', 'a line for each partition')
    .option('--json', 'print as JSON')
  return withStream(withHome(command, world))
    .addHelpText(
      'after',
      `
A topic is looked for by its exact name; looking never creates one. The exit status is 0 only if one
of them has data.

Examples:
  $ nightjar topics
  $ nightjar topics --night 20261121 --partitions
  $ nightjar topics --brokers localhost:9092 --topic ztf_20261121_programid1 --json`,
    )
    .action((options: TopicsOptions) => showTopics(world, options))
}

async function showTopics(world: World, options: TopicsOptions): Promise<void> {
  const chosen = await chooseStream(world, surveyOf(options), options)
  const named = options.night ?? options.nights ?? options.topic
  const nights = named === undefined ? { nights: lastNights(world.now()) } : {}
  const topics = chooseTopics(world, chosen.stream, { ...options, ...nights })
  const home = homeAt(options.home).path
  const reports = await askKafka(chosen, createLog(world), async (admin) => {
    const found: TopicReport[] = []
    for (const topic of topics) {
      found.push(await describeTopic(admin, topic, groupFor(chosen, home, topic)))
    }
    return found
  })
  if (options.json === true) world.out(formatJson(reports))
  else world.out(options.partitions === true ? formatPartitions(reports) : formatTopics(reports))
  if (!reports.some(({ state }) => state === 'has data')) world.exit(1)
}

function lastNights(now: Date): Night[] {
  const first = new Date(now.getTime() - keptNights * 86_400_000)
  return nightsBetween(nightOfDate(first), nightOfDate(now))
}

function formatTopics(reports: readonly TopicReport[]): string {
  const rows = reports.map((report) => {
    const { topic, state, partitions } = report
    if (state === 'absent') return [topic, state, '–', '–', '–', '–']
    const read = partitions.some(({ committed }) => committed !== undefined)
    return [
      topic,
      state,
      String(partitions.length),
      formatCount(Number(recordsIn(report))),
      read ? formatCount(sum(report, ({ low, committed }) => (committed ?? low) - low)) : '–',
      formatCount(sum(report, ({ low, high, committed }) => high - (committed ?? low))),
    ]
  })
  return formatTable(['topic', 'state', 'partitions', 'records', 'taken in', 'to do'], rows)
}

function formatPartitions(reports: readonly TopicReport[]): string {
  const rows = reports.flatMap(({ topic, state, partitions }) =>
    partitions.length === 0
      ? [[topic, state, '–', '–', '–']]
      : partitions.map(({ partition, low, high, committed }) => [
          `${topic}[${partition}]`,
          state,
          String(low),
          String(high),
          committed === undefined ? '–' : String(committed),
        ]),
  )
  return formatTable(['partition', 'state', 'low', 'high', 'committed'], rows)
}

function formatJson(reports: readonly TopicReport[]): string {
  const plain = (_: string, value: unknown): unknown =>
    typeof value === 'bigint' ? String(value) : value
  return `${JSON.stringify(reports, plain, 2)}\n`
}

const sum = (
  { partitions }: TopicReport,
  of: (partition: TopicReport['partitions'][number]) => bigint,
): number => Number(partitions.reduce((all, partition) => all + of(partition), 0n))
