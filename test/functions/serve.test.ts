import assert from 'node:assert/strict'
import { test } from 'node:test'

import { NightjarError } from '../../core/errors.ts'
import type { StageName } from '../../core/pipeline.ts'
import type { Store, Topic } from '../../core/ports.ts'
import { parseDelivery } from '../../functions/delivery.ts'
import { addFilter, removeFilter } from '../../functions/filter/registry.ts'
import { serveReader, type ServingGround } from '../../functions/serve.ts'
import { memoryStore } from '../memory-store.ts'
import { cameFrom, exampleRecord, fakeLog, fakeStore, fakeTopic, packetOf } from './fakes.ts'

const packet = packetOf(exampleRecord())

/** A reader of one stage. */
const alone = (stage: StageName) => ({ name: 'packets', stages: [stage] }) as const

/** What functions-framework makes of a push request. */
function pushed(data: Uint8Array, attributes = cameFrom(0, 1), more: object = {}): unknown {
  const message = {
    data: Buffer.from(data).toString('base64'),
    attributes,
    messageId: 'm1',
    publishTime: '2026-11-21T03:04:05.006Z',
  }
  return { id: 'e1', type: 'any', source: 'any', data: { message, ...more } }
}

function world() {
  const topics = new Map<string, ReturnType<typeof fakeTopic>>()
  const store = fakeStore()
  const asked: string[] = []
  let closed = 0
  const ground: ServingGround = {
    at: { survey: 'ztf' },
    async topic(word): Promise<Topic> {
      asked.push(word)
      const topic = topics.get(word) ?? fakeTopic()
      topics.set(word, topic)
      return topic
    },
    async bucket(word): Promise<Store> {
      asked.push(word)
      return store
    },
    table: () => Promise.reject(new Error('not asked for')),
    async close() {
      closed++
    },
  }
  const { log, events } = fakeLog()
  return { ground, topics, store, asked, log, events, closed: () => closed }
}

test('parseDelivery() reads the message of a CloudEvent, with Pub/Sub’s count of attempts', () => {
  const read = parseDelivery(pushed(Buffer.from('abc'), cameFrom(3, 9), { deliveryAttempt: 4 }))
  assert.deepEqual(read, {
    id: 'm1',
    data: Buffer.from('abc'),
    attributes: cameFrom(3, 9),
    publishedAt: new Date('2026-11-21T03:04:05.006Z'),
    attempt: 4,
  })
})

test('parseDelivery() reads the bare body that a message without data comes as', () => {
  const body = { message: { attributes: { a: '1' }, messageId: '5' }, subscription: 's' }
  const { id, data, attributes, attempt } = parseDelivery(body)
  assert.deepEqual(
    { id, size: data.length, attributes, attempt },
    {
      ...{ id: '5', size: 0, attributes: { a: '1' }, attempt: 1 },
    },
  )
})

test('parseDelivery() refuses what is no push request', () => {
  const wrong = [undefined, null, '', 7, {}, { data: {} }, { data: { message: { data: 'YQ==' } } }]
  const odd = { message: { messageId: '1', data: 'not base64 at all! ünd more' } }
  for (const event of [...wrong, odd, { message: { messageId: '1', data: 5 } }]) {
    assert.throws(() => parseDelivery(event), { code: 'input_invalid' }, JSON.stringify(event))
  }
})

test('a stage handles an event, tells the ledger, and opens nothing that it does not need', async () => {
  const { ground, topics, store, asked, log } = world()
  const served = serveReader(alone('archive'), ground, log)
  await served.handle(pushed(packet))
  assert.equal(store.objects.size, 1)
  assert.equal(topics.get('ledger')?.published[0]?.attributes['outcome'], 'stored')
  assert.deepEqual(asked.toSorted(), ['alert_avro_bucket', 'dead_letter', 'ledger'])
})

test('many events at once share one ground', async () => {
  const { ground, topics, asked, log } = world()
  const served = serveReader(alone('exgalac'), ground, log)
  await Promise.all(
    Array.from({ length: 50 }, (_, i) => served.handle(pushed(packet, cameFrom(0, i)))),
  )
  assert.equal(topics.get('ledger')?.published.length, 50)
  assert.equal(asked.filter((word) => word === 'ledger').length, 1)
})

test('what can never be handled is a dead letter and acked', async () => {
  const { ground, topics, log } = world()
  const served = serveReader(alone('archive'), ground, log)
  await served.handle(pushed(Buffer.from('no packet')))
  const [letter] = topics.get('dead_letter')?.published ?? []
  assert.equal(letter?.attributes['dead_letter_code'], 'packet_undecodable')
  assert.equal(Buffer.from(letter?.data ?? []).toString(), 'no packet')
  assert.equal(topics.get('ledger')?.published[0]?.attributes['outcome'], 'dead_lettered')
})

