import assert from 'node:assert/strict'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'

import type { CloseRecord } from '../../conductor/close.ts'
import { tarEnd, tarMember } from '../../simulator/tar.ts'
import { dataDir, skipWithout } from '../data.ts'
import { makeNight, nightjar, runHere, startNightjar, startProgram } from './harness.ts'
import { repository, type Night, type Started } from './harness.ts'
import { prepareHome, verifyHome } from './verify.ts'

const dir = mkdtempSync(join(tmpdir(), 'nightjar-night-'))
after(() => rmSync(dir, { recursive: true, force: true }))
const night = makeNight(dir)
const records = night.truths.filter(({ kind }) => kind !== 'gap').length

interface Summary {
  records: number
  bytes: number
  seconds: number
  nights: CloseRecord[]
}

const run = (home: string, ...words: string[]): string[] => [
  ...['run', '--home', home, '--from', night.from],
  ...words,
]

async function homeFor(name: string): Promise<string> {
  const home = join(dir, name)
  await prepareHome(home)
  return home
}

/** Run the night to its end in a home and hold it against the truth. */
async function complete(home: string): Promise<Summary> {
  const { out, err, status } = await nightjar(...run(home, '--once', '--json'))
  assert.equal(status, 0, err)
  const summary = JSON.parse(out) as Summary
  const { record } = await verifyHome(home, night)
  assert.equal(summary.nights[0]?.digest, record.digest)
  return summary
}

/** Wait until a broker has taken in some of the night. */
async function midway({ said, child }: Started, home: string): Promise<void> {
  for (;;) {
    const { out } = await runHere(['status', '--json', '--home', home])
    const { nights } = JSON.parse(out) as { nights: { taken: number }[] }
    if ((nights[0]?.taken ?? 0) > 10) return
    assert.equal(child.exitCode, null, said().err)
  }
}

test('a whole night is archived, stored, judged and proven as the truth says, and again is nothing new', async () => {
  const home = await homeFor('whole')
  const first = await complete(home)
  assert.equal(first.records, records)
  assert.ok(first.bytes > records * 30_000)
  assert.equal(first.nights.length, 1)
  const second = await complete(home)
  assert.equal(second.records, 0)
  assert.equal(second.nights[0]?.digest, first.nights[0]?.digest)
})

test('--rate holds the intake back', async () => {
  const home = await homeFor('rate')
  const started = performance.now()
  const words = ['run', '--home', home, '--from', night.from, '--once', '--rate', '150', '--json']
  const { out, status } = await nightjar(...words)
  const seconds = (performance.now() - started) / 1000
  assert.equal(status, 0)
  assert.ok((JSON.parse(out) as Summary).seconds >= (records - 20) / 150)
  assert.ok(seconds < (3 * records) / 150 + 60, `${records} records took ${seconds} s`)
  await verifyHome(home, night)
})

test('Ctrl-C finishes what is under way and is 0; the next run completes the night', async () => {
  const home = await homeFor('interrupted')
  const running = startNightjar(run(home, '--rate', '120', '--once'))
  await midway(running, home)
  running.child.kill('SIGINT')
  const { status, err } = await running.ended
  assert.equal(status, 0)
  assert.match(err, /broker_stopped reason="asked to"/)
  const { out } = await runHere(['status', '--json', '--home', home])
  const { running: left } = JSON.parse(out) as { running: number | null }
  assert.equal(left, null)
  const { records: rest } = await complete(home)
  assert.ok(rest > 0 && rest < records, `${rest} of ${records} were left`)
})

test('a second Ctrl-C ends at once, and the next run loses nothing', async () => {
  const home = await homeFor('interrupted-twice')
  const running = startNightjar(run(home, '--rate', '120'))
  await midway(running, home)
  running.child.kill('SIGINT')
  await pause(5)
  const asked = performance.now()
  running.child.kill('SIGINT')
  const { status, signal, err } = await running.ended
  assert.ok(performance.now() - asked < 1000)
  // It dies of the signal, unless the first was quicker than the second.
  assert.ok(signal === 'SIGINT' || status === 0, `${status ?? signal}: ${err}`)
  assert.doesNotMatch(err, /terminate called|\n {4}at /)
  await complete(home)
})

test('SIGTERM is as good as Ctrl-C', async () => {
  const home = await homeFor('terminated')
  const running = startNightjar(run(home, '--rate', '120'))
  await midway(running, home)
  running.child.kill('SIGTERM')
  assert.equal((await running.ended).status, 0)
  await complete(home)
})

test('a second broker on a home is refused in one sentence, and the first is not disturbed', async () => {
  const home = await homeFor('busy')
  const first = startNightjar(run(home, '--rate', '120'))
  await midway(first, home)
  const second = await nightjar(...run(home, '--once'))
  assert.equal(second.status, 1)
  assert.equal(second.out, '')
  assert.equal(
    second.err,
    `nightjar: Cannot run in "${home}": process ${first.child.pid} does already; ` +
      'stop it or choose another --home\n',
  )
  assert.equal(first.child.exitCode, null)
  first.child.kill('SIGINT')
  assert.equal((await first.ended).status, 0)
  await complete(home)
})

