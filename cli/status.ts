/** `nightjar status`: what a home holds and what is still to do in it. */
import { Command } from 'commander'

import { knownNights } from '../conductor/nights.ts'
import { NightjarError } from '../core/errors.ts'
import { openKnownGround, type Ground } from '../local/broker.ts'
import { runningBroker } from '../local/home.ts'
import { openHomeQueries } from './door.ts'
import { instanceOf, withHome, type HomeOptions } from './embedded.ts'
import { formatBytes, formatCount, formatTable } from './text-table.ts'
import type { World } from './world.ts'

interface Status {
  home: string
  /** Process of the running broker, if one runs. */
  running: number | null
  subscriptions: { name: string; messages: number; bytes: number }[]
  nights: { night: string; source: string; taken: number; known: number; ended: boolean }[]
  outcomes: { stage: string; outcome: string; occurrences: number }[]
  buckets: { bucket: string; objects: number; bytes: number }[]
}

/** The command. */
export function statusCommand(world: World): Command {
  const command = new Command('status')
    .description('Show what a home holds and what is still to do, also while the broker runs.')
    .option('--json', 'print it as JSON')
  return withHome(command, world).action((options: HomeOptions & { json?: boolean }) =>
    status(world, options),
  )
}

async function status(world: World, options: HomeOptions & { json?: boolean }): Promise<void> {
  const ground = await openKnownGround(options.home, instanceOf(options))
  try {
    const found = await readStatus(ground)
    world.out(options.json === true ? `${JSON.stringify(found, null, 2)}\n` : formatStatus(found))
  } finally {
    await ground.close()
  }
}

async function readStatus(ground: Ground): Promise<Status> {
  const { home, journal } = ground
  const subscriptions = journal
    .statement(
      `SELECT name, count(seq) AS messages, coalesce(sum(size), 0) AS bytes
       FROM subscription LEFT JOIN message
         ON message.topic = subscription.topic AND seq > cursor
         AND seq NOT IN (SELECT value FROM json_each(acked))
       GROUP BY name ORDER BY name`,
    )
    .all()
  const buckets = journal
    .statement(
      'SELECT bucket, count(*) AS objects, sum(size) AS bytes FROM object GROUP BY bucket ORDER BY bucket',
    )
    .all()
  const nights = await knownNights(await ground.bucket('broker_files'))
  return {
    home: home.path,
    running: runningBroker(home) ?? null,
    subscriptions: subscriptions.map((row) => ({
      name: String(row['name']),
      messages: Number(row['messages']),
      bytes: Number(row['bytes']),
    })),
    nights: nights.flatMap(({ night, topics }) =>
      topics.flatMap(({ sources, partitions }) =>
        sources.map(({ source, ended }) => {
          const own = partitions.filter((partition) => partition.source === source)
          const total = (value: (one: (typeof own)[0]) => bigint): number =>
            own.reduce((sum, one) => sum + Number(value(one)), 0)
          return {
            night,
            source,
            taken: total(({ next, low }) => next - low),
            known: total(({ high, low }) => high - low),
            ended,
          }
        }),
      ),
    ),
    outcomes: await readOutcomes(ground),
    buckets: buckets.map((row) => ({
      bucket: String(row['bucket']),
      objects: Number(row['objects']),
      bytes: Number(row['bytes']),
    })),
  }
}

/** What the ledger holds; nothing where no broker has run yet. */
async function readOutcomes(ground: Ground): Promise<Status['outcomes']> {
  const outcomes: Status['outcomes'] = []
  try {
    const queries = await openHomeQueries(ground)
    try {
      // An event that came twice counts once, as in the audit; a gap counts its offsets.
      const sql = `SELECT stage, outcome, SUM(span) AS n FROM (
                     SELECT DISTINCT stage, outcome, kafka_topic, kafka_partition, kafka_offset, span
                     FROM ledger)
                   GROUP BY stage, outcome ORDER BY stage, outcome`
      for await (const { stage, outcome, n } of queries.query(sql)) {
        outcomes.push({ stage: String(stage), outcome: String(outcome), occurrences: Number(n) })
      }
    } finally {
      await queries.close()
    }
  } catch (error) {
    if (!(error instanceof NightjarError)) throw error
  }
  return outcomes
}

function formatStatus(found: Status): string {
  const running =
    found.running === null ? 'no broker runs' : `a broker runs, process ${found.running}`
  let text = `${found.home}: ${running}\n`
  const section = (title: string, heads: string[], rows: string[][]): void => {
    if (rows.length > 0) text += `\n${title}\n${formatTable(heads, rows)}`
  }
  section(
    'Taken in',
    ['night', 'taken', 'known', 'to its end', 'source'],
    found.nights.map(({ night, taken, known, ended, source }) => [
      night,
      formatCount(taken),
      formatCount(known),
      ended ? 'yes' : 'no',
      source,
    ]),
  )
  section(
    'To do',
    ['subscription', 'messages', 'bytes'],
    found.subscriptions.map(({ name, messages, bytes }) => [
      name,
      formatCount(messages),
      formatBytes(bytes),
    ]),
  )
  section(
    'Ledger',
    ['stage', 'outcome', 'occurrences'],
    found.outcomes.map(({ stage, outcome, occurrences }) => [
      stage,
      outcome,
      formatCount(occurrences),
    ]),
  )
  section(
    'Buckets',
    ['bucket', 'objects', 'bytes'],
    found.buckets.map(({ bucket, objects, bytes }) => [
      bucket,
      formatCount(objects),
      formatBytes(bytes),
    ]),
  )
  return text
}
