import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import type { CloseRecord } from '../../conductor/close.ts'
import { acquireWarehouse } from '../../local/duckdb/warehouse.ts'
import type { Truth } from '../../simulator/truth.ts'
import { makeNight, nightjar, runHere, startNightjar, type Night } from '../night/harness.ts'
import { prepareHome, verifyHome } from '../night/verify.ts'

const dir = mkdtempSync(join(tmpdir(), 'nightjar-audit-'))
after(() => rmSync(dir, { recursive: true }))
const complete = join(dir, 'complete')
let night: Night
let intact: Truth[]

before(async () => {
  night = makeNight(dir, { alerts: 120, seed: 'audit' })
  intact = night.truths.filter(({ kind }) => kind === 'alert' || kind === 'late')
  await prepareHome(complete)
  const { status, err } = await nightjar('run', '--once', '--home', complete, '--from', night.from)
  assert.equal(status, 0, err)
})

/** A copy of the complete home, to do harm to. */
function copyOfHome(name: string): string {
  const home = join(dir, name)
  cpSync(complete, home, { recursive: true })
  return home
}

/** Change the warehouse behind the broker's back. */
async function alter(home: string, ...statements: string[]): Promise<void> {
  const warehouse = await acquireWarehouse({ file: join(home, 'warehouse.duckdb') })
  await warehouse.exclusive(async (connection) => {
    for (const sql of statements) await connection.run(sql)
  })
  await warehouse.release()
}

const at = ({ partition, offset }: Truth): string =>
  `kafka_partition = ${partition} AND kafka_offset = ${offset}`
const name = ({ topic, partition, offset }: Truth): string => `${topic}[${partition}]@${offset}`

const forget = (stage: string, truth: Truth): string =>
  `DELETE FROM ztf_alerts.ledger WHERE stage = '${stage}' AND ${at(truth)}`

/** The lines under "Missing:". */
const missingIn = (out: string): string[] =>
  (/\nMissing:\n((?: {2}.*\n)+)/.exec(out)?.[1] ?? '')
    .split('\n')
    .map((line) => line.trim().replace(/ +/, ' '))
    .filter((line) => line !== '')
    .sort()

test('audit of a complete night is 0 and shows every stage by partition', async () => {
  const { out, err, status } = await runHere(['audit', '--home', complete, '--night', night.night])
  assert.equal(status, 0)
  assert.equal(err, '')
  assert.match(out, /^Night 20261121 of ztf\n/)
  const stages = ['intake', 'archive', 'warehouse', 'exgalac', 'salt2']
  for (const stage of stages) {
    assert.match(out, new RegExp(`^${stage} +expected  received  .*  missing\n─+\n`, 'm'))
  }
  for (let partition = 0; partition < 4; partition++) {
    const rows = out.match(new RegExp(`^ztf_20261121_programid1\\[${partition}\\] .* 0$`, 'gm'))
    assert.equal(rows?.length, stages.length)
  }
  assert.match(out, /^Complete: each of [\d,]+ occurrences is accounted for at every stage\.$/m)
  assert.deepEqual(missingIn(out), [])
})

test('audit --json is the close record that it stores, and the next audit has the same digest', async () => {
  const one = await runHere(['audit', '--home', complete, '--night', '2026-11-21', '--json'])
  const two = await runHere(['audit', '--home', complete, '--json'])
  const record = JSON.parse(one.out) as CloseRecord
  const [again, ...others] = JSON.parse(two.out) as CloseRecord[]
  assert.deepEqual(others, [])
  assert.equal(record.state, 'complete')
  assert.equal(again?.digest, record.digest)
  const folder = join(complete, 'buckets/local-broker_files/audit/ztf_20261121')
  const records = readdirSync(folder)
    .sort()
    .map((file) => JSON.parse(readFileSync(join(folder, file), 'utf8')) as CloseRecord)
  assert.deepEqual(records.slice(-2), [record, again])
  assert.ok(records.every(({ digest }) => digest === record.digest))
})

test('audit names each planted loss at its stage, and is 1', async () => {
  const home = copyOfHome('losses')
  const [a, b, c] = [intact[3], intact[40], intact[77]] as [Truth, Truth, Truth]
  const before = await runHere(['audit', '--home', home, '--json'])
  await alter(
    home,
    forget('archive', a),
    forget('warehouse', a),
    forget('exgalac', b),
    forget('intake', c),
  )
  const { out, status } = await runHere(['audit', '--home', home])
  assert.equal(status, 1)
  assert.deepEqual(
    missingIn(out),
    [
      `archive ${name(a)}`,
      `warehouse ${name(a)}`,
      `exgalac ${name(b)}`,
      `intake ${name(c)}`,
    ].sort(),
  )
  assert.match(out, /^NOT complete: 4 missing\. "nightjar replay --missing --night 20261121"/m)
  const { out: json } = await runHere(['audit', '--home', home, '--json', '--night', night.night])
  const record = JSON.parse(json) as CloseRecord
  assert.equal(record.state, 'incomplete')
  assert.deepEqual(
    record.stages.flatMap(({ stage, missing }) => missing.map((one) => `${stage} ${one}`)).sort(),
    missingIn(out),
  )
  const [first] = JSON.parse(before.out) as CloseRecord[]
  assert.notEqual(record.digest, first?.digest)
})

