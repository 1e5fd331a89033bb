/** What an exchange of events does, whichever answers to the ports it stands on. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'

import { createEvent, runIdOf, type ControlEvent } from '../../control/event.ts'
import { createEventSystem } from '../../control/event-system.ts'
import {
  openDequeuer,
  openEnqueuer,
  openReceiver,
  openTransmitter,
  type Exchange,
} from '../../control/exchange.ts'
import { propertySet, propertyValue } from '../../control/payload.ts'

export interface ExchangeFacts {
  /** Events of a queue come in the order they were sent. */
  inOrder: boolean
  /** By when an event that was sent has come, and how long to wait for one that does not come, ms. */
  latestMs: number
  quietMs: number
}

export interface OpenedExchange {
  /** Topics, queues and readers that no other test uses. */
  exchange: Omit<Exchange, 'nowNs'>
  cleanup(): Promise<void>
}

const nowNs = 1_700_000_000_123_456_789n

const numbered = (n: number, more: Partial<Parameters<typeof createEvent>[0]> = {}): ControlEvent =>
  createEvent({ payload: propertySet({ n }), nowNs, ...more })

const numberOf = (event: ControlEvent | null): unknown => event && propertyValue(event.payload, 'n')

const byNumber = (a: unknown, b: unknown): number => Number(a) - Number(b)

