/** What the conductor asks of BigQuery, on Google's own analyzer and reference implementation of its SQL. */
import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'

import type { NightPlace } from '../../cli/night-place.ts'
import { makeReport } from '../../cli/night-report.ts'
import { sendMissing } from '../../cli/send-missing.ts'
import { auditNight } from '../../conductor/audit.ts'
import { closeRecord } from '../../conductor/close.ts'
import { darkness } from '../../conductor/darkness.ts'
import { readLedgerSets } from '../../conductor/ledger-sets.ts'
import { newNightRecord } from '../../conductor/night-record.ts'
import { bigquery } from '../../conductor/report/dialect.ts'
import type { NightReport } from '../../conductor/report/gather.ts'
import { healpix29 } from '../../core/healpix.ts'
import { ledgerShape } from '../../core/ledger.ts'
import { kafkaTopicName } from '../../core/names.ts'
import { salt2Shape } from '../../functions/salt2/row.ts'
import { column } from '../contract/table.ts'
import { memoryStore } from '../memory-store.ts'
import { skipWithoutGoogleSql, startGoogleSql, type GoogleSql, type SqlRow } from './googlesql.ts'

const night = '20261121'
const topic = kafkaTopicName('ztf', night)
const begun = Date.parse('2026-11-21T04:00:00Z') * 1000
const range = { topic, partition: 1, low: 0n, high: 50n }

/** Events of a stage for the offsets [from, to). */
function events(
  stage: string,
  outcome: string,
  from: number,
  to: number,
  rest: SqlRow = {},
): SqlRow[] {
  return Array.from({ length: to - from }, (_, at) => ({
    ...{ night, stage, outcome, kafka_topic: topic, kafka_partition: 1, kafka_offset: from + at },
    ...{ span: 1, objectId: `ZTF20a${from + at}`, candid: 1000 + from + at },
    recorded_at: begun + (from + at) * 1_000_000,
    ...rest,
  }))
}