test('audit lists runs as runs, and no more than were asked for', async () => {
  const home = copyOfHome('runs')
  await alter(
    home,
    `DELETE FROM ztf_alerts.ledger WHERE stage = 'exgalac' AND kafka_partition = 2 AND kafka_offset % 4 < 2`,
  )
  const { out } = await runHere(['audit', '--home', home, '--list', '1'])
  assert.equal(missingIn(out).length, 2)
  assert.match(out, /exgalac {2}ztf_20261121_programid1\[2\]@\d+–\d+\n {2}… and \d+ runs more/)
})

test('replay --missing sends exactly what is missing, and the next run makes the night whole', async () => {
  const home = copyOfHome('replayed')
  const corrupt = night.truths.find(({ kind }) => kind.startsWith('corrupt:')) as Truth
  const passing = intact.find(({ extragalactic }) => extragalactic) as Truth
  const [a, b, c] = [intact[5], intact[50], intact[90]] as [Truth, Truth, Truth]
  const rows = `DELETE FROM ztf_alerts.alerts_v${(b.schemavsn ?? '').replace('.', '_')}
    WHERE ${at(b)}`
  await alter(
    home,
    forget('archive', a),
    forget('warehouse', b),
    rows,
    forget('intake', c),
    forget('exgalac', passing),
    forget('archive', corrupt),
  )
  const before = await runHere(['audit', '--home', home])
  assert.equal(missingIn(before.out).length, 5)
  assert.deepEqual(await runHere(['replay', '--missing', '--home', home, '--night', '20261121']), {
    out: 'Sent 5 again.\n',
    err: '',
    status: 0,
  })
  const run = await nightjar('run', '--once', '--home', home)
  assert.equal(run.status, 0, run.out)
  await verifyHome(home, night)
  const nothing = await runHere(['replay', '--missing', '--home', home])
  assert.equal(nothing.out, 'Sent 0 again.\n')
})

test('replay --missing beside a running broker is taken up at once', async () => {
  const home = copyOfHome('beside')
  const [a] = [intact[8]] as [Truth]
  await alter(home, forget('warehouse', a))
  const running = startNightjar(['run', '--home', home])
  await running.until(/broker_started/)
  assert.equal((await runHere(['audit', '--home', home])).status, 1)
  assert.equal((await runHere(['replay', '--missing', '--home', home])).out, 'Sent 1 again.\n')
  const deadline = Date.now() + 10_000
  while ((await runHere(['audit', '--home', home])).status !== 0) assert.ok(Date.now() < deadline)
  running.child.kill('SIGINT')
  assert.equal((await running.ended).status, 0)
  await verifyHome(home, night)
})

test('what a stage lacks comes from its source where the archive has lost it, too', async () => {
  const home = copyOfHome('file-gone')
  const [a] = [intact[20]] as [Truth]
  const bucket = join(home, 'buckets/local_ztf_alert_avro_bucket')
  rmSync(join(bucket, a.topic, a.objectId ?? '', `${a.candid}.avro`))
  await alter(home, forget('exgalac', a))
  const sent = await runHere(['replay', '--missing', '--home', home])
  assert.deepEqual(sent, { out: 'Sent 1 again.\n', err: '', status: 0 })
  assert.equal((await nightjar('run', '--once', '--home', home)).status, 0)
  assert.equal((await runHere(['audit', '--home', home])).status, 0)
})

test('audit while a broker runs says what is not there yet, and that the source goes on', async () => {
  const home = join(dir, 'running')
  const running = startNightjar(['run', '--home', home, '--from', night.from, '--rate', '50'])
  await running.until(/intake_started/)
  let found = await runHere(['audit', '--home', home])
  while (!found.out.includes('Not read to its end'))
    found = await runHere(['audit', '--home', home])
  assert.equal(found.status, 1)
  assert.match(found.out, /^NOT complete: /m)
  running.child.kill('SIGINT')
  assert.equal((await running.ended).status, 0)
})

test('audit of a night that never came says which did', async () => {
  const { out, err, status } = await runHere(['audit', '--home', complete, '--night', '20261122'])
  assert.equal(out, '')
  assert.match(
    err,
    /^nightjar: Cannot audit night 20261122 of ".*": nights taken in there: 20261121$/m,
  )
  assert.equal(status, 2)
})
