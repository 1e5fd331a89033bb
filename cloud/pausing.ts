/**
 * Pausing a push subscription, and letting it push again. Without an endpoint Pub/Sub keeps what comes
 * (REST reference, modifyPushConfig: "effectively pausing the subscription"); the endpoint it had, with
 * the account in whose name it is called, is kept in a bucket before it is taken away.
 *
 * The endpoint that a subscription has always counts: what is kept is only for one that has none.
 */
import type { PushConfig } from '@google-cloud/pubsub'

import { NightjarError } from '../core/errors.ts'
import type { Store } from '../core/ports.ts'
import { fault, type Attempted } from './faults.ts'
import { retryPassing } from './retry.ts'
import { checkResourceName, type Topics } from './topics.ts'

/** `none`: it never pushed, somebody pulls it. */
export type Pushing = 'pushing' | 'paused' | 'none'

export interface SubscriptionOptions {
  topics: Topics
  /** The subscription's name. */
  name: string
  attemptMs?: number
  giveUpMs?: number
}

export interface PausingOptions extends SubscriptionOptions {
  store: Store
}

const endpointName = (subscription: string): string => `conductor/endpoints/${subscription}.json`

/** Stop pushing. Doing it twice does no harm. */
export async function pausePush(options: PausingOptions): Promise<Pushing> {
  const { store, name } = options
  const config = await pushOf(options)
  const known = await store.read(endpointName(name))
  if (config === undefined) return known === null ? 'none' : 'paused'
  const data = Buffer.from(`${JSON.stringify(config)}\n`)
  if (known === null || !data.equals(known.data)) {
    await store.replace(endpointName(name), data, known?.object.generation ?? null)
    // Another conductor may have kept it meanwhile; only what is there counts.
    const kept = await store.read(endpointName(name))
    if (kept === null || !data.equals(kept.data)) {
      throw new NightjarError(
        'source_failed',
        `Cannot pause subscription "${name}": its endpoint is being changed by somebody else`,
      )
    }
  }
  await modify(options, {})
  return 'paused'
}

/** Push to where it pushed before it was paused. */
export async function resumePush(options: PausingOptions): Promise<Pushing> {
  const { store, name } = options
  if ((await pushOf(options)) !== undefined) return 'pushing'
  const known = await store.read(endpointName(name))
  if (known === null) return 'none'
  await modify(options, JSON.parse(Buffer.from(known.data).toString()) as PushConfig)
  return 'pushing'
}

async function pushOf(options: PausingOptions): Promise<PushConfig | undefined> {
  const subscription = options.topics.pubsub.subscription(options.name)
  const [{ pushConfig }] = await attempt(options, 'look at', 'roles/pubsub.viewer', (timeout) =>
    subscription.getMetadata({ timeout, retry: null }),
  )
  const endpoint = pushConfig?.pushEndpoint ?? ''
  if (endpoint === '') return undefined
  const { attributes, oidcToken } = pushConfig ?? {}
  const { serviceAccountEmail, audience } = oidcToken ?? {}
  return {
    pushEndpoint: endpoint,
    ...(attributes && Object.keys(attributes).length > 0 && { attributes }),
    ...(serviceAccountEmail && {
      oidcToken: { serviceAccountEmail, ...(audience && { audience }) },
    }),
  }
}

async function modify(options: PausingOptions, config: PushConfig): Promise<void> {
  const subscription = options.topics.pubsub.subscription(options.name)
  await attempt(options, 'change the push of', 'roles/pubsub.editor', (timeout) =>
    subscription.modifyPushConfig(config, { timeout, retry: null }),
  )
}

async function attempt<T>(
  { topics, name, attemptMs = 15_000, giveUpMs = 60_000 }: SubscriptionOptions,
  what: string,
  role: string,
  work: (timeoutMs: number) => Promise<T>,
): Promise<T> {
  const attempted: Attempted = {
    deed: `${what} subscription "${checkResourceName('subscription', name)}"`,
    thing: `subscription "${name}"`,
    project: topics.project,
    role,
  }
  try {
    await topics.ready()
    return await retryPassing(
      (leftMs) => work(Math.min(attemptMs, leftMs)),
      performance.now() + giveUpMs,
    )
  } catch (error) {
    throw fault('source_failed', error, attempted)
  }
}

/** Forget what a subscription holds that was published before an instant, and give back what came after. */
export async function seekTo(options: SubscriptionOptions, instant: Date): Promise<void> {
  const subscription = options.topics.pubsub.subscription(options.name)
  await attempt(options, 'seek', 'roles/pubsub.subscriber', (timeout) =>
    subscription.seek(instant, { timeout, retry: null }),
  )
}
