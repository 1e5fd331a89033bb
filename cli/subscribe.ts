/** `nightjar subscribe`: what a topic carries, as JSON lines, from now on. */
import { Command } from 'commander'

import type { Delivery, Store } from '../core/ports.ts'
import { redeem } from '../core/claim.ts'
import { bucketName } from '../core/names.ts'
import { makeHome } from '../local/home.ts'
import { openStore } from '../local/store.ts'
import { openSubscription } from '../local/subscription.ts'
import { openTopics } from '../local/topics.ts'
import { readAlertWithoutCutouts } from '../schemas/alert.ts'
import { isWire } from '../schemas/confluent.ts'
import { isContainer } from '../schemas/container.ts'
import { instanceOf, withHome, type HomeOptions } from './embedded.ts'
import { toJson } from './query.ts'
import type { World } from './world.ts'

interface SubscribeOptions extends HomeOptions {
  filter?: string
  name?: string
  max?: number
  attributes?: boolean
}

/** An unnamed subscription is forgotten this long after its reader is gone. */
const expireMs = 60_000

/** The command. */
export function subscribeCommand(world: World): Command {
  const command = new Command('subscribe')
    .description('Print what is published on a topic from now on, one JSON object a line.')
    .argument('<topic>', 'such as ztf_exgalac_trans, ztf_alert_data, ztf_ledger, ztf_dead_letter')
    .option('--filter <expr>', "Pub/Sub's filter language on attributes")
    .option('--name <name>', 'keep the subscription under this name and go on where it was left')
    .option('--max <n>', 'end after this many', Number)
    .option('--attributes', 'print attributes alone and leave the alert closed')
  return withHome(command, world)
    .addHelpText(
      'after',
      `
Alerts come decoded, without cutouts. Ctrl-C ends.

Examples:
  $ nightjar subscribe ztf_exgalac_trans --filter 'attributes.is_pure = "1"'
  $ nightjar subscribe ztf_dead_letter --attributes`,
    )
    .action((topic: string, options: SubscribeOptions) => subscribe(world, topic, options))
}

async function subscribe(world: World, topic: string, options: SubscribeOptions): Promise<void> {
  const home = makeHome(options.home)
  const topics = await openTopics(home)
  const { journal, messages } = topics
  try {
    messages.knownTopicId(topic)
    const claims = await openStore({
      journal,
      messages,
      folder: home.buckets,
      bucket: bucketName(instanceOf(options), 'broker_files'),
    })
    const subscription = await openSubscription({
      journal,
      messages,
      topic,
      name: options.name ?? `${topic}-reader-${process.pid}-${Date.now()}`,
      ...(options.filter !== undefined && { filter: options.filter }),
      ...(options.name === undefined && { expireMs }),
    })
    const enough = new AbortController()
    let count = 0
    await subscription.receive(
      async (delivery) => {
        if (options.max !== undefined && count >= options.max) throw new Error('enough')
        count++
        const line = await describe(delivery, claims, options.attributes === true)
        world.out(`${toJson(line)}\n`)
        if (count === options.max) enough.abort()
      },
      { signal: AbortSignal.any([world.signal, enough.signal]), maxMessages: 64 },
    )
    await subscription.close()
  } finally {
    await topics.close()
  }
}

/** A delivery for printing: who and when, and what it carries, opened where it can be. */
async function describe(
  delivery: Delivery,
  claims: Store,
  onlyAttributes: boolean,
): Promise<Record<string, unknown>> {
  const { id, publishedAt, attributes } = delivery
  const head = { id, published_at: publishedAt.toISOString(), attributes }
  if (onlyAttributes) return head
  const { data } = await redeem(delivery, claims)
  if (data.length === 0) return head
  try {
    if (isContainer(data) || isWire(data)) {
      return { ...head, alert: readAlertWithoutCutouts(data).record }
    }
    return { ...head, data: JSON.parse(Buffer.from(data).toString()) as unknown }
  } catch {
    return { ...head, bytes: data }
  }
}
