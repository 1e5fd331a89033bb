import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { createEvent } from '../../control/event.ts'
import { openDequeuer, openEnqueuer } from '../../control/exchange.ts'
import { propertySet, propertyValue } from '../../control/payload.ts'
import { openExchange } from '../../local/exchange.ts'
import { exchangeContract } from '../contract/exchange.ts'
import { openHome } from './home.ts'

const at = { survey: 'ztf', project: 'local', instance: 'rc1' } as const

exchangeContract(
  'openExchange() on a home',
  { inOrder: true, latestMs: 20_000, quietMs: 50 },
  async () => {
    const home = await openHome()
    return {
      exchange: openExchange({ topics: home.topics, at }),
      cleanup: () => home.remove(),
    }
  },
)

test('L14: a queue that nobody takes from is destroyed, with what it kept, and made anew when it is used', async (t) => {
  const home = await openHome()
  t.after(() => home.remove())
  const nowNs = 1n
  const idle = {
    ...openExchange({ topics: home.topics, at, queueIdleMs: 1500 }),
    nowNs: () => nowNs,
  }
  const event = (n: number) => createEvent({ payload: propertySet({ n }), nowNs })
  const enqueuer = await openEnqueuer(idle, 'idle')
  const busy = await openDequeuer(idle, 'busy')
  const waiting = busy.receiveEvent()
  await enqueuer.publishEvent(event(1))
  // Others sweep a home while a broker runs in it. The one that is waited at stays.
  for (const until = Date.now() + 2500; Date.now() < until; await pause(50)) {
    await home.topics.messages.sweep(100)
  }
  const later = await openDequeuer(idle, 'idle')
  assert.equal(await later.receiveEvent(50), null)
  const again = await openEnqueuer(idle, 'idle')
  await again.publishEvent(event(2))
  const found = await later.receiveEvent(20_000)
  assert.equal(found && propertyValue(found.payload, 'n'), 2)
  const other = await openEnqueuer(idle, 'busy')
  await other.publishEvent(event(3))
  const kept = await waiting
  assert.equal(kept && propertyValue(kept.payload, 'n'), 3)
})

test('L11: a dequeuer that waits for what its selector chooses keeps nobody else from the queue', async (t) => {
  const home = await openHome()
  t.after(() => home.remove())
  const exchange = { ...openExchange({ topics: home.topics, at }), nowNs: () => 1n }
  const left = await openDequeuer(exchange, 'shared', "camera = 'left'")
  const right = await openDequeuer(exchange, 'shared', "camera = 'right'")
  const waiting = left.receiveEvent()
  const enqueuer = await openEnqueuer(exchange, 'shared')
  const send = (camera: string) =>
    enqueuer.publishEvent(createEvent({ filterable: propertySet({ camera }), nowNs: 1n }))
  await send('right')
  const found = await right.receiveEvent(30_000)
  assert.equal(found && propertyValue(found.header, 'camera'), 'right')
  await send('left')
  const last = await waiting
  assert.equal(last && propertyValue(last.header, 'camera'), 'left')
})
