import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import { makeNight, runHere, startNightjar, type Night } from '../night/harness.ts'

const dir = mkdtempSync(join(tmpdir(), 'nightjar-query-'))
const home = join(dir, 'home')
let night: Night
before(async () => {
  night = makeNight(dir, { alerts: 60, corrupt: 0, gaps: 0 })
  assert.equal((await runHere(['run', '--once', '--home', home, '--from', night.from])).status, 0)
})
after(() => rmSync(dir, { recursive: true }))

const query = (...words: string[]) => runHere(['query', '--home', home, ...words])

/** Made-up values of every kind that is easily got wrong. */
const odd = `SELECT 1186453211615015021::BIGINT AS candid, 'NaN'::DOUBLE AS nan, NULL AS none,
  '-inf'::FLOAT AS low, 0.1::FLOAT AS single, 'a,"b"' AS word, [1, 2] AS list,
  {'jd': 2.5, 'id': 9007199254740993::BIGINT} AS nested, '\\x00\\xFF'::BLOB AS bytes,
  TRUE AS yes, DATE '2026-11-21' AS day`

test('query prints a table with every digit of a candid', async () => {
  const truth = night.truths.find(({ kind }) => kind === 'alert')
  const { out, err, status } = await query(
    `SELECT objectId, candid FROM alerts WHERE candid = ${truth?.candid}`,
  )
  assert.equal(status, 0)
  assert.equal(err, '')
  const [heads, rule, row, ...rest] = out.split('\n')
  assert.match(heads ?? '', /^objectId +candid$/)
  assert.match(rule ?? '', /^─+$/)
  assert.equal(row, `${truth?.objectId}  ${truth?.candid}`)
  assert.deepEqual(rest, [''])
})

test('query --json prints an object a line: long numbers and NaN as text, bytes as base64', async () => {
  const { out } = await query('--json', odd)
  assert.equal(out.split('\n').length, 2)
  const row = JSON.parse(out) as Record<string, unknown>
  assert.equal(row['candid'], '1186453211615015021')
  assert.equal(row['nan'], 'NaN')
  assert.equal(row['none'], null)
  assert.equal(row['low'], '-Infinity')
  assert.equal(row['single'], Math.fround(0.1))
  assert.equal(row['word'], 'a,"b"')
  assert.deepEqual(row['list'], [1, 2])
  assert.deepEqual(row['nested'], { jd: 2.5, id: '9007199254740993' })
  assert.equal(row['bytes'], 'AP8=')
  assert.equal(row['yes'], true)
  assert.match(String(row['day']), /^2026-11-21/)
})

test('query --csv quotes what must be, and null is nothing', async () => {
  const { out } = await query('--csv', odd)
  const [heads, row] = out.split('\n')
  assert.equal(heads, 'candid,nan,none,low,single,word,list,nested,bytes,yes,day')
  assert.ok(row?.startsWith('1186453211615015021,NaN,,-Infinity,'), row)
  assert.ok(row?.includes(',"a,""b""","[1,2]","{""jd"":2.5,""id"":""9007199254740993""}",'), row)
})

test('query opens histories as BigQuery does', async () => {
  const { out } = await query(
    '--json',
    'SELECT COUNT(*) AS n, MAX(p.jd) < MAX(a.candidate.jd) AS before FROM alerts a, UNNEST(a.prv_candidates) t(p)',
  )
  const row = JSON.parse(out) as Record<string, unknown>
  assert.ok(Number(row['n']) > 100)
  assert.equal(row['before'], true)
})

test('query of nothing says so on standard error, and --csv and --json print nothing', async () => {
  const none = 'SELECT objectId FROM alerts WHERE candid = 1'
  assert.deepEqual(await query(none), { out: '', err: 'no rows\n', status: 0 })
  assert.equal((await query('--json', none)).out, '')
})

test('query --limit cuts a table and says that there is more', async () => {
  const { out, err } = await query('--limit', '3', 'SELECT objectId FROM alerts')
  assert.equal(out.trimEnd().split('\n').length, 5)
  assert.equal(err, 'first 3 rows; --limit shows more\n')
})

test('query refuses what is wrong in one sentence, and what would change anything', async () => {
  const refused: [string, RegExp][] = [
    ['SELECT nothing FROM alerts', /^nightjar: Cannot run the query.*"nothing"/],
    ['SELEC 1', /^nightjar: Cannot run the query: .*SELEC/],
    ['DELETE FROM ledger', /^nightjar: Cannot /],
    ['DROP VIEW alerts', /^nightjar: Cannot /],
    ["COPY ledger TO 'out.csv'", /^nightjar: Cannot /],
  ]
  for (const [sql, pattern] of refused) {
    const { out, err, status } = await query(sql)
    assert.equal(out, '', sql)
    assert.match(err, pattern)
    assert.equal(err.trimEnd().split('\n').length, 1, err)
    assert.equal(status, 1)
  }
  const { out } = await query('--json', 'SELECT COUNT(*) AS n FROM ledger')
  assert.ok(Number((JSON.parse(out) as { n: string }).n) > 0)
})

test('query answers while the broker runs, and no worse', async () => {
  const running = startNightjar(['run', '--home', home])
  await running.until(/broker_started/)
  const sql = 'SELECT COUNT(*) AS n FROM alerts'
  const [through, direct] = [await query('--json', sql), await query('SELEC 1')]
  running.child.kill('SIGINT')
  assert.equal((await running.ended).status, 0)
  assert.equal(through.out, (await query('--json', sql)).out)
  assert.equal(direct.status, 1)
  assert.match(direct.err, /^nightjar: Cannot run the query[^\n]*\n$/)
})

test('an unused door is no door: after a kill -9 query opens the warehouse itself', async () => {
  const running = startNightjar(['run', '--home', home])
  await running.until(/broker_started/)
  running.child.kill('SIGKILL')
  await running.ended
  const { out, status } = await query('--json', 'SELECT COUNT(*) AS n FROM alerts')
  assert.equal(status, 0)
  assert.ok(Number((JSON.parse(out) as { n: string }).n) > 50)
})
