import assert from 'node:assert/strict'
import { suite, test } from 'node:test'

import { auditNight, type Audit, type Range, type StageAudit } from '../../conductor/audit.ts'
import { closeRecord } from '../../conductor/close.ts'
import { readLedgerSets } from '../../conductor/ledger-sets.ts'
import type { LateStage } from '../../core/late-stage.ts'
import { ledgerOf, topic, type HandMade } from './ledger.ts'

const range = (partition: number, low: bigint, high: bigint): Range => ({
  topic,
  partition,
  low,
  high,
})

const ranges = [range(0, 100n, 200n), range(1, 2n ** 40n, 2n ** 40n + 50n)]
const far = 2n ** 40n

/** A night in which all went well. */
const clean = (): HandMade => ({
  intake: { 0: { published: [[100, 100]] }, 1: { published: [[far, 50]] } },
  archive: { 0: { stored: [[100, 100]] }, 1: { stored: [[far, 49]], duplicate: [far + 49n] } },
  warehouse: { 0: { stored: [[100, 100]] }, 1: { stored: [[far, 50]] } },
  exgalac: {
    0: { published: [[100, 40]], filtered: [[140, 60]] },
    1: { filtered: [[far, 50]] },
  },
  salt2: { 0: { stored: [[100, 25]], duplicate: [[125, 15]] } },
})

const audit = (made: HandMade, over: readonly Range[] = ranges): Audit =>
  auditNight({ survey: 'ztf', night: '20261121', ranges: over, ledger: ledgerOf(made) })

function stageOf(found: Audit, name: string): StageAudit {
  const stage = found.stages.find((each) => each.stage === name)
  assert.ok(stage)
  return stage
}

/** Where an audit misses what: `stage[partition]@first+count`. */
const missing = (found: Audit): string[] =>
  found.stages.flatMap(({ stage, partitions }) =>
    partitions.flatMap((each) =>
      each.missing.map(({ first, count }) => `${stage}[${each.partition}]@${first}+${count}`),
    ),
  )

