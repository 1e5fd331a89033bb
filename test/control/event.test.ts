import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { test } from 'node:test'

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
import { formatPayload, parsePayload, propertySet, propertyValue } from '../../control/payload.ts'
import { dataDir, skipWithout } from '../data.ts'

const vectors = resolve(dataDir, 'vectors')
const withoutVectors = skipWithout(vectors, 'set NIGHTJAR_DATA to a folder with the vectors')

const nowNs = 1_700_000_000_123_456_789n
const origin = { hostname: 'here', processId: 42, localId: 0 }

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
    `{"${'a.'.repeat(20_000)}b":{"int":"1"}}`,
  ]) {
    assert.throws(() => parsePayload(text), { code: 'input_invalid' }, text)
  }
  assert.deepEqual([...parsePayload('{"__proto__":{"int":"1"}}').keys()], ['__proto__'])
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
