/** What every answer to the ports Topic and Subscription must do. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { messageBytes } from '../../core/limits.ts'
import type { Delivery, Message, ReceiveOptions, Subscription, Topic } from '../../core/ports.ts'

export interface OpenedTopic {
  topic: Topic
  subscribe(options?: { filter?: string; ackDeadlineMs?: number }): Promise<Subscription>
}

export interface OpenedTopics {
  /** A topic that nobody has published to. */
  newTopic(): Promise<OpenedTopic>
  cleanup(): Promise<void>
}

export interface TopicFacts {
  /** The shortest ack deadline that the answer knows. */
  ackDeadlineMs: number
  /** `backlog()` is exact and at once, as on one machine; in the cloud it is a hint. */
  exactBacklog: boolean
  /**
   * Only what a handler was given counts as an attempt. Pub/Sub counts whatever it sent, also what was
   * fetched ahead and given back.
   */
  exactAttempts: boolean
}

/** A message of some text. */
export const textMessage = (text: string, attributes: Record<string, string> = {}): Message => ({
  data: Buffer.from(text),
  attributes,
})

export const textOf = ({ data }: Message): string => Buffer.from(data).toString()

/** Receive until `enough` deliveries were acked, and then `quietMs` longer; answers all of them. */
export async function take(
  subscription: Subscription,
  enough: number,
  options: Partial<ReceiveOptions> & {
    quietMs?: number
    handle?: (delivery: Delivery) => Promise<void>
    timeoutMs?: number
  } = {},
): Promise<Delivery[]> {
  const { handle = async () => {}, quietMs = 0, timeoutMs = 20_000, ...limits } = options
  const stop = new AbortController()
  const timer = setTimeout(() => stop.abort(), timeoutMs)
  const taken: Delivery[] = []
  const count = (): void => {
    if (taken.length === enough) setTimeout(() => stop.abort(), quietMs)
  }
  if (enough === 0) count()
  await subscription.receive(
    async (delivery) => {
      await handle(delivery)
      taken.push(delivery)
      count()
    },
    { ...limits, signal: stop.signal },
  )
  clearTimeout(timer)
  return taken
}

const texts = (deliveries: readonly Message[]): string[] => deliveries.map(textOf).sort()

