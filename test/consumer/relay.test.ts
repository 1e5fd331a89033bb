import assert from 'node:assert/strict'
import { suite, test } from 'node:test'

import { createRelay, type Relay } from '../../consumer/relay.ts'
import { NightjarError } from '../../core/errors.ts'
import { checkMessage } from '../../core/limits.ts'
import type { Events, Log } from '../../core/log.ts'
import type { Message, Store, StoredObject, Topic } from '../../core/ports.ts'
import { bundledSchemas } from '../../schemas/registry.ts'
import { packet, record } from './packet.ts'

interface Ground {
  relay: Relay
  sent: Record<'alerts' | 'ledger' | 'deadLetters', Message[]>
  /** What happened, in order. */
  order: string[]
  logged: { name: keyof Events; facts: unknown }[]
  claims: Map<string, Uint8Array>
}

/** A relay among fakes; `refuse` may throw for a publish or a claim that is about to be made. */
function makeGround(refuse: (what: string, message?: Message) => void = () => {}): Ground {
  const sent: Ground['sent'] = { alerts: [], ledger: [], deadLetters: [] }
  const order: string[] = []
  const logged: Ground['logged'] = []
  const claims = new Map<string, Uint8Array>()
  const topicOf = (name: keyof Ground['sent']): Topic => ({
    async publish(message) {
      checkMessage(message)
      await new Promise((resolve) => setTimeout(resolve, 2))
      refuse(name, message)
      order.push(name)
      return String(sent[name].push(message))
    },
    async close() {},
  })
  const store: Store = {
    async create(name, data) {
      refuse('claim')
      order.push('claim')
      claims.set(name, data)
      return { created: true, object: { name } as StoredObject }
    },
    replace: () => Promise.resolve(null),
    read: () => Promise.resolve(null),
    async *list() {},
  }
  const log: Log = (name, facts) => void logged.push({ name, facts })
  const relay = createRelay({
    alerts: topicOf('alerts'),
    ledger: topicOf('ledger'),
    deadLetters: topicOf('deadLetters'),
    claims: store,
    schemas: bundledSchemas(),
    log,
    now: () => new Date('2026-11-21T03:04:05Z'),
  })
  return { relay, sent, order, logged, claims }
}

const eventOf = (message: Message | undefined): Record<string, unknown> =>
  JSON.parse(Buffer.from(message?.data ?? []).toString()) as Record<string, unknown>

const passing = (): NightjarError => new NightjarError('publish_failed', 'Cannot publish: not now')

