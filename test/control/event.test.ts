import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { test, type TestContext } from 'node:test'

import {
  createCommandEvent,
  createEvent,
  createLogEvent,
  createStatusEvent,
  eventOfMessage,
  messageOfEvent,
  publishedEvent,
  runIdOf,
  type ControlEvent,
} from '../../control/event.ts'
import { createEventSystem } from '../../control/event-system.ts'
import {
  openDequeuer,
  openEnqueuer,
  openReceiver,
  openTransmitter,
  type Exchange,
} from '../../control/exchange.ts'
import { formatPayload, parsePayload, propertySet, propertyValue } from '../../control/payload.ts'
import { dataDir, skipWithout } from '../data.ts'
import { openHome } from '../local/home.ts'

const vectors = resolve(dataDir, 'vectors')
const withoutVectors = skipWithout(vectors, 'set NIGHTJAR_DATA to a folder with the vectors')

const nowNs = 1_700_000_000_123_456_789n
const origin = { hostname: 'here', processId: 42, localId: 0 }

/** Topics and queues of a home in a temporary folder. */
async function exchangeHere(t: TestContext): Promise<Exchange> {
  const home = await openHome()
  t.after(() => home.remove())
  let clock = nowNs
  return {
    topic: (name) => home.topic(`events.${name}`),
    queue: (name) => home.topic(`queue.${name}`),
    receiver: (topic, receiver) => home.subscription(`events.${topic}`, { name: receiver }),
    dequeuer: (queue) => home.subscription(`queue.${queue}`),
    nowNs: () => ++clock,
  }
}

const numbered = (n: number, more: Partial<Parameters<typeof createEvent>[0]> = {}): ControlEvent =>
  createEvent({ payload: propertySet({ n }), nowNs, ...more })

const numberOf = (event: ControlEvent | null): unknown => event && propertyValue(event.payload, 'n')

test('the payload is written as Boost writes it, byte for byte', { skip: withoutVectors }, () => {
  const text = readFileSync(resolve(vectors, 'ctrl_events_payload_vectors.txt'), 'utf8')
  const set = propertySet({
    ...{ one: 1, two: 'two', three: 3.4, four: [5, 6, 7, 8], b: [true, false], ll: nowNs },
    f: { type: 'float', values: [0.1] },
    d: { type: 'double', values: [0.1, 1e300, 1 / 3, 3.14, 1e-7, 100_000, Infinity] },
    esc: ['a/b"c\\d\ne\tf', 'café', ''],
    ...{ 'logger.pid.xyzzy': 1, 'logger.status': 's' },
    when: { type: 'datetime', values: [nowNs] },
  })
  const [first = ''] = text.split('\n')
  assert.equal(formatPayload(set), `${first}\n`)
  assert.equal(formatPayload(parsePayload(first)), `${first}\n`)
  assert.equal(formatPayload(new Map()), '{}\n')
  const read = parsePayload(
    '{"n":{"int":5},"a":{"int":"1","int":"2"},"s":{"string":null},"t":{"bool":true}}',
  )
  assert.deepEqual(
    [...read].map(([name, { values }]) => [name, values]),
    [
      ['n', [5]],
      ['a', [1, 2]],
      ['s', ['null']],
      ['t', [true]],
    ],
  )
})

test('a payload that is none is refused with its place', () => {
  for (const text of [
    '',
    '{',
    '[]',
    '{"a":1}',
    '{"a":{"int":"x"}}',
    '{"a":{"int":"1","bool":"1"}}',
    '{} {}',
    `${'{"a":'.repeat(99)}{}`,
  ]) {
    assert.throws(() => parsePayload(text), { code: 'input_invalid' }, text)
  }
  assert.deepEqual([...parsePayload('{"__proto__":{"int":"1"}}').keys()], ['__proto__'])
})

test('L5: an event of a property set comes back with its arrays, its 64 bits and its times', async (t) => {
  const exchange = await exchangeHere(t)
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
  const event = await receiver.receiveEvent(5000)
  assert.ok(event)
  assert.deepEqual(event.payload, payload)
  assert.equal(propertyValue(event.header, 'TYPE'), '_E')
  assert.equal(propertyValue(event.header, 'EVENTTIME'), nowNs)
  assert.equal(propertyValue(event.header, 'PUBTIME'), nowNs + 1n)
  assert.equal(propertyValue(event.header, 'TOPIC'), 'mine')
  assert.equal(propertyValue(event.header, 'STATUS'), 'unknown')
  assert.throws(() => runIdOf(event), /it names none/)
  await receiver.close()
})

