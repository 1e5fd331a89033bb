/** `nightjar subscribe`: what a topic carries, as JSON lines, from now on. */
import { Command } from 'commander'

import type { Alert } from '../client/alert.ts'
import { createClient, type Connection } from '../client/subscribe.ts'
import { NightjarError } from '../core/errors.ts'
import { openGround } from '../local/broker.ts'
import { openSubscription } from '../local/subscription.ts'
import { environmentOf, openCloud, withCloud, type CloudOptions } from './cloud.ts'
import { fitLine } from './fit-text.ts'
import { instanceOf, withHome, type HomeOptions } from './embedded.ts'
import { toJson } from './query.ts'
import { joinFilters, messageFilter } from './select.ts'
import type { World } from './world.ts'

interface SubscribeOptions extends HomeOptions, CloudOptions {
  topicProject?: string
  filter?: string
  select?: string
  name?: string
  max?: number
  drain?: boolean
  attributes?: boolean
  fits?: boolean
}

/** An unnamed subscription is forgotten this long after its reader is gone. */
const expireMs = 60_000

/** The command. */
export function subscribeCommand(world: World): Command {
  const command = new Command('subscribe')
    .description('Print what is published on a topic from now on, one JSON object a line.')
    .argument('<topic>', 'such as ztf_exgalac_trans, ztf_salt2, ztf_ledger, ztf_dead_letter')
    .option('--filter <expr>', "Pub/Sub's filter language on attributes")
    .option('--select <selector>', 'only alerts that a selector selects: rb > 0.65 AND ndet > 2')
    .option('--name <name>', 'keep the subscription under this name and go on where it was left')
    .option('--max <n>', 'end after this many; 0 makes the subscription and ends', Number)
    .option('--drain', 'end when nothing waits')
    .option('--attributes', 'print attributes alone and leave the alert closed')
    .option('--fits', 'a line for people for each fit on ztf_salt2')
  return withCloud(withHome(command, world))
    .option('--topic-project <id>', 'with --cloud: the project of the topic, where it is another')
    .addHelpText(
      'after',
      `
Alerts come decoded, without cutouts. Ctrl-C ends.

A named subscription sees all that is published from its making on, whether or not it is read then.

--filter looks at attributes, in the cloud's own language; --select looks into the alert, or into
the properties of what is no alert, in the language of "nightjar filter".

Examples:
  $ nightjar subscribe ztf_alert_data --select 'rb > 0.65 AND cone(188.7, 12.4, 0.5)'
  $ nightjar subscribe ztf_exgalac_trans --filter 'attributes.is_pure = "1"'
  $ nightjar subscribe ztf_salt2 --fits --filter 'attributes.before_maximum = "1"'
  $ nightjar subscribe ztf_dead_letter --attributes
  $ nightjar subscribe ztf_exgalac_trans --cloud --project mine --topic-project theirs`,
    )
    .action((topic: string, options: SubscribeOptions) => subscribe(world, topic, options))
}

async function subscribe(world: World, topic: string, options: SubscribeOptions): Promise<void> {
  const { attributes = false, fits = false, max, drain, name } = options
  const at = instanceOf(options)
  const select = options.select === undefined ? undefined : messageFilter(options.select, at)
  const filter = joinFilters(options.filter, select?.attributesOn(topic))
  const { connection, close } = await connect(world, options)
  try {
    await createClient(connection).subscribe({
      topic,
      signal: world.signal,
      ...(max !== undefined && { max }),
      ...(drain !== undefined && { drain }),
      ...(filter !== undefined && { filter }),
      ...(name !== undefined && { name }),
      ...(select !== undefined && { selects: (alert) => select.selects(alert) }),
      onAlert: (alert) =>
        world.out(`${fits ? fitLine(alert.attributes) : toJson(describe(alert, attributes))}\n`),
    })
  } finally {
    await close()
  }
}

interface Connected {
  connection: Connection
  close(): Promise<void>
}

function connect(world: World, options: SubscribeOptions): Promise<Connected> {
  return options.cloud === true ? connectCloud(world, options) : connectHome(options)
}

async function connectHome(options: SubscribeOptions): Promise<Connected> {
  const ground = await openGround(options.home, instanceOf(options))
  const { journal, messages } = ground
  return {
    close: ground.close,
    connection: {
      claims: await ground.bucket('broker_files'),
      async open({ topic, filter, name }) {
        messages.knownTopicId(topic)
        return openSubscription({
          ...{ journal, messages, topic },
          name: name ?? `${topic}-reader-${process.pid}-${Date.now()}`,
          ...(filter !== undefined && { filter }),
          ...(name === undefined && { expireMs }),
        })
      },
    },
  }
}

/** The subscription is the subscriber's own, in the project of `--project`. */
async function connectCloud(world: World, options: SubscribeOptions): Promise<Connected> {
  const { at, emulators } = environmentOf(world, options)
  if (options.drain === true) {
    throw new NightjarError(
      'config_invalid',
      'Cannot drain in the cloud: what waits there is known minutes late; give --max, or end it with Ctrl-C',
    )
  }
  const [{ openTopics }, { openReader }] = await Promise.all([
    import('../cloud/topics.ts'),
    import('../cloud/reader.ts'),
  ])
  const { pubsub: emulator } = emulators
  const { project } = at
  const topics = await openTopics({ project, ...(emulator !== undefined && { emulator }) })
  const { topicProject } = options
  const ground = await openCloud(
    world,
    { at: { ...at, project: topicProject ?? project }, emulators },
    options,
  )
  return {
    connection: {
      claims: await ground.bucket('broker_files'),
      open: ({ topic, filter, name }) =>
        openReader({
          ...{ topics, topic, passing: name === undefined },
          name: name ?? `${topic}-reader-${process.pid}-${Date.now()}`,
          ...(filter !== undefined && { filter }),
          ...(topicProject !== undefined && { topicProject }),
        }),
    },
    async close() {
      await ground.close()
      await topics.close()
    },
  }
}

/** An alert for people: who and when, and what it carries, opened where it can be. */
export function describe(alert: Alert, onlyAttributes: boolean): Record<string, unknown> {
  const { id, publishedAt, attributes, data } = alert
  const head = { id, published_at: publishedAt.toISOString(), attributes }
  if (onlyAttributes || data.length === 0) return head
  try {
    if (alert.isPacket) return { ...head, alert: alert.packet().record }
    return { ...head, data: alert.json() }
  } catch {
    return { ...head, bytes: data }
  }
}
