import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { makeNight, nightjar, runHere, startNightjar } from '../night/harness.ts'

const dir = mkdtempSync(join(tmpdir(), 'nightjar-subscribe-'))
after(() => rmSync(dir, { recursive: true }))
const night = makeNight(dir, { alerts: 160, corrupt: 0.03 })
const intact = night.truths.filter(({ kind }) => kind !== 'gap' && !kind.startsWith('corrupt'))
const transients = intact.filter(({ extragalactic }) => extragalactic)

interface Line {
  id: string
  attributes: Record<string, string>
  alert?: Record<string, unknown>
  data?: Record<string, unknown>
  bytes?: string
}

const linesOf = (out: string): Line[] =>
  out.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Line]))

const offsetsOf = (lines: readonly Line[]): string[] =>
  lines
    .map(({ attributes }) => `${attributes['kafka.partition']}@${attributes['kafka.offset']}`)
    .sort()

const truthOffsets = (truths: typeof intact): string[] =>
  truths.map(({ partition, offset }) => `${partition}@${offset}`).sort()

test('subscribers beside a running broker get what matches their filter, as it comes', async () => {
  const home = join(dir, 'live')
  const running = startNightjar(['run', '--home', home])
  await running.until(/broker_started/)
  const pure = startNightjar([
    ...['subscribe', 'ztf_exgalac_trans', '--home', home, '--name', 'pure'],
    ...['--filter', 'attributes.is_pure = "1"'],
  ])
  const three = runHere(['subscribe', 'ztf_alert_data', '--home', home, '--max', '3'])
  const made = ['subscribe', 'ztf_exgalac_trans', '--home', home, '--name', 'all', '--max', '0']
  assert.deepEqual(await runHere(made), { out: '', err: '', status: 0 })
  // Its subscription is there once it can be seen.
  while (!/pure/.test((await runHere(['status', '--home', home])).out)) continue
  running.child.kill('SIGINT')
  await running.ended

  assert.equal((await nightjar('run', '--once', '--home', home, '--from', night.from)).status, 0)
  const wanted = transients.filter((truth) => truth.pure)
  assert.ok(wanted.length > 0 && wanted.length < transients.length)
  const found = await three
  assert.equal(found.status, 0)
  assert.equal(linesOf(found.out).length, 3)
  while (linesOf(pure.said().out).length < wanted.length) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  pure.child.kill('SIGINT')
  const { out, status } = await pure.ended
  assert.equal(status, 0)
  assert.deepEqual(offsetsOf(linesOf(out)), truthOffsets(wanted))
  for (const { alert, attributes } of linesOf(out)) {
    assert.equal(alert?.['candid'], attributes['candid'])
    assert.equal((alert?.['candidate'] as { isdiffpos: string }).isdiffpos, 't')
    assert.ok(Object.entries(alert ?? {}).every(([key, v]) => !key.startsWith('cutout') || !v))
  }

  // A named subscription has kept what nobody read.
  const drained = await runHere([
    'subscribe',
    'ztf_exgalac_trans',
    '--home',
    home,
    '--name',
    'all',
    '--drain',
  ])
  assert.equal(drained.status, 0)
  assert.deepEqual(offsetsOf(linesOf(drained.out)), truthOffsets(transients))
  const again = await runHere([
    'subscribe',
    'ztf_exgalac_trans',
    '--home',
    home,
    '--name',
    'all',
    '--drain',
  ])
  assert.equal(again.out, '')
})

test('--max takes so many and leaves the rest, whole and in the subscription', async () => {
  const home = join(dir, 'max')
  const name = ['subscribe', 'ztf_alert_data', '--home', home, '--name', 'parts', '--attributes']
  await runHere([...name, '--max', '0'])
  await nightjar('run', '--once', '--home', home, '--from', night.from)
  const first = linesOf((await runHere([...name, '--max', '7'])).out)
  assert.equal(first.length, 7)
  assert.ok(first.every((line) => line.alert === undefined))
  const rest = linesOf((await runHere([...name, '--drain'])).out)
  const records = night.truths.filter(({ kind }) => kind !== 'gap')
  assert.deepEqual(offsetsOf([...first, ...rest]), truthOffsets(records))
  assert.equal(new Set([...first, ...rest].map(({ id }) => id)).size, records.length)
})

test('what is no alert is printed as what it is: JSON, or bytes', async () => {
  const home = join(dir, 'kinds')
  const ledger = ['subscribe', 'ztf_ledger', '--home', home, '--name', 'l']
  const dead = ['subscribe', 'ztf_dead_letter', '--home', home, '--name', 'd']
  for (const words of [ledger, dead]) await runHere([...words, '--max', '0'])
  await nightjar('run', '--once', '--home', home, '--from', night.from)
  const [event] = linesOf((await runHere([...ledger, '--max', '1'])).out)
  assert.ok(String(event?.data?.['outcome']).length > 0)
  assert.equal(event?.data?.['night'], night.night)
  const letters = linesOf((await runHere([...dead, '--drain'])).out)
  const corrupt = night.truths.filter(({ kind }) => kind.startsWith('corrupt:'))
  assert.equal(letters.length, 3 * corrupt.length)
  for (const { attributes } of letters) {
    assert.match(attributes['dead_letter_reason'] ?? '', /^Cannot /)
    assert.match(attributes['dead_letter_stage'] ?? '', /^(archive|warehouse|exgalac)$/)
  }
})

test('a filter that cannot be read, or a name that stands with another filter, is refused', async () => {
  const home = join(dir, 'refused')
  const words = ['subscribe', 'ztf_alert_data', '--home', home, '--max', '0']
  const bad = await runHere([...words, '--filter', 'attributes.rb > 0.5'])
  assert.equal(bad.out, '')
  assert.match(bad.err, /^nightjar: Cannot [^\n]*filter[^\n]*\n$/)
  assert.equal(bad.status, 1)
  await runHere([...words, '--name', 'n', '--filter', 'attributes:a'])
  const other = await runHere([...words, '--name', 'n', '--filter', 'attributes:b'])
  assert.match(other.err, /^nightjar: Cannot open subscription "n": it stands on another topic or/)
  assert.equal(other.status, 2)
  assert.equal((await runHere([...words, '--name', 'n'])).status, 0)
})
