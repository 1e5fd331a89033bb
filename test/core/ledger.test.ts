import assert from 'node:assert/strict'
import { test } from 'node:test'

import {
  formatLedgerEvent,
  ledgerEvent,
  ledgerRow,
  ledgerShape,
  outcomes,
} from '../../core/ledger.ts'

const at = new Date('2026-11-21T03:04:05.678Z')
const where = { topic: 'ztf_20261121_programid1', partition: 3, offset: 9_007_199_254_740_993n }

test('a ledger event becomes the row it was, numbers beyond 2^53 exact', () => {
  const event = ledgerEvent({
    ...where,
    stage: 'archive',
    outcome: 'duplicate',
    objectId: 'ZTF21abcdefg',
    candid: 2_345_678_901_234_567_890n,
    reason: 'of "ztf"\n☄',
    at,
  })
  const message = formatLedgerEvent(event)
  assert.deepEqual(message.attributes, {
    stage: 'archive',
    outcome: 'duplicate',
    night: '20261121',
  })
  const { shape, values } = ledgerRow(message.data)
  assert.equal(shape, ledgerShape)
  assert.deepEqual(values, {
    night: '20261121',
    stage: 'archive',
    kafka_topic: 'ztf_20261121_programid1',
    kafka_partition: 3,
    kafka_offset: 9_007_199_254_740_993n,
    span: 1n,
    objectId: 'ZTF21abcdefg',
    candid: 2_345_678_901_234_567_890n,
    outcome: 'duplicate',
    reason: 'of "ztf"\n☄',
    recorded_at: BigInt(at.getTime()) * 1000n,
  })
})

test('a row of the ledger has a value for every column and no other', () => {
  const event = ledgerEvent({ ...where, stage: 'intake', outcome: 'gap', span: 12, at })
  const { values } = ledgerRow(formatLedgerEvent(event).data)
  assert.deepEqual(Object.keys(values).sort(), ledgerShape.columns.map(({ name }) => name).sort())
  assert.deepEqual([values['objectId'], values['candid'], values['reason']], [null, null, null])
  assert.equal(values['span'], 12n)
})

test('an event of a topic without a date belongs to no night', () => {
  const event = ledgerEvent({ ...where, topic: 'replays', stage: 'x', outcome: 'stored', at })
  assert.equal(event.night, '')
  assert.equal(ledgerRow(formatLedgerEvent(event).data).values['night'], '')
})

test('a long reason is cut', () => {
  const reason = 'x'.repeat(5000)
  const event = ledgerEvent({ ...where, stage: 'x', outcome: 'rejected', reason, at })
  assert.equal(ledgerRow(formatLedgerEvent(event).data).values['reason'], 'x'.repeat(1000))
})

test('ledgerRow() refuses what is no event, and shows it', () => {
  for (const text of ['', '{', 'null', '{}', '{"kafka_offset":"x"}', '[1]', '7']) {
    assert.throws(
      () => ledgerRow(Buffer.from(text)),
      { code: 'input_invalid', message: /^Cannot read a ledger event: / },
      text,
    )
  }
})

test('outcomes begin with the best, for an occurrence that had several', () => {
  assert.deepEqual(outcomes.slice(0, 2), ['stored', 'published'])
  assert.ok(outcomes.indexOf('stored') < outcomes.indexOf('dead_lettered'))
  assert.deepEqual(outcomes.slice(-2), ['gap', 'lost'])
})
