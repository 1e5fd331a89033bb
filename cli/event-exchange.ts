/** Where a verb exchanges events: on the topics and queues of a home, or of an instance on Pub/Sub. */
import { hostname } from 'node:os'

import { createEventSystem, type EventSystem } from '../control/event-system.ts'
import type { Exchange } from '../control/exchange.ts'
import { openKnownGround } from '../local/broker.ts'
import { openExchange } from '../local/exchange.ts'
import { environmentOf, type CloudOptions } from './cloud.ts'
import { instanceOf, type HomeOptions } from './embedded.ts'
import type { World } from './world.ts'

export type PlaceOptions = HomeOptions & CloudOptions

interface Events {
  system: EventSystem
  exchange: Exchange
  nowNs(): bigint
}

/** Open the place that the options mean, use it, and close it. A mistyped home is an error. */
export async function withEvents(
  world: World,
  options: PlaceOptions,
  use: (events: Events) => Promise<void>,
): Promise<void> {
  const nowNs = (): bigint => BigInt(world.now().getTime()) * 1_000_000n
  const { exchange, close } = await (options.cloud === true
    ? openOnPubsub(world, options)
    : openOnHome(options))
  const system = createEventSystem({ hostname: hostname(), processId: process.pid })
  try {
    await use({ system, nowNs, exchange: { ...exchange, nowNs } })
  } finally {
    await system.close()
    await close()
  }
}

interface Opened {
  exchange: Omit<Exchange, 'nowNs'>
  close(): Promise<void>
}

async function openOnHome(options: PlaceOptions): Promise<Opened> {
  const at = instanceOf(options)
  const ground = await openKnownGround(options.home, at)
  return { exchange: openExchange({ topics: ground, at }), close: ground.close }
}

async function openOnPubsub(world: World, options: PlaceOptions): Promise<Opened> {
  const { at, emulators } = environmentOf(world, options)
  const [{ openTopics }, { openExchange }] = await Promise.all([
    import('../cloud/topics.ts'),
    import('../cloud/exchange.ts'),
  ])
  const { pubsub: emulator } = emulators
  const topics = await openTopics({
    project: at.project,
    ...(emulator !== undefined && { emulator }),
  })
  return { exchange: openExchange({ topics, at }), close: topics.close }
}
