/** `nightjar subscribe`: what a topic carries, as JSON lines, from now on. */
import { Command } from 'commander'

import type { Delivery, Store } from '../core/ports.ts'
import { redeem } from '../core/claim.ts'
import { openGround } from '../local/broker.ts'
import { openSubscription } from '../local/subscription.ts'
import { readAlertWithoutCutouts } from '../schemas/alert.ts'
import { isWire } from '../schemas/confluent.ts'
import { isContainer } from '../schemas/container.ts'
import { fitLine } from './fit-text.ts'
import { joinFilters, messageFilter } from './select.ts'
import { instanceOf, withHome, type HomeOptions } from './embedded.ts'
import { toJson } from './query.ts'
import type { World } from './world.ts'

interface SubscribeOptions extends HomeOptions {
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
  return withHome(command, world)
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
  $ nightjar subscribe ztf_dead_letter --attributes`,
    )
    .action((topic: string, options: SubscribeOptions) => subscribe(world, topic, options))
}

async function subscribe(world: World, topic: string, options: SubscribeOptions): Promise<void> {
  const { max = Infinity, drain = false } = options
  const at = instanceOf(options)
  const select = options.select === undefined ? undefined : messageFilter(options.select, at)
  const filter = joinFilters(options.filter, select?.attributesOn(topic))
  const ground = await openGround(options.home, at)
  const { journal, messages } = ground
  try {
    messages.knownTopicId(topic)
    const claims = await ground.bucket('broker_files')
    const subscription = await openSubscription({
      journal,
      messages,
      topic,
      name: options.name ?? `${topic}-reader-${process.pid}-${Date.now()}`,
      ...(filter !== undefined && { filter }),
      ...(options.name === undefined && { expireMs }),
    })
    const enough = new AbortController()
    if (max === 0) enough.abort()
    const timer = setInterval(() => void endIfEmpty(), 50)
    async function endIfEmpty(): Promise<void> {
      // What this reader has under way still counts as waiting.
      if (drain && (await subscription.backlog()).messages === 0) enough.abort()
    }
    let count = 0
    await subscription.receive(
      async (delivery) => {
        if (count >= max) throw new Error('more than was asked for')
        if (select !== undefined) {
          const whole = await redeem(delivery, claims)
          if (!select.selects(whole)) return
          // While this one was fetched another may have been the last.
          if (count >= max) throw new Error('more than was asked for')
        }
        count++
        if (options.fits === true) {
          world.out(`${fitLine(delivery.attributes)}\n`)
          if (count === max) enough.abort()
          return
        }
        const line = await describe(delivery, claims, options.attributes === true)
        world.out(`${toJson(line)}\n`)
        if (count === max) enough.abort()
      },
      { signal: AbortSignal.any([world.signal, enough.signal]), maxMessages: 64 },
    )
    clearInterval(timer)
    await subscription.close()
  } finally {
    await ground.close()
  }
}

/** A delivery for people: who and when, and what it carries, opened where it can be. */
export async function describe(
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
