import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { openSubscription } from '../../cloud/subscription.ts'
import { openTopic } from '../../cloud/topic.ts'
import { openTopics } from '../../cloud/topics.ts'
import { take, textMessage, textOf } from '../contract/topic.ts'
import { skipWithoutPubsub, startPubsub } from './emulators.ts'

suite('Pub/Sub killed and restarted half-way', { skip: skipWithoutPubsub }, () => {
  test('every publish is settled, what was promised since is there, and nothing hangs', async () => {
    const emulator = await startPubsub()
    const topics = await openTopics({ project: 'p', emulator: emulator.host })
    const make = async (): Promise<void> => {
      await topics.pubsub.createTopic('alerts')
      await topics.pubsub.createSubscription('alerts', 'alerts-reader')
    }
    try {
      await make()
      const topic = await openTopic(topics, 'alerts', { attemptMs: 2000, giveUpMs: 30_000 })
      await topic.publish(textMessage('before'))

      const reader = await openSubscription({ topics, name: 'alerts-reader' })
      const received: string[] = []
      const receiving = reader
        .receive(async (delivery) => void received.push(textOf(delivery)), {
          signal: new AbortController().signal,
        })
        .then(
          () => assert.fail('it ended by itself'),
          (error: unknown) => error as Error & { code?: string },
        )
      while (received.length === 0) await pause(20)

      await emulator.kill()
      const during = Array.from({ length: 200 }, (_, at) => topic.publish(textMessage(`m${at}`)))
      const settled = Promise.allSettled(during)
      await pause(300)
      await emulator.restart()
      // It has forgotten its topics. A reader that finds its subscription gone says so.
      const failure = await receiving
      assert.equal(failure.code, 'source_failed')
      assert.match(failure.message, /has no subscription "alerts-reader"; make it/)
      await make()

      const promised = (await settled).flatMap((outcome, at) => {
        if (outcome.status === 'fulfilled') return [`m${at}`]
        // Those that reached it before the topic was made again; the relay publishes them again.
        assert.equal(outcome.reason.code, 'publish_failed')
        assert.match(outcome.reason.message, /has no topic "alerts"; make it/)
        return []
      })
      await topic.publish(textMessage('after'))
      const again = await openSubscription({ topics, name: 'alerts-reader' })
      const taken = (await take(again, promised.length + 1)).map(textOf)
      // A publish whose answer was lost may be there twice; none may be missing.
      assert.deepEqual([...new Set(taken)].sort(), [...promised, 'after'].sort())
      await topic.close()
    } finally {
      await topics.close()
      await emulator.kill()
    }
  })
})