test('L10: events, status, command and log events have their headers, typed', () => {
  const typesOf = ({ header }: ControlEvent): string =>
    [...header].map(([name, { type }]) => `${name}:${type}`).join(' ')
  const base = 'TYPE:string EVENTTIME:long long STATUS:string TOPIC:string PUBTIME:long long'
  const orig = 'ORIG_HOSTNAME:string ORIG_PROCESSID:int ORIG_LOCALID:int'
  assert.equal(typesOf(createEvent({ nowNs })), base)
  assert.equal(typesOf(createStatusEvent({ nowNs, origin })), `${base} ${orig}`)
  const command = createCommandEvent({ nowNs, origin, destination: origin, runId: 'r1' })
  assert.equal(typesOf(command), `${base} RUNID:string ${orig} ${orig.replaceAll('ORIG', 'DEST')}`)
  assert.equal(runIdOf(command), 'r1')
  const log = createLogEvent({ nowNs, origin, level: 'WARN', logger: 'a.b', message: 'hm' })
  assert.equal(typesOf(log), `${base} ${orig} LEVEL:int LOGGER:string`)
  assert.equal(propertyValue(log.header, 'LEVEL'), 30_000)
  assert.equal(propertyValue(log.payload, 'message'), 'hm')
  for (const event of [command, log]) {
    assert.deepEqual(eventOfMessage(messageOfEvent(event)), event)
  }
})

test('L9: only single values of one level can be filtered, and the header’s names are its own', () => {
  const publish = (filterable: Parameters<typeof propertySet>[0]) =>
    publishedEvent(
      createEvent({ nowNs, filterable: propertySet(filterable) }),
      { topic: 't' },
      nowNs,
    )
  assert.throws(() => publish({ list: [1, 2] }), /only single values/)
  assert.throws(() => publish({ 'PLOVER.FIRST': 1 }), /only single values/)
  assert.throws(() => createEvent({ nowNs, payload: propertySet({ STATUS: 'x' }) }), /header’s own/)
  assert.equal(propertyValue(publish({ FOO: 0.867 }).header, 'FOO'), 0.867)
})

test('L1, L6: a queue keeps events until one dequeuer takes each, in order, whichever side came first', async (t) => {
  const exchange = await exchangeHere(t)
  const sender = await openEnqueuer(exchange, 'q')
  for (const n of [300, 200, 100, 50]) await sender.publishEvent(numbered(n))
  const one = await openDequeuer(exchange, 'q')
  const two = await openDequeuer(exchange, 'q')
  const first = await one.receiveEvent(5000)
  assert.equal(numberOf(first), 300)
  assert.equal(propertyValue(first?.header ?? new Map(), 'QUEUE'), 'q')
  assert.equal(numberOf(await two.receiveEvent(5000)), 200)
  const both = await Promise.all([one.receiveEvent(5000), two.receiveEvent(5000)])
  assert.deepEqual(both.map(numberOf).sort(), [100, 50].sort())
  assert.equal(await one.receiveEvent(50), null)
})

test('L2, L3, L4: every receiver of a topic has each event of every sender since it was made, at its pace', async (t) => {
  const exchange = await exchangeHere(t)
  const senders = [await openTransmitter(exchange, 't'), await openTransmitter(exchange, 't')]
  await senders[0]?.publishEvent(numbered(0))
  const early = await openReceiver(exchange, 't')
  await senders[0]?.publishEvent(numbered(1))
  const late = await openReceiver(exchange, 't')
  await senders[1]?.publishEvent(numbered(2))
  assert.deepEqual(numberOf(await late.receiveEvent(5000)), 2)
  assert.equal(await late.receiveEvent(50), null)
  assert.equal(numberOf(await early.receiveEvent(5000)), 1)
  assert.equal(numberOf(await early.receiveEvent(5000)), 2)
})

test('L7, L8: receiveEvent() answers null when its time is up, and no event twice', async (t) => {
  const exchange = await exchangeHere(t)
  const receiver = await openReceiver(exchange, 't')
  assert.equal(await receiver.receiveEvent(30), null)
  const waiting = receiver.receiveEvent()
  const sender = await openTransmitter(exchange, 't')
  await sender.publishEvent(numbered(7))
  assert.equal(numberOf(await waiting), 7)
  assert.equal(await receiver.receiveEvent(50), null)
  const forEver = receiver.receiveEvent(-1)
  await receiver.close()
  assert.equal(await forEver, null)
})

test('L11, L12: selectors choose by the header, on topics and queues; what is none is refused at once', async (t) => {
  const exchange = await exchangeHere(t)
  await assert.rejects(openReceiver(exchange, 't', 'NOT'), { code: 'input_invalid' })
  await assert.rejects(openDequeuer(exchange, 'q', 'a ='), { code: 'input_invalid' })
  const filterable = propertySet({ system: 'centos', version: 7 })
  const receiver = await openReceiver(exchange, 't', "system = 'centos' AND version > 6")
  const topic = await openTransmitter(exchange, 't')
  await topic.publishEvent(numbered(1))
  await topic.publishEvent(numbered(2, { filterable }))
  assert.equal(numberOf(await receiver.receiveEvent(5000)), 2)
  const queue = await openEnqueuer(exchange, 'q')
  await queue.publishEvent(numbered(3))
  await queue.publishEvent(numbered(4, { runId: 'x' }))
  const choosy = await openDequeuer(exchange, 'q', "RUNID = 'x'")
  assert.equal(numberOf(await choosy.receiveEvent(5000)), 4)
  assert.equal(await choosy.receiveEvent(50), null)
  const other = await openDequeuer(exchange, 'q')
  assert.equal(numberOf(await other.receiveEvent(5000)), 3)
})

test('L13: an event system knows its topics and queues by name, each once', async (t) => {
  const exchange = await exchangeHere(t)
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
  assert.equal(numberOf(await system.receiveEvent('news', 5000)), 5)
  await system.close()
})
