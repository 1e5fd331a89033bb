import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { gunzipSync } from 'node:zlib'

import { simulateCommand } from '../../cli/simulate.ts'
import type { World } from '../../cli/world.ts'
import { isPermanent, NightjarError } from '../../core/errors.ts'
import { readAlert } from '../../schemas/alert.ts'
import type { Truth } from '../../simulator/truth.ts'
import { untar } from '../simulator/untar.ts'

const dir = mkdtempSync(join(tmpdir(), 'nightjar-simulate-'))
after(() => rmSync(dir, { recursive: true }))

const topic = 'ztf_20261121_programid1'
const trouble = ['--duplicates', '5%', '--late', '.05', '--corrupt', '4%', '--gaps', '3%']

async function simulate(...words: string[]): Promise<{ out: string; status: number }> {
  let out = ''
  let status = 0
  const world: World = {
    out: (text) => (out += text),
    err: () => assert.fail('nothing is said on standard error without a terminal'),
    tty: false,
    columns: 80,
    env: {},
    now: () => new Date(0),
    signal: new AbortController().signal,
    exit: (code) => (status = code),
  }
  await simulateCommand(world).parseAsync(words, { from: 'user' })
  return { out, status }
}

function truthsOf(out: string): Truth[] {
  const lines = readFileSync(join(out, `${topic}.truth.jsonl`), 'utf8').trimEnd()
  return lines.split('\n').map((line) => JSON.parse(line) as Truth)
}

const nameOf = ({ partition, offset }: Truth): string =>
  `${partition}/${String(offset).padStart(12, '0')}.avro`

const help = `Usage: simulate [options]

make a night of synthetic alerts, with the truth beside it

Options:
  --out <dir>        folder to write to; made if it is not there
  --night <date>     UTC date at the beginning of the night (default: "20261121")
  --alerts <n>       how many different alerts (default: 2000)
  --seed <n>         another seed is another sky (default: 1)
  --survey <name>    only ztf so far (default: "ztf")
  --partitions <n>   Kafka partitions, filled in turn (default: 16)
  --duplicates <f>   share sent twice, as replays do (default: 0)
  --late <f>         share that arrives after sunrise (default: 0)
  --corrupt <f>      share that nobody can read: cut, flipped, empty, ... (default: 0)
  --old-schemas <f>  share in schema 3.2 or 3.3, with illegal defaults (default: 0)
  --gaps <f>         share of offsets that Kafka does not have (default: 0)
  --tar              one .tar.gz instead of files
  --json             print the summary as JSON
  -h, --help         display help for command

What is written, for topic ztf_20261121_programid1:
  DIR/ztf_20261121_programid1/PARTITION/OFFSET.avro   one record each, its file time is Kafka's
  DIR/ztf_20261121_programid1.truth.jsonl             what each offset really is: class, fate, physics
  DIR/ztf_20261121_programid1.summary.json            the sums
With --tar the records go to DIR/ztf_20261121_programid1.tar.gz, in order of arrival.

The same options give the same bytes. Numbers may be fractions (0.02) or percents (2%).

Examples:
  $ nightjar simulate --out sky                         2,000 alerts, all well
  $ nightjar simulate --out sky --duplicates 5% --corrupt 1% --gaps 1% --late 2% --old-schemas 10%
  $ nightjar simulate --out sky --alerts 300000 --tar   a whole night, 14 GB

`

test('--help says what is made, where, and how to ask for trouble', () => {
  let text = ''
  const world = {
    out: () => {},
    err: () => {},
    tty: false,
    columns: 80,
    env: {},
  } as unknown as World
  const command = simulateCommand(world).configureOutput({
    writeOut: (part) => (text += part),
    getOutHelpWidth: () => 100,
  })
  command.outputHelp()
  assert.equal(text, help)
})

