/** A home directory in a temporary folder, for the tests of what is kept there. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { Store, Subscription, Topic } from '../../core/ports.ts'
import { makeHome, type Home } from '../../local/home.ts'
import { openStore, type StoreOptions } from '../../local/store.ts'
import { openSubscription, type SubscriptionOptions } from '../../local/subscription.ts'
import { openTopic } from '../../local/topic.ts'
import { openTopics, type Topics } from '../../local/topics.ts'

/** A temporary folder, and how to remove it. */
export function temporaryFolder(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'nightjar-test-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

export interface OpenHome {
  home: Home
  topics: Topics
  topic(name: string): Promise<Topic>
  subscription(topic: string, options?: Partial<SubscriptionOptions>): Promise<Subscription>
  store(bucket: string, options?: Partial<StoreOptions>): Promise<Store>
  /** Close it and open it again, as the next process would. */
  reopen(): Promise<void>
  close(): Promise<void>
  /** Close it and remove its folder. */
  remove(): Promise<void>
}

/** Open a home, by default a new one in a temporary folder. */
export async function openHome(path?: string): Promise<OpenHome> {
  const folder = path === undefined ? temporaryFolder() : { path, remove() {} }
  const home = makeHome(folder.path)
  const opened: OpenHome = {
    home,
    topics: await openTopics(home),
    topic: (name) => openTopic(opened.topics.messages, name),
    subscription: (topic, options) =>
      openSubscription({ ...opened.topics, topic, name: `${topic}-reader`, ...options }),
    store: (bucket, options) =>
      openStore({ ...opened.topics, folder: home.buckets, bucket, ...options }),
    async reopen() {
      await opened.topics.close()
      opened.topics = await openTopics(home)
    },
    close: () => opened.topics.close(),
    async remove() {
      await opened.topics.close()
      folder.remove()
    },
  }
  return opened
}
