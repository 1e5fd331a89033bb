/**
 * What analysts ask, on GoogleSQL: the rows that the warehouse would send to BigQuery, behind the view that
 * the catalog would make, and each statement held to what DuckDB answers.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'

import { storedAt, viewStatement } from '../../cloud/bigquery/view.ts'
import { healpix29 } from '../../core/healpix.ts'
import { ledgerShape } from '../../core/ledger.ts'
import { mergeColumns } from '../../core/merge-columns.ts'
import { routinesOf } from '../../core/routines.ts'
import type { Column, Row, RowShape } from '../../core/row.ts'
import { salt2Shape } from '../../functions/salt2/row.ts'
import { createWarehouse } from '../../functions/warehouse/warehouse.ts'
import { bundledSchemas } from '../../schemas/registry.ts'
import { questions } from '../cli/questions.ts'
import { column } from '../contract/table.ts'
import { makeNight, runHere, type Night } from '../night/harness.ts'
import { skipWithoutGoogleSql, startGoogleSql, type GoogleSql, type SqlRow } from './googlesql.ts'

/** What a cone search reads, and other fields of the candidate. */
function placedWith(...fields: string[]): Column[] {
  const all = ['ra', 'dec', ...fields].map((name) => column(name, 'FLOAT64'))
  return [column('candidate', 'RECORD', { fields: all }), column('healpix29', 'INT64')]
}
const dataset = 'my-project.ztf_alerts'
const stored: Column = { name: storedAt, type: 'TIMESTAMP', mode: 'NULLABLE' }

