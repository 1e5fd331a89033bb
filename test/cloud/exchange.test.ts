import assert from 'node:assert/strict'
import { test } from 'node:test'

import { openExchange } from '../../cloud/exchange.ts'
import { openTopics } from '../../cloud/topics.ts'
import { openDequeuer, openEnqueuer, openReceiver } from '../../control/exchange.ts'
import { exchangeContract } from '../contract/exchange.ts'
import { skipWithoutPubsub, startPubsub } from './emulators.ts'

const at = { survey: 'ztf', project: 'exchange', instance: 'rc1' } as const

if (skipWithoutPubsub === false) {
  exchangeContract(
    'openExchange() on the emulator',
    { inOrder: false, latestMs: 30_000, quietMs: 1500 },
    async () => {
      const emulator = await startPubsub(256)
      const topics = await openTopics({ project: at.project, emulator: emulator.host })
      return {
        exchange: openExchange({ topics, at }),
        async cleanup() {
          await topics.close()
          await emulator.kill()
        },
      }
    },
  )

  test('L14: what nobody reads expires: a receiver after a day, at once when it is closed, a queue after 31 days', async (t) => {
    const emulator = await startPubsub(256)
    const topics = await openTopics({ project: at.project, emulator: emulator.host })
    t.after(async () => {
      await topics.close()
      await emulator.kill()
    })
    const exchange = { ...openExchange({ topics, at }), nowNs: () => 1n }
    const receiver = await openReceiver(exchange, 'a')
    await openEnqueuer(exchange, 'b')
    const dequeuer = await openDequeuer(exchange, 'b')
    async function found(): Promise<string[]> {
      const [subscriptions] = await topics.pubsub.getSubscriptions()
      const told = await Promise.all(subscriptions.map((one) => one.getMetadata()))
      return told
        .map(([{ name, expirationPolicy, retryPolicy }]) => {
          const days = Number(expirationPolicy?.ttl?.seconds) / 86_400
          const word = name
            ?.split('/')
            .at(-1)
            ?.replace(/rc1-[0-9a-f-]{36}$/, 'rc1-ID')
          return `${word} ${days} ${retryPolicy?.minimumBackoff?.seconds ?? 0}`
        })
        .sort()
    }
    assert.deepEqual(await found(), [
      'events.queue.b-rc1-dequeuer 31 1',
      'events.topic.a-rc1-ID 1 0',
    ])
    await receiver.close()
    await dequeuer.close()
    assert.deepEqual(await found(), ['events.queue.b-rc1-dequeuer 31 1'])
  })
} else {
  test('the contract of an exchange on the emulator', { skip: skipWithoutPubsub }, () => {})
}