suite('auditNight()', () => {
  test('finds a clean night complete, stage by stage', () => {
    const found = audit(clean())
    assert.equal(found.complete, true)
    assert.equal(found.missingCount, 0)
    assert.deepEqual(
      found.stages.map(({ stage }) => stage),
      ['intake', 'archive', 'warehouse', 'exgalac', 'salt2'],
    )
    for (const { total, stage } of found.stages) {
      // A stage that reads another stage's topic is owed what that one published.
      const owed = stage === 'salt2' ? 40 : 150
      assert.deepEqual([total.expected, total.received, total.unexpected], [owed, owed, 0], stage)
      const sum = Object.values(total.outcomes).reduce((all, count) => all + count, 0)
      assert.equal(sum, owed, 'what comes in is the sum of the outcomes')
    }
    assert.equal(stageOf(found, 'archive').total.outcomes.duplicate, 1)
    assert.equal(stageOf(found, 'exgalac').total.outcomes.published, 40)
  })

  test('names exactly what the intake lost, and owes it to no later stage', () => {
    const made = clean()
    made['intake'] = {
      0: {
        published: [
          [100, 5],
          [108, 92],
        ],
      },
      1: { published: [[far, 49]] },
    }
    for (const stage of ['archive', 'warehouse', 'exgalac']) {
      made[stage] = {
        0: {
          stored: [
            [100, 5],
            [108, 92],
          ],
        },
        1: { stored: [[far, 49]] },
      }
    }
    const found = audit(made)
    assert.deepEqual(missing(found), ['intake[0]@105+3', `intake[1]@${far + 49n}+1`])
    assert.equal(found.missingCount, 4)
    assert.equal(found.complete, false)
  })

  test('names exactly what each stage lost', () => {
    for (const stage of ['archive', 'warehouse', 'exgalac']) {
      const made = clean()
      made[stage] = {
        0: {
          stored: [
            [101, 31],
            [133, 66],
          ],
        },
        1: { filtered: [[far, 50]] },
      }
      const found = audit(made)
      assert.deepEqual(missing(found), [
        `${stage}[0]@100+1`,
        `${stage}[0]@132+1`,
        `${stage}[0]@199+1`,
      ])
      assert.equal(stageOf(found, stage).total.missingCount, 3)
      assert.equal(found.missingCount, 3)
    }
  })

  test('names all of a partition that a stage never heard of', () => {
    const made = clean()
    delete made['warehouse']
    const found = audit(made)
    assert.deepEqual(missing(found), ['warehouse[0]@100+100', `warehouse[1]@${far}+50`])
  })

  test('takes every outcome for an account, and counts each occurrence by its best', () => {
    const made = clean()
    made['archive'] = {
      0: {
        stored: [[100, 90]],
        duplicate: [[185, 5]],
        rejected: [190],
        dead_lettered: [
          [100, 10],
          [191, 9],
        ],
      },
      1: { duplicate: [[far, 50]] },
    }
    const { total } = stageOf(audit(made), 'archive')
    assert.equal(total.missingCount, 0)
    assert.deepEqual(total.outcomes, {
      stored: 90,
      published: 0,
      duplicate: 50,
      filtered: 0,
      rejected: 1,
      // Ten were stored after their replay: they count as stored.
      dead_lettered: 9,
      gap: 0,
      lost: 0,
    })
    assert.equal(total.received, 150, 'nothing counts twice')
  })

  test('takes a gap of Kafka for an account at the intake, and owes it to nobody', () => {
    const made: HandMade = {
      intake: {
        0: {
          published: [
            [100, 30],
            [160, 40],
          ],
          gap: [[130, 30]],
        },
      },
    }
    for (const stage of ['archive', 'warehouse', 'exgalac']) {
      made[stage] = {
        0: {
          stored: [
            [100, 30],
            [160, 40],
          ],
        },
      }
    }
    const found = audit(made, [range(0, 100n, 200n)])
    assert.equal(found.complete, true)
    assert.equal(stageOf(found, 'intake').total.outcomes.gap, 30)
    assert.equal(stageOf(found, 'archive').total.expected, 70)
  })

  test('is not complete where retention took what nobody has, and lists it', () => {
    const made = clean()
    made['intake'] = {
      0: { published: [[100, 95]], lost: [[190, 10]] },
      1: { published: [[far, 50]] },
    }
    const found = audit(made)
    const [first] = stageOf(found, 'intake').partitions
    assert.equal(found.complete, false)
    assert.deepEqual([found.missingCount, stageOf(found, 'intake').total.outcomes.lost], [0, 5])
    assert.deepEqual(first?.lost, [{ first: 195n, count: 5 }], 'what was published is not lost')
    assert.deepEqual(closeRecord(found, [], new Date(0)).stages[0]?.lost, [
      `${first?.topic}[0]@195–199`,
    ])
  })

  test('owes to a stage only what was published to it', () => {
    const made = clean()
    made['intake'] = {
      0: { published: [[100, 99]], rejected: [199] },
      1: { published: [[far, 50]] },
    }
    made['archive'] = { 0: { stored: [[100, 99]] }, 1: { stored: [[far, 50]] } }
    made['warehouse'] = { 0: { stored: [[100, 99]] }, 1: { stored: [[far, 50]] } }
    made['exgalac'] = { 0: { filtered: [[100, 99]] }, 1: { filtered: [[far, 50]] } }
    const found = audit(made)
    assert.equal(found.complete, true)
    assert.equal(stageOf(found, 'archive').total.expected, 149)
  })

  test('counts what should not be there, and misses nothing for it', () => {
    const made = clean()
    made['intake'] = { 0: { published: [[95, 110]] }, 1: { published: [[far, 50]] } }
    const found = audit(made)
    assert.equal(found.complete, false, 'what was published beyond the watermarks is owed, too')
    assert.equal(stageOf(found, 'intake').total.unexpected, 10)
    assert.deepEqual(stageOf(found, 'intake').total.missingCount, 0)
    const strange = clean()
    strange['archive'] = { 0: { stored: [[98, 103]] }, 1: { stored: [[far, 50]] } }
    const other = audit(strange)
    assert.equal(other.complete, true)
    assert.equal(stageOf(other, 'archive').total.unexpected, 3)
  })

  test('finds a night without alerts complete, and an unread one not', () => {
    const empty = audit({}, [])
    assert.equal(empty.complete, true)
    assert.ok(empty.stages.every(({ total }) => total.expected === 0 && total.received === 0))
    assert.equal(audit({}, [range(0, 100n, 100n)]).complete, true)
    const unread = audit({}, [range(0, 100n, 110n)])
    assert.deepEqual(missing(unread), ['intake[0]@100+10'])
  })

  test('gives the same hashes wherever the ledger was gathered from', () => {
    const one = audit(clean())
    const split = clean()
    split['archive'] = {
      1: {
        duplicate: [far + 49n],
        stored: [
          [far + 20n, 29],
          [far, 20],
          [far + 3n, 9],
        ],
      },
      0: {
        stored: [
          [150, 50],
          [100, 50],
        ],
        dead_lettered: [100],
      },
    }
    const two = audit(split, ranges.toReversed())
    assert.deepEqual(one, two)
    const lost = clean()
    lost['archive'] = { 0: { stored: [[100, 99]] }, 1: { stored: [[far, 50]] } }
    const hashOf = (found: Audit): unknown => stageOf(found, 'archive').partitions[0]?.hashes
    assert.notDeepEqual(hashOf(one), hashOf(audit(lost)))
  })

  test('asks of lsst only the stages that lsst has', () => {
    const { stages } = auditNight({
      survey: 'lsst',
      night: '20261121',
      ranges: [],
      ledger: ledgerOf({}),
    })
    assert.deepEqual(
      stages.map(({ stage }) => stage),
      ['intake', 'archive', 'warehouse'],
    )
  })
})