/** Run the contract against an answer. */
export function exchangeContract(
  name: string,
  { inOrder, latestMs, quietMs }: ExchangeFacts,
  open: () => Promise<OpenedExchange>,
): void {
  suite(`${name} keeps the contract of an exchange of events`, () => {
    let opened: OpenedExchange
    let exchange: Exchange
    before(async () => {
      opened = await open()
      let clock = nowNs
      exchange = { ...opened.exchange, nowNs: () => ++clock }
    })
    after(() => opened?.cleanup())

    test('L5: an event of a property set comes back with its arrays, its 64 bits and its times', async () => {
      const receiver = await openReceiver(exchange, 'mine')
      const sender = await openTransmitter(exchange, 'mine')
      const payload = propertySet({
        one: 1,
        two: 'two',
        three: 3.4,
        four: [5, 6, 7, 8],
        big: 2n ** 62n + 1n,
      })
      await sender.publishEvent(createEvent({ payload, nowNs }))
      const event = await receiver.receiveEvent(latestMs)
      assert.ok(event)
      assert.deepEqual(event.payload, payload)
      assert.equal(propertyValue(event.header, 'TYPE'), '_E')
      assert.equal(propertyValue(event.header, 'EVENTTIME'), nowNs)
      const published = propertyValue(event.header, 'PUBTIME')
      assert.ok(typeof published === 'bigint' && published > nowNs)
      assert.equal(propertyValue(event.header, 'TOPIC'), 'mine')
      assert.equal(propertyValue(event.header, 'STATUS'), 'unknown')
      assert.throws(() => runIdOf(event), /it names none/)
      await receiver.close()
    })

    test('L1, L6: a queue keeps events until one dequeuer takes each, whichever side came first', async () => {
      const sender = await openEnqueuer(exchange, 'kept')
      for (const n of [300, 200, 100, 50]) await sender.publishEvent(numbered(n))
      const one = await openDequeuer(exchange, 'kept')
      const two = await openDequeuer(exchange, 'kept')
      const first = await one.receiveEvent(latestMs)
      assert.equal(propertyValue(first?.header ?? new Map(), 'QUEUE'), 'kept')
      const second = await two.receiveEvent(latestMs)
      const rest = await Promise.all([one.receiveEvent(latestMs), two.receiveEvent(latestMs)])
      const taken = [first, second, ...rest].map(numberOf)
      if (inOrder) assert.deepEqual(taken.slice(0, 2), [300, 200])
      assert.deepEqual(taken.sort(byNumber), [50, 100, 200, 300])
      assert.equal(await one.receiveEvent(quietMs), null)
      // Who took it is gone; the queue is not.
      await one.close()
      await two.close()
      await sender.publishEvent(numbered(7))
      const third = await openDequeuer(exchange, 'kept')
      assert.equal(numberOf(await third.receiveEvent(latestMs)), 7)
      await third.close()
    })

    test('L2, L3, L4: every receiver of a topic has each event of every sender since it was made, at its pace', async () => {
      const senders = [
        await openTransmitter(exchange, 'pace'),
        await openTransmitter(exchange, 'pace'),
      ]
      await senders[0]?.publishEvent(numbered(0))
      const early = await openReceiver(exchange, 'pace')
      await senders[0]?.publishEvent(numbered(1))
      const late = await openReceiver(exchange, 'pace')
      await senders[1]?.publishEvent(numbered(2))
      assert.deepEqual(numberOf(await late.receiveEvent(latestMs)), 2)
      assert.equal(await late.receiveEvent(quietMs), null)
      const both = [await early.receiveEvent(latestMs), await early.receiveEvent(latestMs)]
      assert.deepEqual(both.map(numberOf).sort(byNumber), [1, 2])
      await early.close()
      await late.close()
    })

    test('L7, L8: receiveEvent() answers null when its time is up, and no event twice', async () => {
      const receiver = await openReceiver(exchange, 'waiting')
      assert.equal(await receiver.receiveEvent(quietMs), null)
      const waiting = receiver.receiveEvent()
      const sender = await openTransmitter(exchange, 'waiting')
      await sender.publishEvent(numbered(7))
      assert.equal(numberOf(await waiting), 7)
      assert.equal(await receiver.receiveEvent(quietMs), null)
      const forEver = receiver.receiveEvent(-1)
      await receiver.close()
      assert.equal(await forEver, null)
    })

    test('L11, L12: selectors choose by the header, on topics and queues; what is none is refused at once', async () => {
      await assert.rejects(openReceiver(exchange, 'chosen', 'NOT'), { code: 'input_invalid' })
      await assert.rejects(openDequeuer(exchange, 'chosen', 'a ='), { code: 'input_invalid' })
      const filterable = propertySet({ system: 'centos', version: 7 })
      const receiver = await openReceiver(exchange, 'chosen', "system = 'centos' AND version > 6")
      const topic = await openTransmitter(exchange, 'chosen')
      await topic.publishEvent(numbered(1))
      await topic.publishEvent(numbered(2, { filterable }))
      assert.equal(numberOf(await receiver.receiveEvent(latestMs)), 2)
      const queue = await openEnqueuer(exchange, 'chosen')
      await queue.publishEvent(numbered(3))
      await queue.publishEvent(numbered(4, { runId: 'x' }))
      const choosy = await openDequeuer(exchange, 'chosen', "RUNID = 'x'")
      assert.equal(numberOf(await choosy.receiveEvent(latestMs)), 4)
      assert.equal(await choosy.receiveEvent(quietMs), null)
      const other = await openDequeuer(exchange, 'chosen')
      assert.equal(numberOf(await other.receiveEvent(latestMs)), 3)
      for (const one of [receiver, choosy, other]) await one.close()
    })

    test('L13: an event system knows its topics and queues by name, each once', async () => {
      const system = createEventSystem({ hostname: 'here', processId: 42 })
      await system.createReceiver(exchange, 'news')
      await system.createTransmitter(exchange, 'news')
      await assert.rejects(system.createTransmitter(exchange, 'news'), /already registered/)
      await assert.rejects(system.createEnqueuer(exchange, 'news'), /already registered/)
      await assert.rejects(system.publishEvent('none', numbered(1)), /not registered/)
      await assert.rejects(system.receiveEvent('none'), /not registered/)
      assert.deepEqual(
        [0, 1],
        [system.createOriginatorId().localId, system.createOriginatorId().localId],
      )
      await system.publishEvent('news', numbered(5))
      assert.equal(numberOf(await system.receiveEvent('news', latestMs)), 5)
      await system.close()
    })
  })
}