suite('relay()', () => {
  test('publishes the bytes as they are, then tells the ledger, and only then is done', async () => {
    const { relay, sent, order } = makeGround()
    const given = record(1205n, { key: 'k', headers: { origin: 'ipac' } })
    const done = relay(given).then((outcome) => {
      order.push('done')
      return outcome
    })
    assert.equal(await done, 'published')
    assert.deepEqual(order, ['alerts', 'ledger', 'done'])
    assert.equal(sent.alerts[0]?.data, given.value)
    assert.deepEqual(sent.alerts[0]?.attributes, {
      origin: 'ipac',
      'kafka.topic': 'ztf_20261121_programid1',
      'kafka.partition': '3',
      'kafka.offset': '1205',
      'kafka.timestamp': '1795230000000',
      key: 'k',
      objectId: 'ZTF21t1205',
      candid: '1205',
      jd: '2461365.75',
      fid: '2',
      schema_version: '4.02',
    })
    const event = eventOf(sent.ledger[0])
    assert.equal(event['stage'], 'intake')
    assert.equal(event['outcome'], 'published')
    assert.equal(event['kafka_offset'], '1205')
    assert.equal(event['objectId'], 'ZTF21t1205')
    assert.equal(event['candid'], '1205')
  })

  test('tries again what may pass, alert and ledger each', async () => {
    let alerts = 0
    let ledger = 0
    const { relay, order, logged } = makeGround((what) => {
      if (what === 'alerts' && ++alerts < 3) throw passing()
      if (what === 'ledger' && ++ledger < 2) throw new Error('some socket')
    })
    assert.equal(await relay(record(1n)), 'published')
    assert.deepEqual(order, ['alerts', 'ledger'])
    assert.deepEqual(
      logged.map(({ facts }) => facts),
      [
        {
          occurrence: 'ztf_20261121_programid1[3]@1',
          reason: 'Cannot publish: not now',
          attempt: 1,
        },
        {
          occurrence: 'ztf_20261121_programid1[3]@1',
          reason: 'Cannot publish: not now',
          attempt: 2,
        },
        { occurrence: 'ztf_20261121_programid1[3]@1', reason: 'some socket', attempt: 1 },
      ],
    )
  })

  test('keeps what can never be published as a dead letter, and tells the ledger', async () => {
    const { relay, sent, order } = makeGround((what) => {
      if (what === 'alerts') throw new NightjarError('attribute_invalid', 'Cannot publish it: no')
    })
    const given = record(7n)
    assert.equal(await relay(given), 'dead_lettered')
    assert.deepEqual(order, ['deadLetters', 'ledger'])
    const [letter] = sent.deadLetters
    assert.equal(letter?.data, given.value)
    assert.equal(letter?.attributes['dead_letter_stage'], 'intake')
    assert.equal(letter?.attributes['dead_letter_code'], 'attribute_invalid')
    assert.equal(letter?.attributes['kafka.offset'], '7')
    const event = eventOf(sent.ledger[0])
    assert.deepEqual(
      [event['outcome'], event['reason'], event['candid']],
      ['dead_lettered', 'Cannot publish it: no', '7'],
    )
  })

  test('keeps a record whose headers no topic takes, whatever is wrong with them', async () => {
    const many = Object.fromEntries(Array.from({ length: 120 }, (_, at) => [`h${at}`, 'v']))
    for (const headers of [
      many,
      { ['h'.repeat(300)]: 'v' },
      { h: 'v'.repeat(2000) },
      { '': 'v' },
    ]) {
      const { relay, sent } = makeGround()
      assert.equal(await relay(record(7n, { headers })), 'dead_lettered')
      assert.equal(sent.deadLetters[0]?.attributes['kafka.offset'], '7')
      assert.equal(eventOf(sent.ledger[0])['outcome'], 'dead_lettered')
    }
  })

  test('takes no header for something that we say ourselves', async () => {
    const { relay, sent } = makeGround()
    const headers = {
      candid: 'not a number',
      objectId: '../..',
      nightjar_claim: 'claims/nothing',
      nightjar_for: 'archive',
      dead_letter_stage: 'x',
      'kafka.offset': '0',
      mine: 'kept',
    }
    const outcome = await relay(record(9n, { headers, value: Buffer.from('not Avro') }))
    assert.equal(outcome, 'published')
    const attributes = sent.alerts[0]?.attributes ?? {}
    assert.deepEqual(Object.keys(attributes).sort(), [
      'decode_failed',
      'kafka.offset',
      'kafka.partition',
      'kafka.timestamp',
      'kafka.topic',
      'mine',
    ])
    assert.equal(attributes['kafka.offset'], '9')
    assert.equal(eventOf(sent.ledger[0])['candid'], null)
  })

  test('publishes what it cannot read, for the stages to judge', async () => {
    const { relay, sent } = makeGround()
    for (const value of [Buffer.from('not Avro'), new Uint8Array(), packet(1n).subarray(0, 400)]) {
      assert.equal(await relay(record(1n, { value })), 'published')
      assert.match(sent.alerts.at(-1)?.attributes['decode_failed'] ?? '', /^Cannot /)
      assert.equal(sent.alerts.at(-1)?.data, value)
    }
  })

  test('sends a packet above 10 MB by claim check', async () => {
    const { relay, sent, order, claims } = makeGround()
    const value = packet(11n, 10_100_000)
    assert.equal(await relay(record(11n, { value })), 'published')
    assert.deepEqual(order, ['claim', 'alerts', 'ledger'])
    assert.equal(claims.get('claims/ztf_20261121_programid1/3/11'), value)
    assert.equal(sent.alerts[0]?.data.length, 0)
    assert.equal(sent.alerts[0]?.attributes['candid'], '11')
  })

  test('keeps a packet that is larger than any may be, and says so', async () => {
    const { relay, sent, claims } = makeGround()
    const value = new Uint8Array((64 << 20) + 1)
    assert.equal(await relay(record(12n, { value })), 'dead_lettered')
    assert.equal(claims.get('claims/dead/ztf_20261121_programid1/3/12'), value)
    assert.match(String(eventOf(sent.ledger[0])['reason']), /67108865 bytes: at most 67108864/)
  })

  test('rejects a tombstone and what its source refused, and publishes nothing', async () => {
    const { relay, sent, order } = makeGround()
    assert.equal(await relay(record(1n, { value: null })), 'rejected')
    assert.equal(await relay(record(2n, { value: null, refused: 'too large' })), 'rejected')
    assert.deepEqual(order, ['ledger', 'ledger'])
    assert.deepEqual(
      sent.ledger.map((message) => eventOf(message)['reason']),
      ['tombstone: the record has no value', 'too large'],
    )
  })

  test('accounts for the offsets before it that the source does not have', async () => {
    const { relay, sent, logged } = makeGround()
    assert.equal(await relay(record(20n), 5n), 'published')
    const gap = eventOf(sent.ledger[0])
    assert.deepEqual([gap['outcome'], gap['kafka_offset'], gap['span']], ['gap', '15', 5])
    assert.equal(eventOf(sent.ledger[1])['outcome'], 'published')
    assert.deepEqual(logged[0], {
      name: 'offsets_missing',
      facts: { topic: 'ztf_20261121_programid1', partition: 3, from: '15', count: '5' },
    })
  })
})
