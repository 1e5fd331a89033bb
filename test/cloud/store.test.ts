import { test } from 'node:test'

import { openStore } from '../../cloud/store.ts'
import { openStores } from '../../cloud/stores.ts'
import { openSubscription } from '../../cloud/subscription.ts'
import { openTopics } from '../../cloud/topics.ts'
import { storeContract } from '../contract/store.ts'
import { skipWithoutGcs, skipWithoutPubsub, startGcs, startPubsub } from './emulators.ts'

const skip = skipWithoutGcs || skipWithoutPubsub
const project = 'contract'

if (skip === false) {
  storeContract('openStore() on the emulator', async () => {
    const pubsub = await startPubsub()
    const topics = await openTopics({ project, emulator: pubsub.host })
    await topics.pubsub.createTopic('notices')
    // It announces all buckets on one topic; Google's announces each on its own.
    const gcs = await startGcs({ pubsub: pubsub.host, on: { project, topic: 'notices' } })
    const stores = openStores({ project, emulator: gcs.host })
    let count = 0
    return {
      async newStore() {
        const bucket = `bucket_${++count}`
        await stores.storage.createBucket(bucket)
        const filter = `attributes.bucketId = "${bucket}"`
        await topics.pubsub.createSubscription('notices', `notices_${count}`, { filter })
        const notices = await openSubscription({ topics, name: `notices_${count}` })
        return { store: await openStore(stores, bucket), notices }
      },
      async cleanup() {
        await topics.close()
        await gcs.kill()
        await pubsub.kill()
      },
    }
  })
} else {
  test('the contract of Store on the emulator', { skip }, () => {})
}