test('simulate writes a dump with times, the truth of each offset and the sums', async () => {
  const out = join(dir, 'files')
  const { out: said } = await simulate(
    ...['--out', out, '--alerts', '150', '--partitions', '3', '--old-schemas', '0.3', '--json'],
    ...trouble,
  )
  const truths = truthsOf(out)
  for (const truth of truths) {
    const path = join(out, topic, nameOf(truth))
    if (truth.kind === 'gap') {
      assert.throws(() => statSync(path), /ENOENT/)
      continue
    }
    assert.equal(Math.round(statSync(path).mtimeMs), truth.timestamp)
    if (truth.kind.startsWith('corrupt:')) {
      assert.throws(() => readAlert(readFileSync(path)), isPermanent)
      continue
    }
    assert.equal(String(readAlert(readFileSync(path)).record['candid']), truth.candid)
  }
  const files = [0, 1, 2].flatMap((partition) => readdirSync(join(out, topic, String(partition))))
  assert.equal(files.length, truths.filter(({ kind }) => kind !== 'gap').length)

  const summary = JSON.parse(readFileSync(join(out, `${topic}.summary.json`), 'utf8')) as Record<
    string,
    unknown
  >
  assert.deepEqual(JSON.parse(said), summary)
  assert.equal(summary['records'], files.length)
  const intact = truths.filter(({ kind }) => kind === 'alert' || kind === 'late')
  assert.equal(summary['alerts'], intact.length)
  const damaged = truths.filter(({ kind }) => kind.startsWith('corrupt:')).length
  assert.equal(intact.length + damaged, 150)
})

test('simulate --tar holds the same records in order of arrival', async () => {
  const [files, tar] = [join(dir, 'same-files'), join(dir, 'same-tar')]
  const words = ['--alerts', '60', '--seed', '4', ...trouble]
  await simulate('--out', files, ...words)
  await simulate('--out', tar, '--tar', ...words)
  assert.deepEqual(truthsOf(tar), truthsOf(files))

  const expected = truthsOf(files).filter(({ kind }) => kind !== 'gap')
  const members = await untar(gunzipSync(readFileSync(join(tar, `${topic}.tar.gz`))))
  assert.deepEqual(
    members.map(({ name }) => name),
    expected.map((truth) => `${topic}/${nameOf(truth)}`),
  )
  for (const [i, { name, mtime, data }] of members.entries()) {
    assert.deepEqual(data, readFileSync(join(files, name)))
    assert.equal(Number(mtime) * 1000, expected[i]?.timestamp)
  }
})

test('simulate says in four lines what it made', async () => {
  const out = join(dir, 'said')
  const { out: said } = await simulate('--out', out, '--alerts', '20')
  const [records, alerts, odd, when] = said.split('\n') as [string, string, string, string]
  assert.equal(records, `20 records, 1 MB, in ${join(out, topic)}`)
  assert.match(alerts, /^20 alerts, \d+ of them extragalactic transients$/)
  assert.equal(odd, 'nothing went wrong')
  assert.match(when, /^2026-11-21T\d\d:\d\d:\d\dZ to \d\d:\d\d:\d\dZ, made in \d+\.\d s$/)
})

test('simulate does not write over a night', async () => {
  const out = join(dir, 'twice')
  await simulate('--out', out, '--alerts', '2')
  await assert.rejects(simulate('--out', out, '--alerts', '2', '--seed', '2'), (error) => {
    assert.ok(error instanceof NightjarError)
    assert.match(error.message, /^Cannot simulate into ".*programid1": it exists already/)
    return true
  })
})

test('simulate refuses options it cannot mean', async () => {
  const refused = [
    ['--night', '20261131'],
    ['--alerts', '2.5'],
    ['--partitions', '0'],
    ['--gaps', '95%'],
    ['--late', '-0.1'],
    ['--survey', 'lsst'],
  ]
  for (const words of refused) {
    await assert.rejects(simulate('--out', join(dir, 'never'), ...words), (error) => {
      assert.ok(error instanceof NightjarError, String(error))
      return error.code === 'config_invalid'
    })
  }
})
