import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { inspectCommand } from '../../cli/inspect.ts'
import type { World } from '../../cli/world.ts'
import { encodeContainer } from '../../schemas/encode.ts'
import { readAlert } from '../../schemas/alert.ts'
import { loadZtfSchema } from '../../schemas/registry.ts'
import { simulateNight } from '../../simulator/night.ts'
import { dataDir, skipWithoutData } from '../data.ts'

const dir = mkdtempSync(join(tmpdir(), 'nightjar-inspect-'))
after(() => rmSync(dir, { recursive: true }))

const options = { night: '20261121', alerts: 6, seed: 3, partitions: 1, oldSchemas: 0 }
const calm = { ...options, duplicates: 0, late: 0, corrupt: 0, gaps: 0 }
const packets = [...simulateNight(calm)].map(({ data }) => data as Uint8Array)
const first = packets[0] as Uint8Array

async function inspect(...words: string[]): Promise<{ out: string; err: string; status: number }> {
  const said = { out: '', err: '', status: 0 }
  const world: World = {
    out: (text) => (said.out += text),
    err: (text) => (said.err += text),
    tty: false,
    columns: 80,
    env: {},
    now: () => new Date(0),
    signal: new AbortController().signal,
    exit: (status) => (said.status = status),
  }
  await inspectCommand(world).parseAsync(words, { from: 'user' })
  return said
}

function fileOf(name: string, bytes: Uint8Array): string {
  const path = join(dir, name)
  writeFileSync(path, bytes)
  return path
}

const help = `Usage: inspect [options] <file...>

show what is in alert packets: who, when, how bright, its past, its images

Arguments:
  file             Avro files, or LSST packets in wire format

Options:
  --cutouts <dir>  write science, template and difference images as PNG
  --json           print packets as JSON, one a line; long numbers as text, no cutouts
  -h, --help       display help for command

A file is an Avro container of one or more alerts, or one alert in Confluent wire format (LSST).
The plot shows brightness upward: capital letters are brighter than the reference image, small
ones fainter, ˅ is a limit of what could have been seen, · is forced photometry.

Examples:
  $ nightjar inspect alert.avro                    one alert on one screen
  $ nightjar inspect --cutouts png *.avro          and its images as png/OBJECT-CANDID-science.png, ...
  $ nightjar inspect --json alert.avro | jq .candidate.rb

`

test('--help says what is shown and what the plot means', () => {
  let text = ''
  const command = inspectCommand({} as World).configureOutput({
    writeOut: (part) => (text += part),
    getOutHelpWidth: () => 100,
  })
  command.outputHelp()
  assert.equal(text, help)
})

test('inspect shows who, when, how bright and the past', async () => {
  const { out, err, status } = await inspect(fileOf('one.avro', first))
  const { record } = readAlert(first)
  const lines = out.split('\n')
  assert.equal(lines[0], join(dir, 'one.avro'))
  assert.equal(lines[1], `  ${record['objectId']} ${record['candid']}`)
  assert.match(lines[2] ?? '', /^  packet   version 4\.02, \d+\.\d kB, science 1\d\.\d kB, /)
  assert.match(lines[3] ?? '', /^  schema   \d+\.\d kB in the packet, codec null, legal$/)
  assert.match(lines[4] ?? '', /^  time     2026-11-21 \d\d:\d\d:\d\d UTC, jd 246136\d\.\d{7}$/)
  assert.match(lines[5] ?? '', /^  place    ra .*, dec .* \(\d\d:\d\d:.*\), field \d+, quadrant/)
  assert.match(lines[6] ?? '', /^  light    [gri] \d\d\.\d{3} ± 0\.\d{3}, (brighter|fainter) than/)
  assert.deepEqual([err, status], ['', 0])
})

test('inspect --json prints the packet without cutouts, long numbers as text', async () => {
  const { out } = await inspect('--json', fileOf('two.avro', first))
  const shown = JSON.parse(out) as Record<string, Record<string, unknown>>
  const { record } = readAlert(first)
  assert.equal(shown['candid'] as unknown, String(record['candid']))
  assert.equal(shown['candidate']?.['magpsf'], (record['candidate'] as typeof shown)['magpsf'])
  assert.equal(
    Object.keys(shown).some((name) => name.startsWith('cutout')),
    false,
  )
})

