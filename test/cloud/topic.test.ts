import { test } from 'node:test'

import { openSubscription } from '../../cloud/subscription.ts'
import { openTopic } from '../../cloud/topic.ts'
import { openTopics, type Topics } from '../../cloud/topics.ts'
import { topicContract } from '../contract/topic.ts'
import { skipWithoutPubsub, startPubsub } from './emulators.ts'

if (skipWithoutPubsub === false) {
  topicContract(
    'openTopic() with openSubscription() on the emulator',
    { ackDeadlineMs: 1500, exactBacklog: false, exactAttempts: false },
    async () => {
      const emulator = await startPubsub()
      const topics = await openTopics({ project: 'contract', emulator: emulator.host })
      let count = 0
      return {
        async newTopic() {
          const name = `topic_${++count}`
          await makeTopic(topics, name)
          const topic = await openTopic(topics, name)
          let readers = 0
          return {
            topic,
            async subscribe({ filter, ackDeadlineMs } = {}) {
              const reader = `${name}-${++readers}`
              await makeSubscription(topics, name, reader, filter)
              return openSubscription({
                topics,
                name: reader,
                ...(ackDeadlineMs !== undefined && { ackDeadlineMs }),
              })
            },
          }
        },
        async cleanup() {
          await topics.close()
          await emulator.kill()
        },
      }
    },
  )
} else {
  test('the contract of Topic on the emulator', { skip: skipWithoutPubsub }, () => {})
}

/** As infra/ makes it. */
async function makeTopic({ pubsub }: Topics, name: string): Promise<void> {
  await pubsub.createTopic(name)
}

/** As infra/ makes it: attempts are counted where there is a dead-letter policy. */
async function makeSubscription(
  { pubsub, project }: Topics,
  topic: string,
  name: string,
  filter = '',
): Promise<void> {
  const dead = `projects/${project}/topics/dead_letter`
  await pubsub.createTopic('dead_letter').catch(() => {})
  await pubsub.createSubscription(topic, name, {
    filter,
    ackDeadlineSeconds: 10,
    deadLetterPolicy: { deadLetterTopic: dead, maxDeliveryAttempts: 100 },
  })
}
