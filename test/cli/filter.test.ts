import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { makeNight, runHere, startNightjar } from '../night/harness.ts'

const dir = mkdtempSync(join(tmpdir(), 'nightjar-filter-'))
after(() => rmSync(dir, { recursive: true }))
const night = makeNight(dir, { alerts: 160, corrupt: 0 })
const selector = 'rb > 0.5 AND ndet >= 2'

const linesOf = (out: string): Record<string, unknown>[] =>
  out
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)

const idsOf = (lines: readonly Record<string, unknown>[]): string[] =>
  [...new Set(lines.map(({ attributes }) => (attributes as Record<string, string>)['candid']))]
    .map(String)
    .sort()

test('a filter is tried on stored nights, then runs live, and both select the same alerts', async () => {
  const home = join(dir, 'home')
  const at = ['--home', home]
  assert.deepEqual(await runHere(['filter', 'add', 'rising', selector, ...at]), {
    out: 'rising, version 1, publishes on ztf_filter_rising\n',
    err: '',
    status: 0,
  })
  assert.equal((await runHere(['filter', 'add', 'none', 'rb > 2', ...at])).status, 0)
  const made = ['subscribe', 'ztf_filter_rising', '--name', 'r', '--max', '0', ...at]
  assert.equal((await runHere(made)).status, 0)
  const picked = ['subscribe', 'ztf_alert_data', '--name', 'p', ...at]
  assert.equal((await runHere([...picked, '--max', '0'])).status, 0)
  const run = await runHere(['run', '--once', '--from', night.from, ...at])
  assert.equal(run.status, 0, run.err)

  const tried = await runHere(['filter', 'test', selector, '--json', '--list', '10000', ...at])
  assert.equal(tried.status, 0, tried.err)
  const found = JSON.parse(tried.out) as {
    judged: number
    selected: number
    alerts: { candid: string }[]
    nights: { selected: number }[]
    month: { messages: number }
  }
  assert.ok(found.selected > 0 && found.selected < found.judged)
  assert.equal(
    found.nights.reduce((sum, { selected }) => sum + selected, 0),
    found.selected,
  )
  assert.ok(found.month.messages > 0)
  const wanted = found.alerts.map(({ candid }) => candid).sort()

  const live = await runHere(['subscribe', 'ztf_filter_rising', '--name', 'r', '--drain', ...at])
  const lines = linesOf(live.out)
  assert.deepEqual(idsOf(lines), wanted)
  const [{ attributes = {}, alert = {} } = {}] = lines
  assert.equal((attributes as Record<string, string>)['filter_version'], '1')
  assert.ok('candidate' in (alert as object) && !('cutoutScience' in (alert as object)))

  const selected = await runHere([...picked, '--select', selector, '--drain', ...at])
  assert.deepEqual(idsOf(linesOf(selected.out)), wanted)

  // Each occurrence has one outcome at the stage.
  const ledger = `SELECT COUNT(DISTINCT (kafka_topic, kafka_partition, kafka_offset)) AS n,
    COUNT(*) FILTER (WHERE outcome NOT IN ('published', 'filtered')) AS odd
    FROM ledger WHERE stage = 'filter'`
  const accounted = await runHere(['query', '--json', ledger, ...at])
  const intact = night.truths.filter(({ kind }) => kind !== 'gap').length
  assert.deepEqual(linesOf(accounted.out), [{ n: String(intact), odd: '0' }])
  const shown = await runHere(['filter', 'show', 'rising', ...at])
  assert.match(
    shown.out,
    /^rising\n {2}1 {2}since \S+ {2}\d+ selected\n {5}rb > 0.5 AND ndet >= 2\n$/,
  )
})

test('a filter gets versions, is listed, and is removed for good only once', async () => {
  const at = ['--home', join(dir, 'names')]
  await runHere(['filter', 'add', 'a', 'rb > 0.5', ...at])
  assert.match((await runHere(['filter', 'add', 'a', 'rb > 0.5', ...at])).out, /version 1/)
  assert.match((await runHere(['filter', 'add', 'a', 'rb > 0.6', ...at])).out, /version 2/)
  assert.match((await runHere(['filter', 'list', ...at])).out, /a +2 +\S+ +rb > 0.6/)
  assert.equal((await runHere(['filter', 'remove', 'a', ...at])).status, 0)
  assert.match((await runHere(['filter', 'list', ...at])).err, /no filters/)
  const again = await runHere(['filter', 'remove', 'a', ...at])
  assert.equal(again.status, 2)
  assert.match(again.err, /Cannot remove filter "a": it is not live/)
  const [all = {}] = linesOf((await runHere(['filter', 'list', '--json', ...at])).out)
  assert.equal((all as unknown as { versions: unknown[] }[])[0]?.versions.length, 2)
  assert.match((await runHere(['filter', 'add', 'a', 'rb > 0.7', ...at])).out, /version 3/)
})

test('a filter that makes no sense is refused with its column, a strange name is told', async () => {
  const at = ['--home', join(dir, 'names')]
  const bad = await runHere(['filter', 'add', 'b', 'rb > 0.5 AND', ...at])
  assert.equal(bad.status, 1)
  assert.match(bad.err, /column 13 .*\n {2}rb > 0.5 AND\n {14}\^/)
  assert.match((await runHere(['filter', 'add', 'b', 'NOT rb', ...at])).err, /column 5 has "rb"/)
  assert.match(
    (await runHere(['filter', 'add', 'B!', 'rb > 1', ...at])).err,
    /Cannot name a filter/,
  )
  const odd = await runHere(['filter', 'add', 'b', 'RB > 0.5', ...at])
  assert.equal(odd.status, 0)
  assert.match(odd.err, /no alert has a field "RB", so it is NULL everywhere; "rb" is one/)
})

test('a filter that is added beside a running broker judges what comes from then on', async () => {
  const home = join(dir, 'late')
  const running = startNightjar(['run', '--home', home])
  await running.until(/broker_started/)
  assert.equal((await runHere(['filter', 'add', 'all', 'candid > 0', '--home', home])).status, 0)
  const made = ['subscribe', 'ztf_filter_all', '--name', 's', '--max', '0', '--home', home]
  assert.equal((await runHere(made)).status, 0)
  running.child.kill('SIGINT')
  await running.ended
  const run = await runHere(['run', '--once', '--home', home, '--from', night.from])
  assert.equal(run.status, 0, run.err)
  const all = [
    'subscribe',
    'ztf_filter_all',
    '--name',
    's',
    '--drain',
    '--attributes',
    '--home',
    home,
  ]
  const lines = linesOf((await runHere(all)).out)
  assert.equal(lines.length, night.truths.filter(({ kind }) => kind !== 'gap').length)
})
