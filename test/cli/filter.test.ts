import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'

import type { CloseRecord } from '../../conductor/close.ts'
import { acquireWarehouse } from '../../local/duckdb/warehouse.ts'
import type { Truth } from '../../simulator/truth.ts'
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
    /^rising\n {2}1 {2}since \S+ {2}selected \d+ of \d+\n {5}rb > 0.5 AND ndet >= 2\n$/,
  )
})

test('the audit counts the filters, names what they miss, and replay sends it to them alone', async () => {
  const at = ['--home', join(dir, 'home')]
  const auditNow = async (): Promise<{ status: number | null; record: CloseRecord }> => {
    const { out, status } = await runHere(['audit', '--night', night.night, '--json', ...at])
    return { status, record: JSON.parse(out) as CloseRecord }
  }
  const stageIn = ({ stages }: CloseRecord): CloseRecord['stages'][number] => {
    const stage = stages.find((one) => one.stage === 'filter')
    assert.ok(stage)
    return stage
  }
  const before = await auditNow()
  assert.equal(before.status, 0)
  const { expected, outcomes } = stageIn(before.record)
  assert.equal(expected, night.truths.filter(({ kind }) => kind !== 'gap').length)
  assert.equal((outcomes['published'] ?? 0) + (outcomes['filtered'] ?? 0), expected)
  assert.deepEqual(
    before.record.filters?.map(({ name, version, asked }) => ({ name, version, asked })),
    ['none', 'rising'].map((name) => ({ name, version: 1, asked: expected })),
  )
  assert.deepEqual(
    before.record.filters?.map(({ selected }) => selected),
    [0, outcomes['published']],
  )
  const text = (await runHere(['audit', '--night', night.night, ...at])).out
  assert.match(text, /named filter +asked +published +filtered\n(?:.*\n)*?none@1 +\d+ +0 +\d+\n/)

  // As if the stage had lost three.
  const lost = night.truths.filter(({ kind }) => kind === 'alert').slice(20, 23)
  const warehouse = await acquireWarehouse({ file: join(dir, 'home', 'warehouse.duckdb') })
  await warehouse.exclusive(async (connection) => {
    for (const { partition, offset } of lost) {
      await connection.run(
        `DELETE FROM ztf_alerts.ledger WHERE stage = 'filter'
           AND kafka_partition = ${partition} AND kafka_offset = ${offset}`,
      )
    }
  })
  await warehouse.release()
  const without = await auditNow()
  assert.equal(without.status, 1)
  assert.equal(without.record.state, 'incomplete')
  const named = stageIn(without.record).missing.flatMap((run) => {
    const [, topic = '', partition = '', first = '', last = first] =
      /^(.*)\[(\d+)\]@(\d+)(?:–(\d+))?$/.exec(run) ?? []
    const count = Number(last) - Number(first) + 1
    return Array.from({ length: count }, (_, i) => `${topic} ${partition} ${Number(first) + i}`)
  })
  assert.deepEqual(
    named.sort(),
    lost.map(({ topic, partition, offset }) => `${topic} ${partition} ${offset}`).sort(),
  )
  const sent = await runHere(['replay', '--missing', '--night', night.night, ...at])
  assert.deepEqual(sent, { out: 'Sent 3 again.\n', err: '', status: 0 })
  const told = `SELECT stage, COUNT(*) AS n FROM ledger WHERE stage <> 'filter' GROUP BY 1 ORDER BY 1`
  const others = await runHere(['query', '--json', told, ...at])
  assert.equal((await runHere(['run', '--once', ...at])).status, 0)
  const mended = await auditNow()
  assert.equal(mended.status, 0)
  assert.equal(mended.record.digest, before.record.digest)
  assert.deepEqual(mended.record.filters, before.record.filters)
  assert.deepEqual((await runHere(['query', '--json', told, ...at])).out, others.out)
})

