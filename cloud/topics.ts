/** The connection to Pub/Sub of one project, shared by its topics and subscriptions. */
import { PubSub, v1 } from '@google-cloud/pubsub'
import { PassThroughClient } from 'google-auth-library'

import { NightjarError } from '../core/errors.ts'
import { createReady, type Ready } from './credentials.ts'

export interface TopicsOptions {
  project: string
  /** `host:port` of Google's emulator, as PUBSUB_EMULATOR_HOST has it. Absent: the service itself. */
  emulator?: string
  /** `host:port` of what stands in for Cloud Monitoring, which tells backlogs. */
  monitoring?: string
}

export interface Topics {
  project: string
  pubsub: PubSub
  publisher: v1.PublisherClient
  ready: Ready
  /** The emulator enforces neither filters nor limits: then this side does. */
  emulated: boolean
  monitoring?: string
  close(): Promise<void>
}

/** Open the connection. Nothing is sent yet, so it succeeds without a network, too. */
export async function openTopics(options: TopicsOptions): Promise<Topics> {
  const { project, emulator, monitoring } = options
  // Google: 6 to 30 characters; test projects of the emulator are shorter, and some have a domain.
  if (!/^([a-z0-9.-]+:)?[a-z][a-z0-9-]{0,29}$/.test(project)) {
    throw new NightjarError(
      'config_invalid',
      `Cannot use project "${project}": it is no project id; see GOOGLE_CLOUD_PROJECT`,
    )
  }
  const pubsub = new PubSub({
    projectId: project,
    ...(emulator !== undefined && {
      apiEndpoint: emulator,
      emulatorMode: true,
      // An emulator asks for no credentials; without this the machine's would be looked for.
      authClient: new PassThroughClient(),
    }),
  })
  const publisher = new v1.PublisherClient({ ...(await pubsub.getClientConfig()) })
  return {
    project,
    pubsub,
    publisher,
    ready: createReady(project, emulator !== undefined),
    emulated: emulator !== undefined,
    ...(monitoring !== undefined && { monitoring }),
    async close() {
      await publisher.close()
      await pubsub.close()
    },
  }
}

/** Check the name of a topic or subscription (Pub/Sub docs: "Guidelines to name a resource"). */
export function checkResourceName(kind: 'topic' | 'subscription', name: string): string {
  if (/^(?!goog)[A-Za-z][A-Za-z0-9._~+%-]{2,254}$/.test(name)) return name
  throw new NightjarError(
    'config_invalid',
    `Cannot open ${kind} "${name}": a name is a letter and 2 to 254 letters, digits or -._~+%, ` +
      'and does not begin with "goog"',
  )
}