test('inspect --cutouts writes three pictures', async () => {
  const out = join(dir, 'png')
  await inspect('--cutouts', out, fileOf('three.avro', first))
  const { objectId, candid } = readAlert(first).record
  const names = ['difference', 'science', 'template']
  assert.deepEqual(
    readdirSync(out).sort(),
    names.map((name) => `${String(objectId)}-${String(candid)}-${name}.png`),
  )
})

test('inspect shows each record of a container', async () => {
  const records = packets.slice(0, 3).map((packet) => readAlert(packet).record)
  const sync = new Uint8Array(16).fill(9)
  const { text } = loadZtfSchema('4.02')
  const path = fileOf('many.avro', encodeContainer(text, records, { sync }))
  const { out } = await inspect(path)
  for (const [i, { objectId }] of records.entries()) {
    assert.ok(out.includes(`${path} (${i + 1} of 3)\n  ${String(objectId)} `))
  }
})

test('inspect names a broken file and why, shows the others, and ends with 1', async () => {
  const broken = fileOf('broken.avro', first.subarray(0, 40_000))
  const good = fileOf('good.avro', first)
  const { out, err, status } = await inspect(broken, join(dir, 'absent.avro'), good)
  assert.match(err, /^nightjar: .*broken\.avro: Cannot read container: .*\n/)
  assert.match(err, /\nnightjar: .*absent\.avro: Cannot read file: it is not there\n$/)
  assert.ok(out.startsWith(good))
  assert.equal(status, 1)
})

test('inspect counts the illegal defaults of a raw packet', async () => {
  const [old] = [...simulateNight({ ...calm, alerts: 1, oldSchemas: 0.9, seed: 5 })]
  const { out } = await inspect(fileOf('old.avro', old?.data as Uint8Array))
  assert.match(out, /schema   .*codec null, \d+ illegal defaults to be mended/)
})

test('inspect draws SN 2021rhu near maximum', { skip: skipWithoutData }, async () => {
  const folder = 'ztf/sn2021rhu-ZTF21abiuvdk-v3.3-pitt-google'
  const name = 'ZTF21abiuvdk.1670401500815015009.ztf_20210729_programid1.avro'
  const { out } = await inspect(join(dataDir, folder, name))
  assert.deepEqual(out.split('\n').slice(1), [
    '  ZTF21abiuvdk 1670401500815015009',
    '  packet   version 3.3, 73.1 kB, science 14.1 kB, template 14.1 kB, difference 14.9 kB',
    '  schema   23.1 kB in the packet, codec null, legal',
    '  time     2021-07-29 09:38:09 UTC, jd 2459424.9015046',
    '  place    ra 0.814280, dec 16.145682 (00:03:15.43 +16:08:44.5), field 550, quadrant 8',
    '  light    r 13.073 ± 0.029, brighter than the reference, limit 19.73',
    '  scores   rb 0.459, drb 0.999',
    '  PS1      3.83 arcsec away, star or galaxy (score 0.50)',
    '  past     14 detections and 5 limits in 28.0 days',
    '   12 ┤',
    '      │                          R      G    G            R    G',
    '      │                  G                                               G    R',
    '   14 ┤          R',
    '      │',
    '      │',
    '   16 ┤G',
    '      │',
    '      │',
    '   18 ┤',
    '      │',
    '      │',
    '   20 ┤',
    '      │                  ˅              ˅    ˅',
    '      │                                              ˅',
    '      └────────┴───────────┴────────────┴────────────┴───────────┴────────────┴',
    '             -25         -20          -15          -10          -5          0 d',
    '       R G brighter than the reference, ˅ limit',
    '',
    '',
  ])
})

test('inspect reads LSST wire format', { skip: skipWithoutData }, async () => {
  const path = join(dataDir, 'lsst/confluent-wire-format/7912941781254298.avro')
  const { out, status } = await inspect(path)
  assert.match(out, /light    r 23\.675 ± 0\.217, fainter than the reference\n/)
  assert.equal(status, 0)
})
