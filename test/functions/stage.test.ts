import assert from 'node:assert/strict'
import { test } from 'node:test'

import { deadLetterAttributes } from '../../core/dead-letter.ts'
import { NightjarError } from '../../core/errors.ts'
import { createStage, type StageHandler, type StageOptions } from '../../functions/stage.ts'
import { cameFrom, delivery, fakeLog, fakeStore, fakeTopic } from './fakes.ts'

function makeStage(handle: StageHandler, options: Partial<StageOptions> = {}) {
  const parts = { ledger: fakeTopic(), deadLetters: fakeTopic(), claims: fakeStore() }
  const { log, events } = fakeLog()
  const now = (): Date => new Date('2026-11-22T05:00:00Z')
  const stage = createStage({ stage: 'archive', handle, log, now, ...parts, ...options })
  const told = (): Record<string, unknown>[] =>
    parts.ledger.published.map(({ data }) => JSON.parse(Buffer.from(data).toString()))
  return { ...parts, stage, told, events }
}

const packet = Buffer.from('a packet')
const stored: StageHandler = async () => ({ outcome: 'stored', objectId: 'ZTF1', candid: 5n })
const failing = (error: unknown) => (): Promise<never> => Promise.reject(error)
const undecodable = new NightjarError('packet_undecodable', 'Cannot read packet: it is noise')
const busy = new NightjarError('store_failed', 'Cannot store "x": the disk is busy')

test('a stage tells the ledger what became of the occurrence, and then acks', async () => {
  const { stage, told, deadLetters } = makeStage(stored)
  await stage(delivery(packet, cameFrom(3, 1205)))
  const [event, ...others] = told()
  assert.deepEqual(others, [])
  assert.equal(event?.['stage'], 'archive')
  assert.equal(event?.['kafka_topic'], 'ztf_20261121_programid1')
  assert.equal(event?.['kafka_partition'], 3)
  assert.equal(event?.['kafka_offset'], '1205')
  assert.equal(event?.['night'], '20261121')
  assert.equal(event?.['outcome'], 'stored')
  assert.equal(event?.['objectId'], 'ZTF1')
  assert.equal(event?.['candid'], '5')
  assert.deepEqual(deadLetters.published, [])
})

test('a stage does not ack what the ledger was not told', async () => {
  const { stage, ledger, told } = makeStage(stored)
  const failure = new NightjarError('publish_failed', 'Cannot write: the disk is full')
  ledger.failures.push(failure)
  await assert.rejects(stage(delivery(packet)), failure)
  await stage(delivery(packet, cameFrom(0, 1), 2))
  assert.equal(told().length, 1)
})

test('what can never be handled is kept whole in the dead letters, and the ledger knows', async () => {
  const { stage, deadLetters, told, events } = makeStage(failing(undecodable))
  const attributes = { ...cameFrom(2, 9), objectId: 'ZTF9', candid: '-12', note: 'kept' }
  await stage(delivery(packet, attributes))
  assert.deepEqual(deadLetters.published, [
    {
      data: packet,
      attributes: {
        ...attributes,
        [deadLetterAttributes.stage]: 'archive',
        [deadLetterAttributes.code]: 'packet_undecodable',
        [deadLetterAttributes.reason]: 'Cannot read packet: it is noise',
        [deadLetterAttributes.at]: '2026-11-22T05:00:00.000Z',
      },
    },
  ])
  const [event] = told()
  assert.equal(event?.['outcome'], 'dead_lettered')
  assert.equal(event?.['reason'], 'Cannot read packet: it is noise')
  assert.equal(event?.['objectId'], 'ZTF9')
  assert.equal(event?.['candid'], '-12')
  assert.deepEqual(
    events.map(({ name }) => name),
    ['message_dead_lettered'],
  )
})

test('a dead letter that is not durable is neither acked nor in the ledger', async () => {
  const { stage, deadLetters, told } = makeStage(failing(undecodable))
  deadLetters.failures.push(new NightjarError('publish_failed', 'Cannot write: the disk is full'))
  await assert.rejects(stage(delivery(packet)), { code: 'publish_failed' })
  assert.deepEqual(told(), [])
})

test('what may pass is rejected, told once in the log, and kept from the ledger', async () => {
  const { stage, deadLetters, told, events } = makeStage(failing(busy))
  for (const attempt of [1, 2, 3, 50, 89]) {
    await assert.rejects(stage(delivery(packet, cameFrom(0, 1), attempt)), busy)
  }
  assert.deepEqual(told(), [])
  assert.deepEqual(deadLetters.published, [])
  const attempts = events.map(({ name, facts }) => [name, facts['attempt']])
  assert.deepEqual(
    attempts,
    [1, 2, 3, 50, 89].map((attempt) => ['message_retried', attempt]),
  )
})