suite("GoogleSQL on the conductor's statements", { skip: skipWithoutGoogleSql }, () => {
  let sql: GoogleSql
  const asked: string[] = []
  async function* query(statement: string): AsyncGenerator<Record<string, unknown>> {
    asked.push(statement)
    yield* await sql.query(statement)
  }
  before(async () => {
    sql = await startGoogleSql()
    await sql.table('ledger', ledgerShape.columns, [
      ...events('intake', 'published', 0, 45),
      // Five offsets that Kafka has no records at.
      ...events('intake', 'gap', 45, 46, { span: 5, objectId: null, candid: null }),
      ...events('archive', 'stored', 0, 37),
      ...events('archive', 'dead_lettered', 37, 38, { reason: 'byte 7 of 9' }),
      ...events('warehouse', 'stored', 0, 45),
      ...events('warehouse', 'duplicate', 3, 5),
      ...events('exgalac', 'filtered', 0, 44, { reason: 'rb' }),
      ...events('exgalac', 'published', 44, 45),
      ...events('salt2', 'stored', 44, 45),
    ])
    const placed = [column('ra', 'FLOAT64'), column('dec', 'FLOAT64')]
    const alerts = events('', '', 0, 45).map((row, at) => ({
      ...row,
      ...{ kafka_timestamp: begun + at * 1_000_000 - 2_500_000 },
      ...{ candidate: { ra: 10 + at, dec: 20 }, healpix29: healpix29(10 + at, 20) },
    }))
    await sql.table(
      'alerts',
      [
        ...[column('objectId', 'STRING'), column('candid', 'INT64')],
        ...[column('kafka_topic', 'STRING'), column('kafka_partition', 'INT64')],
        ...[column('kafka_offset', 'INT64'), column('kafka_timestamp', 'TIMESTAMP')],
        ...[column('candidate', 'RECORD', { fields: placed }), column('healpix29', 'INT64')],
      ],
      alerts,
    )
    const fit = { objectId: 'ZTF20a44', candid: 1044, success: 1, z: 0.05, chisq: 9.5, ndof: 8 }
    const row = { ...fit, peak_mjd: 61365.5, before_maximum: true, plot_lc: 'salt2/none.png' }
    await sql.table(salt2Shape.table, salt2Shape.columns, [row, { ...row, candid: 1043, z: 0.9 }])
  })
  after(() => sql.close())

  async function audit() {
    const ledger = await readLedgerSets(query, night, [range])
    return auditNight({ survey: 'ztf', night, ranges: [range], ledger })
  }

  test('the ledger as sets: 32 offsets a row, spans, and what each stage lacks', async () => {
    const { stages, missingCount } = await audit()
    assert.equal(missingCount, 7)
    const [intake, archive, warehouse, exgalac, salt2] = stages
    assert.deepEqual(intake?.total.missingCount, 0)
    assert.equal(intake?.total.outcomes.gap, 5)
    assert.deepEqual(archive?.partitions[0]?.missing, [{ first: 38n, count: 7 }])
    assert.equal(archive?.total.outcomes.dead_lettered, 1)
    assert.equal(warehouse?.total.outcomes.stored, 45)
    assert.equal(exgalac?.total.outcomes.published, 1)
    assert.equal(salt2?.total.expected, 1)
  })

  test('the report: rates, latencies, sky, dead letters and candidates', async () => {
    const store = memoryStore()
    const closer = { close: async () => {} }
    const place = {
      ground: { bucket: async () => store },
      dialect: bigquery,
      openReport: async () => ({ query, hasTable: async () => true, ...closer }),
    } as unknown as NightPlace
    const dark = darkness('ztf', night)
    const record = newNightRecord('ztf', night, dark, dark.dusk.getTime())
    const proof = closeRecord(await audit(), [], dark.dawn)
    const { json } = await makeReport({ place, record, proof, now: dark.dawn })
    const report = JSON.parse(
      Buffer.from((await store.read(json))?.data ?? []).toString(),
    ) as NightReport
    const rates = report.rates.stages.find(({ stage }) => stage === 'archive')
    assert.equal(
      rates?.steps.reduce((sum, n) => sum + n, 0),
      38,
    )
    const latency = report.latencies.find(({ stage }) => stage === 'warehouse')
    assert.equal(latency?.count, 47)
    assert.ok(latency !== undefined && Math.abs(latency.p50 - 2500) < 150, String(latency?.p50))
    assert.equal(
      report.sky.pixels.reduce((sum, { alerts }) => sum + alerts, 0),
      45,
    )
    assert.equal(
      report.sky.pixels.reduce((sum, { owed }) => sum + owed, 0),
      7,
    )
    assert.deepEqual(
      report.deadLetters.map(({ stage, count, example }) => [stage, count, example]),
      [['archive', 1, `${topic}[1]@37`]],
    )
    assert.deepEqual(
      report.candidates.map(({ candid, ra, fit }) => [candid, ra, (fit ?? '').slice(0, 7)]),
      [['1044', 54, 'z 0.050']],
    )
  })

  test('what is sent again is looked up in one query, by its identity', async () => {
    asked.length = 0
    const store = memoryStore()
    const names: string[] = []
    const bucket = {
      ...store,
      async *list(prefix: string) {
        names.push(prefix)
      },
    }
    const nobody = async () => assert.fail('nothing is sent')
    const ground = {
      ...{ at: { survey: 'ztf', project: 'p' }, home: { schemas: join(tmpdir(), 'none') } },
      ...{ bucket: async () => bucket, topic: async () => ({ publish: nobody }) },
    }
    const place = { ground, query } as unknown as Parameters<typeof sendMissing>[0]
    const known = { night, ranges: [range], unfinished: [], topics: [], lateStages: [] }
    const { signal } = new AbortController()
    const { sent, notFound } = await sendMissing(place, known, { log() {}, signal })
    assert.equal(sent, 0)
    assert.equal(notFound.length, 7)
    assert.deepEqual(
      names,
      Array.from({ length: 7 }, (_, at) => `${topic}/ZTF20a${38 + at}/${1038 + at}.`),
    )
    assert.equal(asked.filter((statement) => statement.includes('DISTINCT kafka_offset')).length, 1)
  })
})
