import assert from 'node:assert/strict'
import { test } from 'node:test'

import { checkObjectId, formatOccurrence, occurrenceOf, stageFilter } from '../../core/alert.ts'
import { surveys } from '../../core/names.ts'
import { readersOf } from '../../core/pipeline.ts'
import { parseFilter } from '../../core/filter.ts'

const attributes = (topic: string, partition: string, offset: string): Record<string, string> => ({
  'kafka.topic': topic,
  'kafka.partition': partition,
  'kafka.offset': offset,
})

test('occurrenceOf() reads where a message came from, offsets beyond 2^53 exactly', () => {
  const occurrence = occurrenceOf(attributes('ztf_20261121_programid1', '3', '90071992547409931'))
  assert.deepEqual(occurrence, {
    topic: 'ztf_20261121_programid1',
    partition: 3,
    offset: 90_071_992_547_409_931n,
  })
  assert.equal(formatOccurrence(occurrence), 'ztf_20261121_programid1[3]@90071992547409931')
})

test('occurrenceOf() refuses what is not a place in Kafka, and shows it', () => {
  const wrong = [
    {},
    attributes('', '1', '2'),
    attributes('t', '-1', '2'),
    attributes('t', '1.5', '2'),
    attributes('t', '1', ''),
    attributes('t', '1', '-5'),
    attributes('t', '1', '0x10'),
    attributes('t', '1', ' 5'),
    attributes('t', '1', '5\n'),
    attributes('t', '1', '9'.repeat(19)),
    attributes('t', '9'.repeat(10), '1'),
  ]
  for (const each of wrong) {
    assert.throws(
      () => occurrenceOf(each),
      { code: 'attribute_invalid', message: /^Cannot tell where a message came from: / },
      JSON.stringify(each),
    )
  }
})

test('checkObjectId() takes what may be part of a name of an object, and nothing else', () => {
  for (const id of ['ZTF21abcdefg', '169298433216610349', 'a', '-_Z', 'x'.repeat(64)]) {
    assert.equal(checkObjectId(id), id)
  }
  for (const id of ['', '..', '../x', 'a/b', 'a b', 'é', 'a\0', 'x'.repeat(65), 'a\n']) {
    assert.throws(() => checkObjectId(id), { code: 'alert_unidentified' }, JSON.stringify(id))
  }
})

test('stageFilter() lets pass what is for all and what is for the stage', () => {
  const passes = parseFilter(stageFilter('archive'))
  assert.equal(passes({ objectId: 'a' }), true)
  assert.equal(passes({ nightjar_for: 'archive' }), true)
  assert.equal(passes({ nightjar_for: 'warehouse' }), false)
})

test('stageFilter() of several stages lets pass what is for any of them, in what Pub/Sub takes', () => {
  for (const survey of surveys) {
    for (const { stages } of readersOf(survey)) {
      const filter = stageFilter(...stages)
      const passes = parseFilter(filter)
      for (const stage of stages) assert.equal(passes({ nightjar_for: stage }), true)
      assert.equal(passes({ objectId: 'a' }), true)
      assert.equal(passes({ nightjar_for: 'another' }), false)
      // Pub/Sub's quotas page: a filter has 256 bytes at most.
      assert.ok(filter.length <= 256, filter)
    }
  }
})
