import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { after, test } from 'node:test'

import { makeNight, nightjar, runHere, startNightjar } from '../night/harness.ts'

const dir = mkdtempSync(join(tmpdir(), 'nightjar-run-'))
after(() => rmSync(dir, { recursive: true }))
const night = makeNight(dir, { alerts: 70, seed: 'run', corrupt: 0.06 })
const records = night.truths.filter(({ kind }) => kind !== 'gap')
const files = records
  .filter(({ kind }) => kind === 'alert')
  .map((truth) => join(night.from, night.nameOf(truth)))

async function rowsIn(home: string): Promise<number> {
  const sql = 'SELECT COUNT(*) AS n FROM alerts'
  const { out, status } = await runHere(['query', '--json', '--home', home, sql])
  return status === 0 ? Number((JSON.parse(out) as { n: string }).n) : 0
}

test('run --once ends with what came, what became of it, what stands out, and the proof', async () => {
  const home = join(dir, 'summary')
  const { out, status } = await nightjar('run', '--once', '--home', home, '--from', night.from)
  assert.equal(status, 0)
  assert.match(
    out,
    new RegExp(
      `^\nTook in ${records.length} alerts \\(\\d\\.\\d\\d MB\\) in [\\d.]+ s: \\d+ alerts/s\\.\n`,
    ),
  )
  assert.match(
    out,
    /^\nNight 20261121\nstage +received +stored +published +duplicate .* missing\n─+$/m,
  )
  assert.match(out, new RegExp(`^archive +${records.length} .* 0$`, 'm'))
  assert.match(out, /^Complete: each of \d+ occurrences is accounted for at every stage\.$/m)
  assert.match(out, /^Proof: audit\/ztf_20261121\/close-0001\.json, digest [0-9a-f]{16}…$/m)
  assert.match(out, /^Dead letters by reason\nalerts +stage +reason\n─+\n +\d+ +\w+ +Cannot /m)
  assert.ok(out.endsWith(`\nEverything is in ${home}\n`))
})

test('the summary tells a run that was killed before as it tells any other', async () => {
  const home = join(dir, 'killed')
  const first = startNightjar(['run', '--home', home, '--from', night.from, '--rate', '60'])
  await first.until(/message_dead_lettered/)
  first.child.kill('SIGKILL')
  await first.ended
  const { out } = await nightjar('run', '--once', '--home', home, '--from', night.from)
  const dead = records.filter(({ kind }) => kind.startsWith('corrupt:')).length
  const rows = [...out.matchAll(/^ *(\d+) +(archive|warehouse|exgalac) +Cannot /gm)]
  const sum = rows.reduce((all, [, count]) => all + Number(count), 0)
  assert.equal(sum, 3 * dead, 'a dead letter that came twice counts once')
})

test('a home that no alert has come to ends clean, and its ledger is there to be asked', async () => {
  const home = join(dir, 'nothing')
  const from = join(dir, 'nothing-there')
  mkdirSync(from)
  const { out, status } = await nightjar('run', '--once', '--home', home, '--from', from)
  assert.equal(status, 0)
  assert.match(out, /^\nTook in 0 alerts /)
  const asked = await runHere([
    'query',
    '--json',
    '--home',
    home,
    'SELECT COUNT(*) AS n FROM ledger',
  ])
  assert.deepEqual([asked.status, JSON.parse(asked.out)], [0, { n: '0' }])
})

test('with NIGHTJAR_LOG=json every line of standard error is an event', async () => {
  const home = join(dir, 'json')
  const words = ['run', '--once', '--json', '--home', home, '--from', night.from]
  const { err, out } = await startNightjar(words, { env: { NIGHTJAR_LOG: 'json' } }).ended
  const events = err.trimEnd().split('\n')
  const names = events.map((line) => {
    const event = JSON.parse(line) as Record<string, string>
    assert.match(event['severity'] ?? '', /^(INFO|WARNING)$/)
    assert.ok(Date.parse(event['time'] ?? '') > 0)
    return event['event']
  })
  assert.equal(names[0], 'broker_started')
  assert.equal(names.at(-1), 'broker_stopped')
  assert.ok(names.includes('intake_started') && names.includes('intake_ended'))
  assert.equal((JSON.parse(out) as { records: number }).records, records.length)
})

test('run goes on and takes in what is added to its folder', async () => {
  const home = join(dir, 'watch')
  const folder = join(dir, 'incoming')
  mkdirSync(folder)
  const add = (from: number, to: number): void => {
    for (const file of files.slice(from, to)) copyFileSync(file, join(folder, nameFor(file)))
  }
  add(0, 4)
  const running = startNightjar([
    ...['run', '--home', home, '--from', folder, '--night', night.night],
  ])
  while ((await rowsIn(home)) < 4) assert.equal(running.child.exitCode, null)
  add(4, 9)
  while ((await rowsIn(home)) < 9) assert.equal(running.child.exitCode, null)
  running.child.kill('SIGINT')
  assert.equal((await running.ended).status, 0)
  const { status } = await nightjar(
    ...['run', '--once', '--home', home, '--from', folder, '--night', night.night],
  )
  assert.equal(status, 0)
  assert.equal(await rowsIn(home), 9)
})

/** A name that says nothing of Kafka. */
const nameFor = (file: string): string => `alert-${files.indexOf(file)}-${basename(file)}`

test('several sources of a night are taken in, each with a partition of its own', async () => {
  const home = join(dir, 'several')
  const two = [join(dir, 'a'), join(dir, 'b')]
  for (const [i, folder] of two.entries()) {
    mkdirSync(folder)
    for (const file of files.slice(10 * i, 10 * i + 6)) {
      copyFileSync(file, join(folder, nameFor(file)))
    }
  }
  const single = files[30] as string
  const alone = join(dir, nameFor(single))
  copyFileSync(single, alone)
  const { out, err, status } = await nightjar(
    ...['run', '--once', '--json', '--home', home, '--night', night.night],
    ...['--from', ...two, alone],
  )
  assert.equal(status, 0, err)
  const { records: taken, nights } = JSON.parse(out) as {
    records: number
    nights: { partitions: { topic: string; partition: number; high: string }[] }[]
  }
  assert.equal(taken, 13)
  assert.deepEqual(
    nights[0]?.partitions.map(({ partition, high }) => [partition, high]),
    [
      [0, '6'],
      [1, '6'],
      [2, '1'],
    ],
  )
  assert.equal(await rowsIn(home), 13)
})
