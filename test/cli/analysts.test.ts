import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import { healpix29 } from '../../core/healpix.ts'
import { runHere } from '../night/harness.ts'
import { questions } from './questions.ts'

const dir = mkdtempSync(join(tmpdir(), 'nightjar-analysts-'))
const home = join(dir, 'home')
/** The night of `bin/demo`: the document's ids are from it. */
const demo = ['--alerts', '2000', '--seed', '7', '--duplicates', '0.02', '--late', '0.01']
before(async () => {
  const rest = ['--corrupt', '0.005', '--gaps', '0.001', '--old-schemas', '0.2']
  const out = join(dir, 'night')
  assert.equal((await runHere(['simulate', '--out', out, ...demo, ...rest])).status, 0)
  assert.equal((await runHere(['run', '--once', '--home', home, '--from', out])).status, 0)
})
after(() => rmSync(dir, { recursive: true }))

async function ask(sql: string): Promise<Record<string, unknown>[]> {
  const { out, err, status } = await runHere(['query', '--json', '--home', home, sql])
  assert.equal(status, 0, `${sql}\n${err}`)
  const lines = out.split('\n').filter((line) => line !== '')
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
}

test('docs/analysts.md has eleven questions, and each one answers something on DuckDB', async () => {
  const found = questions()
  assert.equal(found.length, 11)
  for (const { title, statements } of found) {
    const engines = statements.map(({ engine }) => engine)
    assert.equal(engines.includes('duckdb'), engines.includes('bigquery'), title)
    const ours = statements.filter(({ engine }) => engine !== 'bigquery')
    assert.ok(ours.length > 0, title)
    for (const { sql } of ours) {
      const rows = await ask(sql)
      assert.ok(rows.length > 0, `${title}: no rows`)
      for (const [column, value] of Object.entries(rows[0] ?? {})) {
        if (column !== 'reason') assert.notEqual(value, null, `${title}: ${column}`)
      }
    }
  }
})

test('cone_search() finds what a full scan finds, on the poles, across 0h and on the seams of the pixels', async () => {
  const positions = [
    ...[343.4777, 41.5727, 0, 89, 359.99, 20, 0, 41.81, 45, 41.81, 90, 0, 22.5, 30],
    ...[322.64, 45.72, 313.9, 38.9],
  ]
  for (let i = 0; i < positions.length; i += 2) {
    const [ra = 0, dec = 0] = positions.slice(i, i + 2)
    for (const radius of [0.001, 0.3, 3, 9.9, 60]) {
      const [row] = await ask(
        `SELECT (SELECT COUNT(*) FROM cone_search(${ra}, ${dec}, ${radius})) AS cone,
           (SELECT COUNT(*) FROM alerts
            WHERE separation(${ra}, ${dec}, candidate.ra, candidate.dec) <= ${radius}) AS scan`,
      )
      assert.equal(row?.['cone'], row?.['scan'], `${radius} around ${ra}, ${dec}`)
    }
  }
})

test('healpix() in SQL is healpix29() in TypeScript, and what stands in the rows', async () => {
  const rows = await ask(
    `SELECT candidate.ra, candidate.dec, healpix29, healpix(candidate.ra, candidate.dec, 29) AS p29,
       healpix(candidate.ra, candidate.dec, 5) AS p5 FROM alerts LIMIT 200`,
  )
  for (const { ra, dec, healpix29: stored, p29, p5 } of rows) {
    assert.equal(p29, stored)
    assert.equal(p29, String(healpix29(Number(ra), Number(dec))))
    assert.equal(p5, String(BigInt(String(stored)) >> 48n))
  }
})

test('latest_per_object() has one alert an object, and none is later', async () => {
  const [row] = await ask(
    `SELECT (SELECT COUNT(*) FROM latest_per_object()) AS latest,
       (SELECT COUNT(DISTINCT objectId) FROM alerts) AS objects,
       (SELECT COUNT(*) FROM latest_per_object() AS l JOIN alerts AS a
          ON a.objectId = l.objectId AND a.candidate.jd > l.candidate.jd) AS later`,
  )
  assert.equal(row?.['latest'], row?.['objects'])
  assert.equal(row?.['later'], '0')
})

test('light_curve() has each epoch once, with the detections of every packet of the object', async () => {
  const [row] = await ask(
    `SELECT (SELECT COUNT(*) FROM light_curve('ZTF20ddtmcqx')) AS epochs,
       (SELECT COUNT(*) FROM (SELECT DISTINCT jd, fid FROM light_curve('ZTF20ddtmcqx'))) AS once,
       (SELECT COUNT(*) FROM light_curve('ZTF20ddtmcqx') AS l JOIN alerts AS a
          ON a.candid = l.candid) AS own,
       (SELECT COUNT(*) FROM alerts WHERE objectId = 'ZTF20ddtmcqx') AS alerts`,
  )
  assert.equal(row?.['epochs'], row?.['once'])
  assert.equal(row?.['own'], row?.['alerts'])
  assert.ok(Number(row?.['epochs']) > 10)
})

test('the columns of a table are described in the engine', async () => {
  const rows = await ask(
    `SELECT column_name, comment FROM duckdb_columns()
     WHERE table_name LIKE 'alerts_v%' AND database_name = 'nightjar'`,
  )
  assert.ok(rows.length >= 20)
  for (const { column_name: name, comment } of rows) assert.ok(comment, String(name))
})