test('a home that cannot be written to is one clear sentence, and nothing is taken in', async () => {
  const home = join(dir, 'read-only')
  mkdirSync(home)
  chmodSync(home, 0o555)
  // Root may write anywhere: then nobody else tries.
  const words = run(home, '--once')
  const root = process.getuid?.() === 0
  const program = join(repository, 'bin/nightjar')
  const shell = 'exec setpriv --reuid 65534 --regid 65534 --clear-groups -- "$0" "$@"'
  const started = root
    ? startProgram('/bin/sh', ['-c', shell, program, ...words])
    : startNightjar(words)
  const { err, out, status } = await started.ended
  assert.equal(status, 1)
  assert.equal(out, '')
  assert.match(err, /^nightjar: Cannot [^\n]*read-only[^\n]*\n$/)
  assert.match(err, /EACCES|EPERM|EROFS/)
  assert.deepEqual(readdirSync(home), [])
})

/** Pack a night in the order of its arrival, as `nightjar simulate --tar` does. */
function pack({ truths, nameOf, bytesOf }: Night, archive: string): void {
  const members = truths
    .filter(({ kind }) => kind !== 'gap')
    .map((truth) => tarMember(nameOf(truth), bytesOf(truth), truth.timestamp))
  writeFileSync(archive, gzipSync(Buffer.concat([...members, tarEnd]), { level: 1 }))
}

test('the night as .tar.gz is the same night, and again is nothing new', async () => {
  const archive = join(dir, `${night.topic}.tar.gz`)
  pack(night, archive)
  const home = await homeFor('archive')
  const words = ['run', '--home', home, '--from', archive, '--once', '--json']
  const { out, err, status } = await nightjar(...words)
  assert.equal(status, 0, err)
  const { record } = await verifyHome(home, night)
  assert.equal((JSON.parse(out) as Summary).nights[0]?.digest, record.digest)
  const again = JSON.parse((await nightjar(...words)).out) as Summary
  assert.equal(again.records, 0)
  assert.equal(again.nights[0]?.digest, record.digest)
})

test('a folder and its .tar.gz have one digest', async () => {
  // Without duplicates: which of two occurrences that come at once is the first is left to chance.
  const once = makeNight(join(dir, 'once'), { alerts: 150, duplicates: 0 })
  const archive = join(dir, 'once', `${once.topic}.tar.gz`)
  pack(once, archive)
  const records = []
  for (const from of [once.from, archive]) {
    const home = join(dir, `once-${records.length}`)
    const { out } = await nightjar('run', '--home', home, '--from', from, '--once', '--json')
    records.push((JSON.parse(out) as Summary).nights[0])
  }
  assert.deepEqual(sums(records[0]), sums(records[1]))
})

/** What a close record says but when it was written. */
function sums(record: CloseRecord | undefined): unknown {
  assert.ok(record)
  const { digest, partitions, stages, state } = record
  return { digest, partitions, stages, state }
}

const lsst = resolve(dataDir, 'lsst')

test(
  'with --survey lsst real packets of Rubin, containers and wire format, are archived and stored',
  { skip: skipWithout(lsst, 'set NIGHTJAR_DATA to a folder of real alerts') },
  async () => {
    const home = join(dir, 'lsst')
    const words = ['--survey', 'lsst', '--home', home]
    const { out, err, status } = await nightjar(
      ...['run', ...words, '--from', lsst, '--night', '20251013', '--once', '--json'],
    )
    assert.equal(status, 0, err)
    const { records: taken, nights } = JSON.parse(out) as Summary
    assert.ok(taken >= 129)
    assert.equal(nights[0]?.survey, 'lsst')
    const dead = `SELECT DISTINCT stage, kafka_offset FROM ledger WHERE outcome = 'dead_lettered'`
    const reasons = await runHere([
      ...['query', '--json', ...words],
      `SELECT stage, REGEXP_REPLACE(reason, '[0-9a-f]{10}', '…') AS reason, COUNT(*) AS n
       FROM ledger WHERE kafka_offset IN (SELECT kafka_offset FROM (${dead}))
       GROUP BY ALL ORDER BY ALL`,
    ])
    const found = reasons.out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { stage: string; reason: string | null; n: string })
    // Four bare datums without any header, and five packets whose schema nobody here knows.
    const bare = 'Cannot read packet: it begins with …, neither an Avro container nor wire format'
    const unknown = /^Cannot read packet: schema id \d+ is unknown, add the schema and replay$/
    for (const stage of ['archive', 'warehouse']) {
      const own = found.filter((row) => row.stage === stage)
      const count = (test: (reason: string) => boolean): number =>
        own.reduce((sum, { reason, n }) => sum + (test(reason ?? '') ? Number(n) : 0), 0)
      assert.equal(
        count((reason) => reason === bare),
        4,
        stage,
      )
      assert.equal(
        count((reason) => unknown.test(reason)),
        5,
        stage,
      )
      assert.equal(
        count(() => true),
        9,
        stage,
      )
    }
    const stored = await runHere([
      ...['query', '--json', ...words],
      `SELECT (SELECT COUNT(DISTINCT (objectId, candid)) FROM ledger
               WHERE stage = 'archive' AND outcome IN ('stored', 'duplicate')) AS archived,
              (SELECT COUNT(*) FROM alerts) AS rows`,
    ])
    const counts = JSON.parse(stored.out) as { archived: string; rows: string }
    assert.equal(counts.rows, counts.archived)
    assert.ok(Number(counts.rows) > 90)
    assert.ok(existsSync(join(home, 'buckets/local_lsst_alert_avro_bucket/lsst_20251013')))
  },
)