/** Run the contract against an answer. */
export function topicContract(
  name: string,
  { ackDeadlineMs, exactBacklog, exactAttempts }: TopicFacts,
  open: () => Promise<OpenedTopics>,
): void {
  suite(`${name} keeps the contract of Topic and Subscription`, () => {
    let opened: OpenedTopics
    before(async () => {
      opened = await open()
    })
    after(() => opened.cleanup())

    test('receive() hands out bytes, attributes, id and time as they were published', async () => {
      const { topic, subscribe } = await opened.newTopic()
      const subscription = await subscribe()
      const messages: Message[] = [
        { data: Uint8Array.from({ length: 256 }, (_, byte) => byte), attributes: {} },
        {
          data: new Uint8Array(),
          attributes: { 'kafka.topic': 'ztf', empty: '', 'ключ ☄': '𝛼\n"' },
        },
        { data: new Uint8Array(300_000).fill(7), attributes: { large: 'yes' } },
        { data: Buffer.from('x'), attributes: { __proto__x: '1', constructor: '2' } },
      ]
      const began = Date.now()
      const ids = await Promise.all(messages.map((message) => topic.publish(message)))
      assert.equal(new Set(ids).size, messages.length)
      const deliveries = await take(subscription, messages.length)
      for (const [index, { data, attributes }] of messages.entries()) {
        const delivery = deliveries.find(({ id }) => id === ids[index])
        assert.ok(delivery, `message ${index} came`)
        assert.equal(Buffer.compare(delivery.data, data), 0)
        assert.deepEqual({ ...delivery.attributes }, attributes)
        assert.equal(delivery.attempt, 1)
        assert.ok(Math.abs(delivery.publishedAt.getTime() - began) < 60_000)
      }
    })

    test('receive() sees what was published since the subscription exists, and nothing before', async () => {
      const { topic, subscribe } = await opened.newTopic()
      await topic.publish(textMessage('before all'))
      const first = await subscribe()
      await topic.publish(textMessage('between'))
      const second = await subscribe()
      await topic.publish(textMessage('after all'))
      assert.deepEqual(texts(await take(first, 2, { quietMs: 200 })), ['after all', 'between'])
      assert.deepEqual(texts(await take(second, 1, { quietMs: 200 })), ['after all'])
    })

    test('receive() sees a large message published as soon as the subscription exists', async () => {
      const { topic, subscribe } = await opened.newTopic()
      const large = { data: new Uint8Array(100_000), attributes: {} }
      await topic.publish(large)
      const [, subscription] = await Promise.all([topic.publish(textMessage('small')), subscribe()])
      await topic.publish(large)
      const [delivery] = (await take(subscription, 1, { quietMs: 100 })).filter(
        ({ data }) => data.length > 5,
      )
      assert.equal(delivery?.data.length, 100_000)
    })

    test('receive() delivers again what its handler rejected, counting attempts', async () => {
      const { topic, subscribe } = await opened.newTopic()
      const subscription = await subscribe()
      const id = await topic.publish(textMessage('hard'))
      const attempts: number[] = []
      await take(subscription, 1, {
        quietMs: 300,
        async handle(delivery) {
          assert.equal(delivery.id, id)
          assert.equal(textOf(delivery), 'hard')
          attempts.push(delivery.attempt)
          if (delivery.attempt < 3) throw new Error('not yet')
        },
      })
      assert.deepEqual(attempts, [1, 2, 3])
    })

    test('receive() delivers neighbours while one message is rejected again and again', async () => {
      const { topic, subscribe } = await opened.newTopic()
      const subscription = await subscribe()
      const names = Array.from({ length: 60 }, (_, at) => `good ${at}`)
      await topic.publish(textMessage('bad'))
      for (const text of names) await topic.publish(textMessage(text))
      const taken = await take(subscription, 60, {
        maxMessages: 4,
        async handle(delivery) {
          if (textOf(delivery) === 'bad') throw new Error('never')
        },
      })
      assert.deepEqual(texts(taken), names.sort())
    })

    test('receive() delivers again what was not acked before the deadline', async () => {
      const { topic, subscribe } = await opened.newTopic()
      const subscription = await subscribe({ ackDeadlineMs })
      await topic.publish(textMessage('slow'))
      const attempts: number[] = []
      const stuck = Promise.withResolvers<void>()
      await take(subscription, 1, {
        async handle({ attempt }) {
          attempts.push(attempt)
          if (attempt === 1) await stuck.promise
        },
      })
      stuck.resolve()
      assert.deepEqual(attempts, [1, 2])
    })

    test('receive() keeps its room when handlers end after their deadline', async () => {
      const { topic, subscribe } = await opened.newTopic()
      const subscription = await subscribe({ ackDeadlineMs })
      await topic.publish(textMessage('first'))
      let calls = 0
      let outNow = 0
      const done = new Set<string>()
      const stop = new AbortController()
      const timer = setTimeout(() => stop.abort(), 20 * ackDeadlineMs)
      const receiving = subscription.receive(
        async (delivery) => {
          calls++
          outNow++
          // The first two deliveries overlap: one ends late, while the other is under way.
          if (textOf(delivery) === 'first') await pause(ackDeadlineMs * (calls === 1 ? 1.6 : 0.9))
          outNow--
          done.add(textOf(delivery))
          if (done.size === 4) stop.abort()
        },
        { signal: stop.signal, maxMessages: 1 },
      )
      for (const text of ['second', 'third', 'fourth']) await topic.publish(textMessage(text))
      await receiving
      clearTimeout(timer)
      assert.deepEqual([...done].sort(), ['first', 'fourth', 'second', 'third'])
      assert.equal(outNow, 0)
    })

    test('receive() hands out what passes the filter and drops the rest', async () => {
      const { topic, subscribe } = await opened.newTopic()
      const subscription = await subscribe({
        filter: 'attributes:kind AND NOT attributes.kind = "bogus"',
      })
      const kinds = [undefined, 'bogus', 'sn', 'agn', 'bogus', undefined, 'sn']
      for (const [index, kind] of kinds.entries()) {
        await topic.publish(textMessage(String(index), kind === undefined ? {} : { kind }))
      }
      assert.deepEqual(texts(await take(subscription, 3, { quietMs: 200 })), ['2', '3', '6'])
    })

    test('publish() refuses what Pub/Sub would, and only that', async () => {
      const { topic, subscribe } = await opened.newTopic()
      const subscription = await subscribe()
      const many = (count: number): Record<string, string> =>
        Object.fromEntries(Array.from({ length: count }, (_, at) => [`k${at}`, 'v']))
      const data = (bytes: number): Uint8Array => new Uint8Array(bytes)
      const table: [string, Message, string | undefined][] = [
        ['10,000,000 bytes', { data: data(9_999_998), attributes: { k: 'v' } }, undefined],
        ['a byte more', { data: data(9_999_999), attributes: { k: 'v' } }, 'message_too_large'],
        [
          'a byte more in UTF-8',
          { data: data(9_999_998), attributes: { k: 'é' } },
          'message_too_large',
        ],
        ['100 attributes', textMessage('a', many(100)), undefined],
        ['101 attributes', textMessage('b', many(101)), 'attribute_invalid'],
        ['a key of 256 bytes', textMessage('c', { ['k'.repeat(256)]: '' }), undefined],
        ['a key of 257 bytes', textMessage('d', { ['k'.repeat(257)]: '' }), 'attribute_invalid'],
        ['a key of 128 × é', textMessage('e', { ['é'.repeat(128)]: '' }), undefined],
        ['a key of 129 × é', textMessage('f', { ['é'.repeat(129)]: '' }), 'attribute_invalid'],
        ['an empty key', textMessage('g', { '': 'v' }), 'attribute_invalid'],
        ['a value of 1,024 bytes', textMessage('h', { k: 'v'.repeat(1024) }), undefined],
        ['a value of 1,025 bytes', textMessage('i', { k: 'v'.repeat(1025) }), 'attribute_invalid'],
        ['a value of 341 × ☄', textMessage('j', { k: '☄'.repeat(341) }), undefined],
        ['a value of 342 × ☄', textMessage('k', { k: '☄'.repeat(342) }), 'attribute_invalid'],
        ['a value of 256 × 𝛼', textMessage('l', { k: '𝛼'.repeat(256) }), undefined],
        ['a value of 257 × 𝛼', textMessage('m', { k: '𝛼'.repeat(257) }), 'attribute_invalid'],
      ]
      const settled = await Promise.allSettled(table.map(([, message]) => topic.publish(message)))
      for (const [index, [what, , code]] of table.entries()) {
        const outcome = settled[index] as (typeof settled)[0]
        if (code === undefined) assert.equal(outcome.status, 'fulfilled', what)
        else {
          assert.equal(outcome.status, 'rejected', what)
          assert.equal(outcome.reason.name, 'NightjarError', what)
          assert.equal(outcome.reason.code, code, what)
          assert.match(outcome.reason.message, /^Cannot publish .+: .*\d.*[^.]$/s, what)
        }
      }
      const good = table.filter(([, , code]) => code === undefined)
      const taken = await take(subscription, good.length, { quietMs: 200 })
      assert.deepEqual(
        taken.map((message) => messageBytes(message)).sort((a, b) => a - b),
        good.map(([, message]) => messageBytes(message)).sort((a, b) => a - b),
      )
    })

    test('publish() takes many messages at once, and each is delivered once acked once', async () => {
      const { topic, subscribe } = await opened.newTopic()
      const subscription = await subscribe()
      const names = Array.from({ length: 1000 }, (_, at) => `m${at}`)
      const ids = await Promise.all(names.map((text) => topic.publish(textMessage(text))))
      assert.equal(new Set(ids).size, 1000)
      assert.deepEqual(texts(await take(subscription, 1000, { quietMs: 100 })), names.sort())
    })

    test('receive() never has more than maxMessages out', async () => {
      const { topic, subscribe } = await opened.newTopic()
      const subscription = await subscribe()
      await Promise.all(Array.from({ length: 40 }, (_, at) => topic.publish(textMessage(`m${at}`))))
      let out = 0
      let most = 0
      const taken = await take(subscription, 40, {
        maxMessages: 7,
        async handle({ attempt, id }) {
          most = Math.max(most, ++out)
          await pause(5)
          out--
          // What comes again counts as well as what is new.
          if (attempt === 1 && Number(id.at(-1)) % 2 === 0) throw new Error('again')
        },
      })
      assert.equal(taken.length, 40)
      assert.equal(most, 7)
    })

    test('receive() never has more than maxBytes out; a larger message comes alone', async () => {
      const { topic, subscribe } = await opened.newTopic()
      const subscription = await subscribe()
      const sizes = [400, 700, 5000, 300, 900, 100, 2000, 999, 1, 600, 600, 600, 1000]
      for (const size of sizes) await topic.publish({ data: new Uint8Array(size), attributes: {} })
      let out = 0
      let count = 0
      const faults: string[] = []
      await take(subscription, sizes.length, {
        maxBytes: 1000,
        async handle({ data, attempt }) {
          out += data.length
          count++
          if (out > 1000 && count > 1) faults.push(`${count} messages of ${out} bytes were out`)
          await pause(5)
          out -= data.length
          count--
          if (attempt === 1 && data.length > 500) throw new Error('again')
        },
      })
      assert.deepEqual(faults, [])
    })

    test('receive() lets what is under way finish when the signal fires, and keeps its acks', async () => {
      const { topic, subscribe } = await opened.newTopic()
      const subscription = await subscribe()
      await Promise.all(Array.from({ length: 20 }, (_, at) => topic.publish(textMessage(`m${at}`))))
      const stop = new AbortController()
      const finished: string[] = []
      let started = 0
      await subscription.receive(
        async (delivery) => {
          if (++started === 5) stop.abort()
          await pause(50)
          finished.push(textOf(delivery))
        },
        { signal: stop.signal, maxMessages: 5 },
      )
      assert.equal(started, 5, 'no delivery starts after the signal')
      assert.equal(finished.length, 5)
      const rest = await take(subscription, 15, { quietMs: 200 })
      assert.equal(new Set([...finished, ...texts(rest)]).size, 20)
      assert.equal(rest.length, 15, 'nothing that was acked comes again')
      if (exactAttempts) assert.ok(rest.every(({ attempt }) => attempt === 1))
    })

    test('receive() returns at once where the signal has fired already', async () => {
      const { topic, subscribe } = await opened.newTopic()
      const subscription = await subscribe()
      await topic.publish(textMessage('waits'))
      await subscription.receive(() => assert.fail('a delivery started'), {
        signal: AbortSignal.abort(),
      })
      assert.deepEqual(texts(await take(subscription, 1)), ['waits'])
    })

    if (!exactBacklog) return

    test('backlog() is 0 when nothing is left, and only then', async () => {
      const { topic, subscribe } = await opened.newTopic()
      const subscription = await subscribe({ filter: 'attributes.to = "me"' })
      const none = { messages: 0, bytes: 0 }
      assert.deepEqual(await subscription.backlog(), none)
      const mine = textMessage('mine', { to: 'me' })
      await topic.publish(mine)
      await topic.publish(mine)
      assert.deepEqual(await subscription.backlog(), {
        messages: 2,
        bytes: 2 * messageBytes(mine),
      })
      const stop = new AbortController()
      const gate = Promise.withResolvers<void>()
      const out = Promise.withResolvers<void>()
      let left = 2
      const receiving = subscription.receive(
        async () => {
          if (--left > 0) return
          out.resolve()
          await gate.promise
        },
        { signal: stop.signal },
      )
      await out.promise
      await pause(300)
      assert.equal((await subscription.backlog()).messages, 1, 'one is out and not acked')
      // What the filter drops counts until the receiver has passed it, and no longer.
      await topic.publish(textMessage('theirs', { to: 'you' }))
      gate.resolve()
      while ((await subscription.backlog()).messages > 0) await pause(10)
      stop.abort()
      await receiving
      assert.deepEqual(await subscription.backlog(), none)
    })
  })
}