suite('auditNight() of a stage that began late', () => {
  const begun = (offset: bigint): LateStage => ({
    stage: 'filter',
    since: '2026-11-21T05:00:00.000Z',
    from: [
      { topic, partition: 0, offset },
      { topic: 'ztf_20261120_programid1', partition: 0, offset: 9n },
    ],
  })
  const withFilter = (filter: HandMade[string], offset = 140n): Audit =>
    auditNight({
      ...{ survey: 'ztf', night: '20261121', ranges, lateStages: [begun(offset)] },
      ledger: ledgerOf({ ...clean(), filter }),
    })

  test('owes what came from its birth on, and of a partition that was unknown then, all', () => {
    const found = withFilter({
      0: { published: [[150, 10]], filtered: [[160, 40]] },
      1: { filtered: [[far, 48]] },
    })
    assert.deepEqual(missing(found), [`filter[0]@140+10`, `filter[1]@${far + 48n}+2`])
    assert.equal(found.missingCount, 12)
    assert.equal(found.complete, false)
    assert.equal(stageOf(found, 'filter').total.expected, 110)
  })

  test('what it has judged of the time before counts, and is not unexpected', () => {
    const found = withFilter({
      0: { published: [[130, 10]], filtered: [[140, 60]] },
      1: { filtered: [[far, 50]] },
    })
    const { expected, received, unexpected, outcomes } = stageOf(found, 'filter').total
    assert.deepEqual([expected, received, unexpected], [120, 120, 0])
    assert.deepEqual([outcomes.published, outcomes.filtered], [10, 110])
    assert.equal(found.complete, true)
  })

  test('a night that was over when it began is the night that it was', () => {
    const over = auditNight({
      ...{ survey: 'ztf', night: '20261121', ranges, ledger: ledgerOf(clean()) },
      lateStages: [
        {
          stage: 'filter',
          since: '2026-11-22T05:00:00.000Z',
          from: ranges.map(({ partition, high }) => ({ topic, partition, offset: high })),
        },
      ],
    })
    assert.deepEqual(over, audit(clean()))
  })
})

suite('readLedgerSets()', () => {
  test('makes sets of words and of spans', async () => {
    const rows = [
      { word: 3n, bits: 0x80000001n, outcome: 'stored' },
      { word: 4n, bits: 1n, outcome: 'stored' },
      { word: 3n, bits: 2n, outcome: 'duplicate' },
    ].map((row) => ({ stage: 'archive', kafka_topic: topic, kafka_partition: 2, ...row }))
    const spans = [
      {
        stage: 'intake',
        outcome: 'gap',
        kafka_topic: topic,
        kafka_partition: 2n,
        kafka_offset: 2n ** 53n + 1n,
        span: 70n,
      },
    ]
    const sets = await readLedgerSets(
      async function* (sql) {
        assert.match(sql, /night = '20261121'/)
        yield* /span > 1/.test(sql) ? spans : rows
      },
      '20261121',
      [{ topic, partition: 2, low: 0n, high: 2n ** 53n + 71n }],
    )
    const archive = sets.setsOf('archive', topic, 2)
    assert.deepEqual([...archive.keys()], ['stored', 'duplicate'])
    for (const offset of [96n, 127n, 128n]) assert.ok(archive.get('stored')?.has(offset))
    assert.equal(archive.get('stored')?.count(), 3)
    assert.ok(archive.get('duplicate')?.has(97n))
    const gap = sets.setsOf('intake', topic, 2).get('gap')
    assert.equal(gap?.count(), 70)
    assert.ok(gap?.has(2n ** 53n + 70n))
    assert.equal(sets.setsOf('archive', topic, 3).size, 0)
  })
  test('counts what lies far outside the watermarks, and makes no bitmap of it', async () => {
    const row = { stage: 'archive', outcome: 'stored', kafka_topic: topic, kafka_partition: 0 }
    const words = [
      { ...row, word: 0n, bits: 7n },
      { ...row, word: 2n ** 55n, bits: 3n },
      { ...row, kafka_partition: 9, word: 0n, bits: 1n },
    ]
    const spans = [
      { ...row, stage: 'intake', outcome: 'gap', kafka_offset: 1n, span: 2n ** 40n },
      { ...row, stage: 'intake', outcome: 'gap', kafka_offset: 2n ** 60n, span: 2n },
    ]
    const sets = await readLedgerSets(
      async function* (sql) {
        yield* /span > 1/.test(sql) ? spans : words
      },
      '20261121',
      [{ topic, partition: 0, low: 0n, high: 3n }],
    )
    assert.equal(sets.setsOf('archive', topic, 0).get('stored')?.count(), 3)
    assert.equal(sets.setsOf('intake', topic, 0).get('gap')?.count(), 2)
    assert.equal(sets.setsOf('archive', topic, 9).size, 0)
    assert.equal(sets.strays, 2 + 1 + 2 ** 40 - 2 + 2)
  })
})