suite("GoogleSQL on the warehouse's rows", { skip: skipWithoutGoogleSql }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'nightjar-googlesql-'))
  const home = join(dir, 'home')
  let sql: GoogleSql
  /** Another with the same routines, for positions of our own. */
  let sky: GoogleSql
  let night: Night
  /** Rows near the place that is asked about. */
  let around: Row[] = []
  before(async () => {
    night = thinned(makeNight(dir, demo))
    const ran = await runHere(['run', '--once', '--home', home, '--from', night.from])
    assert.equal(ran.status, 0, ran.err)
    sql = await startGoogleSql()
    sky = await startGoogleSql()
    await fill(sql, night)
    const wanted = ['healpix', 'separation', 'cone_search']
    await sky.table('alerts', placedWith(), [])
    for (const routine of routinesOf('ztf', 'bigquery')) {
      await sql.define(routine)
      if (wanted.includes(routine.name)) await sky.define(routine)
    }
  })
  after(async () => {
    await sql.close()
    await sky.close()
    rmSync(dir, { recursive: true })
  })

  async function duckdb(statement: string): Promise<SqlRow[]> {
    const { out, err, status } = await runHere(['query', '--json', '--home', home, statement])
    assert.equal(status, 0, `${statement}\n${err}`)
    const lines = out.split('\n').filter((line) => line !== '')
    return lines.map((line) => JSON.parse(line) as SqlRow)
  }

  /** The tables as BigQuery would have them; ledger and fits as the broker stored them on DuckDB. */
  async function fill(engine: GoogleSql, { truths, bytesOf, topic }: Night): Promise<void> {
    const rows: Row[] = []
    const table = {
      append: async (row: Row) => {
        rows.push(row)
        return 'stored' as const
      },
      // eslint-disable-next-line require-yield
      async *query() {},
      async close() {},
    }
    const handle = createWarehouse({ table, schemas: bundledSchemas() })
    for (const truth of truths) {
      if (truth.kind === 'gap' || truth.kind.startsWith('corrupt:')) continue
      const attributes = {
        'kafka.topic': topic,
        'kafka.partition': String(truth.partition),
        'kafka.offset': String(truth.offset),
        'kafka.timestamp': String(truth.timestamp),
      }
      await handle({ data: bytesOf(truth), attributes })
    }
    const shown = []
    for (const [shape, ofShape] of Map.groupBy(rows, (row) => row.shape)) {
      const columns = [...narrowed(shape.columns), stored]
      const values = ofShape.map((row) => ({ ...row.values, [storedAt]: rows.indexOf(row) }))
      await engine.table(shape.table, columns, values)
      shown.push({ name: `${dataset}.${shape.table}`, columns })
    }
    assert.ok(shown.length > 1, 'there are tables of several versions')
    around = rows.filter(({ values }) => {
      const { ra, dec } = values['candidate'] as { ra: number; dec: number }
      return Math.abs(ra - 343.5) < 4 && Math.abs(dec - 41.5) < 3
    })
    const columns = shown
      .reduce<Column[]>((all, { name, columns }) => mergeColumns(all, columns, name), [])
      .filter(({ name }) => name !== storedAt)
    await engine.view('alerts', columns, viewStatement(shown, ['objectId', 'candid']))
    for (const shape of [ledgerShape, salt2Shape]) await copy(engine, shape)
  }

  async function copy(engine: GoogleSql, { table, columns }: RowShape): Promise<void> {
    const items = columns.map(({ name, type }) =>
      type === 'TIMESTAMP' ? `EPOCH_US(${name}) AS ${name}` : name,
    )
    const rows = await duckdb(`SELECT ${items.join(', ')} FROM ${table}`)
    await engine.table(table, columns, rows)
  }

  /** The engine reckons the pixels of a cone anew for each row, so it has the rows near it alone. */
  async function nearby(): Promise<GoogleSql> {
    const columns = [
      column('objectId', 'STRING'),
      column('candid', 'INT64'),
      ...placedWith('magpsf'),
    ]
    const once = new Map(around.map(({ values }) => [String(values['candid']), values]))
    await sky.table('alerts', columns, [...once.values()])
    return sky
  }

  test('the view shows each alert once, also of tables of several versions', async () => {
    const count = 'SELECT COUNT(*) AS n, COUNT(DISTINCT candid) AS alerts FROM alerts'
    const [row] = await sql.query(count)
    assert.deepEqual(plain([row ?? {}]), plain(await duckdb(count)))
    assert.equal(row?.['n'], row?.['alerts'])
  })

  for (const { title, statements } of questions()) {
    test(`question ${title} has one answer on GoogleSQL and on DuckDB`, async () => {
      const here = statements.filter(({ engine }) => engine !== 'bigquery')
      const there = statements.filter(({ engine }) => engine !== 'duckdb')
      for (const [at, { sql: statement }] of there.entries()) {
        const engine = statement.includes('cone_search(') ? await nearby() : sql
        const rows = plain(await engine.query(statement))
        assert.ok(rows.length > 0, 'it answers something')
        const same = plain(await duckdb(here[at]?.sql ?? ''))
        // Rows that are equal in what they are ordered by may come in any order.
        assert.deepEqual(rows.toSorted(), same.toSorted())
      }
    })
  }

  test('cone_search() finds what a full scan finds, on a pole, across 0h and on the seams of the pixels', async () => {
    const positions = [
      { ra: 0, dec: 89, radius: 9.9 },
      { ra: 359.99, dec: 20, radius: 0.3 },
      { ra: 45, dec: 41.81, radius: 3 },
      { ra: 322.64, dec: 45.72, radius: 0.001 },
      { ra: 90, dec: 0, radius: 60 },
    ]
    for (const { ra, dec, radius } of positions) {
      // Around the rim, half of them within; the engine reckons the pixels anew for each row.
      const rows = Array.from({ length: 16 }, (_, at) => {
        const turn = (at * Math.PI) / 8
        const reach = radius * (at % 2 === 0 ? 0.98 : 1.02)
        const north = dec + reach * Math.cos(turn)
        const over = Math.abs(north) > 90
        const east = ra + (reach * Math.sin(turn)) / Math.cos((dec * Math.PI) / 180)
        const candidate = {
          ra: (east + (over ? 540 : 360)) % 360,
          dec: over ? Math.sign(north) * 180 - north : north,
        }
        return { candidate, healpix29: healpix29(candidate.ra, candidate.dec) }
      })
      await sky.table('alerts', placedWith(), rows)
      const [row] = await sky.query(
        `SELECT (SELECT COUNT(*) FROM cone_search(${ra}, ${dec}, ${radius})) AS cone,
           (SELECT COUNT(*) FROM alerts
            WHERE separation(${ra}, ${dec}, candidate.ra, candidate.dec) <= ${radius}) AS scan`,
      )
      assert.equal(row?.['cone'], row?.['scan'], `${radius} around ${ra}, ${dec}`)
      assert.ok(Number(row?.['cone']) >= 4, `some are within ${radius} of ${ra}, ${dec}`)
    }
  })

  test('healpix() is the pixel that stands in the rows, at every order', async () => {
    const orders = Array.from({ length: 30 }, (_, order) => order)
    const differing = orders.map(
      (order) =>
        `COUNTIF(healpix(candidate.ra, candidate.dec, ${order}) != healpix29 >> ${58 - 2 * order}) AS o${order}`,
    )
    const [row = {}] = await sql.query(`SELECT ${differing.join(', ')} FROM alerts`)
    assert.deepEqual(row, Object.fromEntries(orders.map((order) => [`o${order}`, 0n])))
  })

  test("what is wrong is refused with Google's own sentence", async () => {
    await assert.rejects(sql.check('SELECT nothing FROM alerts'), /Unrecognized name: nothing/)
    await assert.rejects(sql.check('SELECT objectId + 1 FROM alerts'), /No matching signature/)
  })
})

