import assert from 'node:assert/strict'
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, suite, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { take, textMessage, textOf } from '../contract/topic.ts'
import { openHome, type OpenHome } from './home.ts'
import { startChild } from './spawn.ts'

const wordOf = (message: Parameters<typeof textOf>[0]): string =>
  textOf(message).split(' ')[0] ?? ''

suite('openSubscription()', () => {
  let home: OpenHome
  beforeEach(async () => {
    home = await openHome()
  })
  afterEach(() => home.remove())

  const rowsOf = (sql: string): Record<string, unknown>[] =>
    home.topics.journal.statement(sql).all() as Record<string, unknown>[]

  test('what is acked stays acked and what is not stays, over a reopen', async () => {
    const topic = await home.topic('t')
    const subscription = await home.subscription('t')
    const texts = Array.from({ length: 30 }, (_, at) => `m${at}`)
    await Promise.all(texts.map((text) => topic.publish(textMessage(text))))
    const first = await take(subscription, 10, {
      maxMessages: 30,
      async handle(delivery) {
        if (Number(textOf(delivery).slice(1)) % 3 !== 0) throw new Error('later')
      },
    })
    await home.reopen()
    const rest = await take(await home.subscription('t'), 20, { quietMs: 200 })
    assert.deepEqual([...first, ...rest].map(textOf).sort(), texts.sort())
    assert.ok(
      rest.every(({ attempt }) => attempt >= 2),
      'rejections are counted over a reopen',
    )
  })

  test('attempts do not count what a clean end left untouched', async () => {
    const topic = await home.topic('t')
    await home.subscription('t')
    for (let at = 0; at < 20; at++) await topic.publish(textMessage(`m${at}`))
    for (let round = 0; round < 3; round++) {
      // The last of them is acked, out of order, and nothing else is ever answered in time.
      const stop = new AbortController()
      const subscription = await home.subscription('t')
      await subscription.receive(
        async (delivery) => {
          if (delivery.id === '20') return void setTimeout(() => stop.abort(), 50)
          if (round === 0) throw new Error('later')
        },
        { signal: round === 0 ? stop.signal : AbortSignal.abort() },
      )
      await home.reopen()
    }
    const rest = await take(await home.subscription('t'), 19)
    assert.deepEqual(
      rest.map(({ attempt }) => attempt),
      Array(19).fill(2),
    )
  })

  test('a receiver that is killed has its acks kept, and what it held comes with attempt 2', async () => {
    const topic = await home.topic('t')
    await home.subscription('t')
    const texts = Array.from({ length: 60 }, (_, at) => `m${at}`)
    await Promise.all(texts.map((text) => topic.publish(textMessage(text))))
    const child = startChild(['receive', home.home.path, 25])
    await child.said('holds', 30)
    await pause(300)
    await child.kill()
    const words = (start: string): string[] =>
      child.lines.filter((line) => line.startsWith(start)).map((line) => line.split(' ')[1] ?? '')
    const acked = new Set(words('acked'))
    const held = new Set(words('holds'))
    assert.equal(acked.size, 25)
    const taken = await take(await home.subscription('t'), 35, { quietMs: 200 })
    assert.equal(taken.length, 35)
    for (const delivery of taken) {
      assert.ok(!acked.has(textOf(delivery)), `${textOf(delivery)} was acked`)
      const expected = held.has(textOf(delivery)) ? 2 : 1
      assert.equal(delivery.attempt, expected, textOf(delivery))
    }
  })

  test('a second receiver is refused while the first lives, and succeeds it when it is dead', async () => {
    const topic = await home.topic('t')
    const subscription = await home.subscription('t')
    await topic.publish(textMessage('one'))
    const child = startChild(['receive', home.home.path, 0])
    await child.said('holds')
    await assert.rejects(
      subscription.receive(async () => {}, { signal: AbortSignal.timeout(5000) }),
      {
        code: 'home_busy',
        message: `Cannot receive from "t-reader": process ${child.process.pid} does already`,
      },
    )
    await pause(200)
    await child.kill()
    const [delivery] = await take(subscription, 1)
    assert.equal(delivery?.attempt, 2)
  })

  test('a second receiver is refused in the same process, too', async () => {
    const first = await home.subscription('t')
    const second = await home.subscription('t')
    const stop = new AbortController()
    const receiving = first.receive(async () => {}, { signal: stop.signal })
    await pause(50)
    await assert.rejects(
      second.receive(async () => {}, { signal: stop.signal }),
      {
        code: 'home_busy',
      },
    )
    stop.abort()
    await receiving
    await second.receive(async () => {}, { signal: AbortSignal.timeout(50) })
  })

  test('a receiver that died with our own pid is succeeded', async () => {
    const subscription = await home.subscription('t')
    // In a container every process may have the same pid, and a crash leaves it in the journal.
    await home.topics.journal.write((db) => {
      db.prepare('UPDATE subscription SET receiver = ?').run(process.pid)
    })
    await subscription.receive(async () => {}, { signal: AbortSignal.timeout(50) })
  })

  test('many may open the same new subscription at once', async () => {
    const subscriptions = await Promise.all(Array.from({ length: 8 }, () => home.subscription('t')))
    assert.equal(subscriptions.length, 8)
    assert.equal(rowsOf('SELECT * FROM subscription').length, 1)
  })

  test('many processes may open the same new home at once', async () => {
    const children = Array.from({ length: 4 }, () => startChild(['open', home.home.path]))
    await Promise.all(children.map(({ ended }) => ended))
    for (const { lines } of children) assert.deepEqual(lines, ['ready'])
  })

  test('it cannot be opened on another topic or with another filter', async () => {
    await home.subscription('t', { name: 'r', filter: 'attributes:a' })
    await home.subscription('t', { name: 'r', filter: 'attributes:a' })
    for (const [topic, filter] of [
      ['t', 'attributes:b'],
      ['u', 'attributes:a'],
    ] as const) {
      await assert.rejects(home.subscription(topic, { name: 'r', filter }), {
        code: 'config_invalid',
        message: /^Cannot open subscription "r": .*attributes:a/,
      })
    }
    await assert.rejects(home.subscription('t', { name: 's', filter: 'attributes' }), {
      code: 'input_invalid',
    })
  })

  test('disorder delivers twice and in other order, and each is acked once', async () => {
    const topic = await home.topic('t')
    let seed = 1
    const random = (): number => (seed = (seed * 48271) % 2147483647) / 2147483647
    const subscription = await home.subscription('t', { disorder: { random, duplicates: 0.3 } })
    const texts = Array.from({ length: 100 }, (_, at) => `m${at}`)
    await Promise.all(texts.map((text) => topic.publish(textMessage(text))))
    const order: string[] = []
    await take(subscription, 100, {
      quietMs: 300,
      handle: async (delivery) => void order.push(textOf(delivery)),
    })
    assert.deepEqual([...new Set(order)].sort(), texts.toSorted())
    assert.ok(order.length > 110, `${order.length} deliveries`)
    assert.notDeepEqual([...new Set(order)], texts)
    assert.deepEqual(await subscription.backlog(), { messages: 0, bytes: 0 })
  })

  test('an ephemeral subscription expires, and its messages are swept', async () => {
    const topic = await home.topic('t')
    await home.subscription('t', { name: 'brief', expireMs: 150 })
    await topic.publish(textMessage('kept for it'))
    assert.equal(await home.topics.messages.sweep(100), 0)
    await pause(250)
    assert.equal(await home.topics.messages.sweep(100), 1)
    assert.deepEqual(rowsOf('SELECT * FROM subscription'), [])
  })

  test('an ephemeral subscription lives as long as somebody receives', async () => {
    const topic = await home.topic('t')
    const subscription = await home.subscription('t', { name: 'brief', expireMs: 300 })
    const stop = new AbortController()
    let seen = 0
    const receiving = subscription.receive(async () => void seen++, { signal: stop.signal })
    for (let round = 0; round < 4; round++) {
      await pause(200)
      await home.topics.messages.sweep(100)
    }
    await topic.publish(textMessage('late'))
    while (seen === 0) await pause(10)
    stop.abort()
    await receiving
    await subscription.close()
    assert.deepEqual(rowsOf('SELECT * FROM subscription'), [])
  })

  test('receive() says so where the subscription has expired', async () => {
    const subscription = await home.subscription('t', { name: 'brief', expireMs: 1 })
    await pause(20)
    await home.topics.messages.sweep(1)
    await assert.rejects(
      subscription.receive(async () => {}, { signal: AbortSignal.timeout(500) }),
      {
        code: 'home_unusable',
        message: 'Cannot receive from "brief": the subscription has expired',
      },
    )
  })

  test('receive() rejects, and publishers go on, where a segment is gone', async () => {
    const topic = await home.topic('t')
    await home.subscription('t')
    await topic.publish({ data: new Uint8Array(50_000), attributes: {} })
    await home.reopen()
    for (const name of readdirSync(home.home.segments)) rmSync(join(home.home.segments, name))
    const again = await home.topic('t')
    const receiving = (await home.subscription('t')).receive(async () => {}, {
      signal: AbortSignal.timeout(5000),
    })
    await assert.rejects(receiving, {
      code: 'home_unusable',
      message: /^Cannot read message 1 from segment "[^"]+": .*ENOENT/,
    })
    const id = await again.publish(textMessage('goes on'))
    assert.equal(id, '2')
    assert.equal(rowsOf('SELECT * FROM message').length, 2)
  })

  test('leases hold no data: rejected messages are read again for their next delivery', async () => {
    const topic = await home.topic('t')
    const subscription = await home.subscription('t')
    const texts = Array.from({ length: 40 }, (_, at) => `m${at} `.padEnd(9000, 'x'))
    for (const text of texts) await topic.publish(textMessage(text))
    const refused = new Set<string>()
    const taken = await take(subscription, 40, {
      maxMessages: 8,
      async handle(delivery) {
        if (refused.has(delivery.id)) return
        refused.add(delivery.id)
        throw new Error('first time')
      },
    })
    assert.deepEqual(taken.map(textOf).sort(), texts.sort())
    assert.equal(wordOf(taken[0] as (typeof taken)[0])[0], 'm')
  })
})