test('a filter on fits judges what is published on ztf_salt2, live as on stored nights, and is accounted for', async () => {
  const at = ['--home', join(dir, 'fits')]
  const onFits = 'salt2_z < 0.06 AND salt2_chi2dof < 1000 AND rb > 0.1 AND ndet >= 2'
  const night = makeNight(join(dir, 'bright'), { alerts: 320, corrupt: 0 })
  assert.equal((await runHere(['filter', 'add', 'hosts', onFits, ...at])).status, 0)
  assert.equal((await runHere(['filter', 'add', 'plain', 'rb > 0.9', ...at])).status, 0)
  for (const topic of ['ztf_filter_hosts', 'ztf_salt2']) {
    assert.equal(
      (await runHere(['subscribe', topic, '--name', `${topic}-r`, '--max', '0', ...at])).status,
      0,
    )
  }
  const run = await runHere(['run', '--once', '--from', night.from, ...at])
  assert.equal(run.status, 0, run.err)
  const read = async (topic: string): Promise<Record<string, unknown>[]> =>
    linesOf((await runHere(['subscribe', topic, '--name', `${topic}-r`, '--drain', ...at])).out)
  const fits = await read('ztf_salt2')
  const lines = await read('ztf_filter_hosts')
  const tried = await runHere(['filter', 'test', onFits, '--json', '--list', '10000', ...at])
  assert.equal(tried.status, 0, tried.err)
  const found = JSON.parse(tried.out) as { judged: number; alerts: { candid: string }[] }
  assert.ok(found.alerts.length > 0 && found.alerts.length < found.judged)
  assert.equal(found.judged, idsOf(fits).length)
  assert.deepEqual(idsOf(lines), found.alerts.map(({ candid }) => candid).sort())
  const [{ attributes = {}, alert = {} } = {}] = lines
  assert.ok('candidate' in (alert as object) && 'z' in (attributes as object))

  const auditNow = async (): Promise<{ status: number | null; record: CloseRecord }> => {
    const { out, status } = await runHere(['audit', '--night', night.night, '--json', ...at])
    return { status, record: JSON.parse(out) as CloseRecord }
  }
  const before = await auditNow()
  assert.equal(before.status, 0)
  const stage = before.record.stages.find((one) => one.stage === 'filter_fits')
  assert.deepEqual([stage?.expected, stage?.received], [fits.length, fits.length])
  const asked = before.record.filters?.map((one) => [one.name, one.asked])
  const alerts = night.truths.filter(({ kind }) => kind !== 'gap').length
  assert.deepEqual(asked, [
    ['hosts', fits.length],
    ['plain', alerts],
  ])

  // As if the stage had never been told of any.
  const warehouse = await acquireWarehouse({ file: join(dir, 'fits', 'warehouse.duckdb') })
  await warehouse.exclusive(async (connection) => {
    await connection.run(`DELETE FROM ztf_alerts.ledger WHERE stage = 'filter_fits'`)
  })
  await warehouse.release()
  const without = await auditNow()
  assert.equal(without.status, 1)
  const sent = await runHere(['replay', '--missing', '--night', night.night, ...at])
  assert.deepEqual(sent, { out: `Sent ${fits.length} again.\n`, err: '', status: 0 })
  assert.equal((await runHere(['run', '--once', ...at])).status, 0)
  const mended = await auditNow()
  assert.deepEqual([mended.status, mended.record.digest], [0, before.record.digest])
  assert.deepEqual(idsOf(await read('ztf_filter_hosts')), idsOf(lines))
})

test('a filter that is added in mid-night owes what comes from then on, also without any filter left', async () => {
  const at = ['--home', join(dir, 'mid')]
  const from = join(dir, 'half')
  const files = night.truths.filter(({ kind }) => kind !== 'gap')
  const copy = (truths: readonly Truth[]): void => {
    for (const truth of truths) {
      const to = join(from, night.nameOf(truth))
      mkdirSync(dirname(to), { recursive: true })
      copyFileSync(join(night.from, night.nameOf(truth)), to)
    }
  }
  copy(files.filter(({ offset }) => offset < 15))
  const first = await runHere(['run', '--once', '--from', from, ...at])
  assert.equal(first.status, 0, first.err)
  assert.ok(!/\nfilter /.test((await runHere(['audit', ...at])).out))
  assert.equal((await runHere(['filter', 'add', 'late', 'rb > 0.5', ...at])).status, 0)
  copy(files.filter(({ offset }) => offset >= 15 && offset < 25))
  assert.equal((await runHere(['run', '--once', '--from', from, ...at])).status, 0)
  assert.equal((await runHere(['filter', 'remove', 'late', ...at])).status, 0)
  copy(files.filter(({ offset }) => offset >= 25))
  const last = await runHere(['run', '--once', '--from', from, ...at])
  assert.equal(last.status, 0, last.err)

  const audited = await runHere(['audit', '--json', '--night', night.night, ...at])
  assert.equal(audited.status, 0)
  const record = JSON.parse(audited.out) as CloseRecord
  const stage = record.stages.find((one) => one.stage === 'filter')
  const asked = files.filter(({ offset }) => offset >= 15 && offset < 25).length
  assert.equal(stage?.expected, files.filter(({ offset }) => offset >= 15).length)
  assert.equal(record.filters?.[0]?.asked, asked)
  assert.ok((record.filters?.[0]?.selected ?? 0) > 0)
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