/** The night of `bin/demo`: the ids in the document are from it. */
const demo = {
  alerts: 2000,
  seed: '7',
  duplicates: 0.02,
  late: 0.01,
  corrupt: 0.005,
  gaps: 0.001,
  oldSchemas: 0.2,
}

/**
 * A tenth of the night, with what the questions name: the reference implementation is made to be right, not
 * fast, and reckons the pixels of a cone anew for each row.
 */
function thinned(whole: Night): Night {
  const text = questions()
    .flatMap(({ statements }) => statements.map((statement) => statement.sql))
    .join(' ')
  const truths = whole.truths.filter((truth, at) => {
    const { kind, objectId = '', candid = '', extragalactic } = truth
    const named = objectId !== '' && (text.includes(objectId) || text.includes(candid))
    if (kind === 'gap' || kind === 'duplicate' || named || extragalactic || at % 10 === 0)
      return true
    rmSync(join(whole.from, whole.nameOf(truth)))
    return false
  })
  return { ...whole, truths }
}

/** What the questions and routines speak of: with all columns the engine would not take a night. */
const spokenOf = new Set(
  (
    'objectId candid obs_date healpix29 candidate prv_candidates jd fid magpsf sigmapsf diffmaglim isdiffpos ra ' +
    'dec rb nbad jdstarthist jdendhist ndethist ssnamenr ssdistnr ssmagnr field distpsnr1'
  ).split(' '),
)
const inHistory = new Set('jd fid magpsf sigmapsf diffmaglim isdiffpos candid'.split(' '))

function narrowed(columns: readonly Column[], names = spokenOf): Column[] {
  return columns
    .filter(({ name }) => names.has(name))
    .map(({ fields, ...column }) => ({
      ...column,
      ...(fields && { fields: narrowed(fields, column.mode === 'REPEATED' ? inHistory : names) }),
    }))
}

/** Rows as texts that compare, whatever an engine prints a number or a time as. */
function plain(rows: readonly SqlRow[]): string[] {
  return rows.map((row) =>
    JSON.stringify(row, (_, value: unknown) => {
      if (typeof value === 'bigint' || Number.isInteger(value)) return String(value)
      return typeof value === 'number' ? value.toPrecision(10) : value
    }),
  )
}