test('what may work later is refused, and nothing is told to the ledger', async () => {
  const { ground, topics, store, log } = world()
  const served = serveReader(alone('archive'), ground, log)
  await ground.topic('ledger')
  topics.get('ledger')?.failures.push(new NightjarError('publish_failed', 'Cannot publish: later'))
  await assert.rejects(served.handle(pushed(packet)), { code: 'publish_failed' })
  await served.handle(pushed(packet))
  assert.equal(store.objects.size, 1)
  assert.equal(topics.get('ledger')?.published.length, 1)
})

test('a ground that cannot be opened refuses the event, and the next event opens it anew', async () => {
  const { ground, topics, log } = world()
  let broken = true
  const served = serveReader(
    alone('archive'),
    {
      ...ground,
      topic: (word) =>
        broken
          ? Promise.reject(new NightjarError('publish_failed', 'Cannot open'))
          : ground.topic(word),
    },
    log,
  )
  served.warm()
  await assert.rejects(served.handle(pushed(packet)), { message: 'Cannot open' })
  broken = false
  await served.handle(pushed(packet))
  assert.equal(topics.get('ledger')?.published.length, 1)
})

test('a fault of our own is given up after three attempts, though Pub/Sub does not count them', async () => {
  const { ground, topics, log } = world()
  const served = serveReader(
    alone('archive'),
    {
      ...ground,
      async bucket(): Promise<Store> {
        return {
          ...fakeStore(),
          create: () => Promise.reject(new TypeError('x is not a function')),
        }
      },
    },
    log,
  )
  for (let i = 0; i < 2; i++) await assert.rejects(served.handle(pushed(packet)), TypeError)
  await served.handle(pushed(packet))
  const [letter] = topics.get('dead_letter')?.published ?? []
  assert.equal(letter?.attributes['dead_letter_code'], 'attempts_exhausted')
})

test('an event without a message is logged and not asked for again', async () => {
  const { ground, log, events } = world()
  await serveReader(alone('archive'), ground, log).handle({ data: {} })
  assert.equal(events[0]?.name, 'stage_failed')
})

test('close() waits for what is under way, then closes the ground', async () => {
  const { ground, topics, log, closed } = world()
  const served = serveReader(alone('archive'), ground, log)
  const handling = served.handle(pushed(packet))
  const closing = served.close()
  assert.equal(closed(), 0)
  await Promise.all([handling, closing])
  assert.equal(closed(), 1)
  assert.equal(topics.get('ledger')?.published.length, 1)
})

test('the named filters are served: read from the bucket, published on their topics, told to the ledger', async (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: Date.parse('2026-11-21T04:00:00Z') })
  const { ground, topics, log } = world()
  const store = memoryStore()
  const here = { ...ground, bucket: async () => store }
  const { objectId, candid } = exampleRecord()
  await addFilter(store, 'own', `objectId = '${String(objectId)}'`, new Date())
  await addFilter(store, 'other', "objectId = 'nobody'", new Date())
  await addFilter(store, 'fits', 'salt2_z < 0.1', new Date())
  const served = serveReader({ name: 'filter', stages: ['filter'] }, here, log)
  const toldOf = (at: number): Record<string, unknown> =>
    JSON.parse(Buffer.from(topics.get('ledger')?.published[at]?.data ?? []).toString())
  await served.handle(pushed(packet, cameFrom(0, 1)))
  const [message] = topics.get('filter_own')?.published ?? []
  assert.equal(message?.attributes['filter'], 'own')
  assert.equal(message?.attributes['filter_version'], '1')
  assert.deepEqual([topics.has('filter_other'), topics.has('filter_fits')], [false, false])
  const { stage, outcome, reason, candid: told } = toldOf(0)
  assert.deepEqual([stage, outcome, String(told)], ['filter', 'published', String(candid)])
  assert.match(String(reason), /^bank [0-9a-f]{12}: own@1$/)

  // A filter that is removed is asked no more, some seconds later: each look is paid.
  await removeFilter(store, 'own', new Date())
  await served.handle(pushed(packet, cameFrom(0, 2)))
  assert.equal(toldOf(1)['outcome'], 'published')
  t.mock.timers.tick(5000)
  await served.handle(pushed(packet, cameFrom(0, 3)))
  assert.equal(toldOf(2)['outcome'], 'filtered')
})

test('where no filter is live every alert is accounted for, and nothing else is opened', async () => {
  const { ground, topics, asked, log } = world()
  const store = memoryStore()
  const here = { ...ground, bucket: async () => store }
  await serveReader({ name: 'filter', stages: ['filter'] }, here, log).handle(pushed(packet))
  assert.equal(topics.get('ledger')?.published[0]?.attributes['outcome'], 'filtered')
  assert.deepEqual(asked.toSorted(), ['dead_letter', 'ledger'])
})
