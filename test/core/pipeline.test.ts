import assert from 'node:assert/strict'
import { test } from 'node:test'

import { surveys } from '../../core/names.ts'
import {
  intake,
  noticeTopics,
  readersOf,
  stages,
  stagesOf,
  topicsOf,
  type Stage,
} from '../../core/pipeline.ts'

const entries = Object.entries(stages) as [string, Stage][]

test('every stage reads what the intake, a bucket or another stage writes', () => {
  const written = new Set<string>(['alert_data', ...Object.values(noticeTopics)])
  for (const [, { writes }] of entries) for (const word of writes) written.add(word)
  for (const [name, { reads }] of entries) assert.ok(written.has(reads), `${name} reads ${reads}`)
})

test('no stage reads what comes from it', () => {
  const reach = (word: string, seen = new Set<string>()): Set<string> => {
    for (const [, stage] of entries) {
      if (stage.reads !== word) continue
      for (const next of stage.writes) if (!seen.has(next)) reach(next, seen.add(next))
    }
    return seen
  }
  for (const [name, { reads, writes }] of entries) {
    for (const word of writes) assert.ok(word !== reads && !reach(word).has(reads), name)
  }
})

test('no stage is called intake, and each has a purpose', () => {
  for (const [name, { does, surveys: of }] of entries) {
    assert.notEqual(name, intake)
    assert.match(does, /^[a-z].*[^.]$/)
    assert.ok(of.length > 0)
  }
})

test('every stage of a survey has one reader, and those of a reader read the same topic', () => {
  for (const survey of surveys) {
    const readers = readersOf(survey)
    assert.deepEqual(
      readers.flatMap((reader) => reader.stages).toSorted(),
      stagesOf(survey).toSorted(),
    )
    for (const { name, reads, stages: served } of readers) {
      for (const stage of served) assert.equal(stages[stage].reads, reads, `${name}: ${stage}`)
    }
  }
  const [packets, salt2] = readersOf('ztf')
  assert.deepEqual([packets?.memory, salt2?.memory], ['512Mi', '1Gi'])
})

test('stagesOf() and topicsOf() give a survey what its stages need, once', () => {
  assert.deepEqual(stagesOf('lsst'), ['archive', 'warehouse'])
  assert.ok(stagesOf('ztf').includes('exgalac'))
  for (const survey of surveys) {
    const topics = topicsOf(survey)
    assert.equal(new Set(topics).size, topics.length)
    for (const word of ['alert_data', 'alert_avro_bucket', 'dead_letter', 'night'] as const) {
      assert.ok(topics.includes(word), `${survey} has ${word}`)
    }
    for (const name of stagesOf(survey)) {
      const stage: Stage = stages[name]
      for (const word of [stage.reads, ...stage.writes]) assert.ok(topics.includes(word))
    }
  }
  assert.ok(!topicsOf('lsst').includes('exgalac_trans'))
})
