import assert from 'node:assert/strict'
import { test } from 'node:test'

import { deadLetter, revive } from '../../core/dead-letter.ts'
import { NightjarError } from '../../core/errors.ts'
import { checkMessage } from '../../core/limits.ts'

const at = new Date('2026-11-21T03:04:05.678Z')
const coordinates = {
  'kafka.topic': 'ztf_20261121_programid1',
  'kafka.partition': '3',
  'kafka.offset': '1205',
  'kafka.timestamp': '1795230000000',
}
const error = new NightjarError('packet_undecodable', 'Cannot read packet: it is cut short')

test('a dead letter says who gave up, why and when, and keeps the rest as it was', () => {
  const message = { data: Buffer.from('bytes'), attributes: { ...coordinates, objectId: 'ZTF' } }
  const letter = deadLetter(message, { stage: 'archive', error, at })
  assert.equal(letter.data, message.data)
  assert.deepEqual(letter.attributes, {
    ...message.attributes,
    dead_letter_stage: 'archive',
    dead_letter_code: 'packet_undecodable',
    dead_letter_reason: 'Cannot read packet: it is cut short',
    dead_letter_at: '2026-11-21T03:04:05.678Z',
  })
})

test('revive() undoes deadLetter(), once or many times', () => {
  for (const attributes of [{}, coordinates, { ...coordinates, nightjar_for: 'archive' }]) {
    const message = { data: Buffer.from('bytes'), attributes }
    const letter = deadLetter(message, { stage: 'archive', error, at })
    assert.deepEqual(revive(letter), message)
    const again = deadLetter(letter, { stage: 'warehouse', error: 'a string', at })
    assert.equal(again.attributes['dead_letter_stage'], 'warehouse')
    assert.equal(again.attributes['dead_letter_code'], 'unknown')
    assert.deepEqual(revive(again), message)
  }
})

test('a dead letter can always be published, and says where it is from', () => {
  const many = Object.fromEntries(Array.from({ length: 120 }, (_, i) => [`k${i}`, 'v']))
  const odd: Record<string, string>[] = [
    { ...many, ...coordinates },
    { ...coordinates, long: 'é'.repeat(2000) },
    { ...coordinates, ['k'.repeat(257)]: 'v' },
    { ...coordinates, ['é'.repeat(129)]: 'v' },
    { ...coordinates, '': 'v' },
  ]
  for (const attributes of odd) {
    const message = { data: new Uint8Array(3), attributes }
    assert.throws(() => checkMessage(message), { code: 'attribute_invalid' })
    const long = new NightjarError('attribute_invalid', `Cannot take it: ${'☄'.repeat(1000)}`)
    const letter = deadLetter(message, { stage: 'intake', error: long, at })
    checkMessage(letter)
    for (const [key, value] of Object.entries(coordinates)) {
      assert.equal(letter.attributes[key], value)
    }
  }
})