test('after ninety attempts a message is given up without being handled again', async () => {
  let calls = 0
  const { stage, deadLetters, told } = makeStage(async () => {
    calls++
    throw busy
  })
  await stage(delivery(packet, cameFrom(0, 1), 101))
  assert.equal(calls, 0)
  const letter = deadLetters.published[0]?.attributes
  assert.equal(letter?.[deadLetterAttributes.code], 'attempts_exhausted')
  assert.match(letter?.[deadLetterAttributes.reason] ?? '', /90 attempts have failed or died/)
  assert.equal(told()[0]?.['outcome'], 'dead_lettered')
})

test('what fails at the ninetieth attempt, too, is given up with its reason', async () => {
  const { stage, deadLetters, told } = makeStage(failing(busy))
  await stage(delivery(packet, cameFrom(0, 1), 90))
  const reason = deadLetters.published[0]?.attributes[deadLetterAttributes.reason]
  assert.match(reason ?? '', /90 attempts have failed or died, the last one so: Cannot store "x"/)
  assert.equal(told()[0]?.['outcome'], 'dead_lettered')
})

test('what succeeds at the ninetieth attempt is done: others of the delivery may have failed', async () => {
  const { stage, deadLetters, told } = makeStage(stored)
  await stage(delivery(packet, cameFrom(0, 1), 90))
  assert.equal(told()[0]?.['outcome'], 'stored')
  assert.deepEqual(deadLetters.published, [])
})

test('an error of our own making becomes a dead letter at the third attempt', async () => {
  const bug = new TypeError("Cannot read properties of undefined (reading 'jd')")
  const { stage, deadLetters, told } = makeStage(failing(bug))
  for (const attempt of [1, 2]) {
    await assert.rejects(stage(delivery(packet, cameFrom(0, 1), attempt)), bug)
  }
  await stage(delivery(packet, cameFrom(0, 1), 3))
  assert.equal(told()[0]?.['outcome'], 'dead_lettered')
  const [letter] = deadLetters.published
  assert.equal(letter?.data, packet)
  assert.equal(
    letter?.attributes[deadLetterAttributes.reason],
    'Cannot handle a message: unexpected TypeError at attempt 3: ' + bug.message,
  )
})

test("the system's own errors pass with time and are never given up early", async () => {
  const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { errno: -28 })
  const { stage, deadLetters } = makeStage(failing(full))
  await assert.rejects(stage(delivery(packet, cameFrom(0, 1), 40)), full)
  assert.deepEqual(deadLetters.published, [])
})

test('a message that does not say where it is from is a dead letter without a place in the ledger', async () => {
  const refused = [
    {},
    { ...cameFrom(0, 1), 'kafka.offset': '1.5' },
    { ...cameFrom(0, 1), 'kafka.topic': '' },
  ]
  for (const attributes of refused) {
    const { stage, deadLetters, told } = makeStage(stored)
    await stage(delivery(packet, attributes))
    const letter = deadLetters.published[0]?.attributes
    assert.equal(letter?.[deadLetterAttributes.code], 'attribute_invalid')
    assert.deepEqual(told(), [])
  }
})

test('a stage redeems a claim before it handles, and the dead letter of a claim stays a claim', async () => {
  let seen = 0
  const parts = makeStage(async ({ data, attributes }) => {
    seen = data.length
    assert.equal('nightjar_claim' in attributes, false)
    throw undecodable
  })
  await parts.claims.create('claims/t/0/1', new Uint8Array(11_000_000))
  const attributes = { ...cameFrom(0, 1), nightjar_claim: 'claims/t/0/1' }
  await parts.stage(delivery(new Uint8Array(), attributes))
  assert.equal(seen, 11_000_000)
  const letter = parts.deadLetters.published[0]
  assert.equal(letter?.attributes['nightjar_claim'], 'claims/t/0/1')
})

test('a claim whose bytes are not there yet is asked for again', async () => {
  const { stage } = makeStage(stored)
  const attributes = { ...cameFrom(0, 1), nightjar_claim: 'claims/gone' }
  await assert.rejects(stage(delivery(new Uint8Array(), attributes)), { code: 'store_failed' })
})
