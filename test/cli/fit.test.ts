import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { simulateNight } from '../../simulator/night.ts'
import { dataDir, skipWithoutData } from '../data.ts'
import { runHere } from '../night/harness.ts'

const dir = mkdtempSync(join(tmpdir(), 'nightjar-fit-'))
after(() => rmSync(dir, { recursive: true }))

/** The richest alert of a supernova in a simulated night. */
function supernova(): { file: string; objectId: string; z: number } {
  let found: { data: Uint8Array; objectId: string; z: number } | undefined
  const night = simulateNight({
    ...{ night: '20261121', alerts: 1500, seed: 'fits', partitions: 1, duplicates: 0 },
    ...{ late: 0, corrupt: 0, oldSchemas: 0, gaps: 0 },
  })
  for (const { truth, data } of night) {
    if (data === undefined || truth.class !== 'supernova-ia' || !truth.extragalactic) continue
    if (data.length <= (found?.data.length ?? 0)) continue
    found = { data, objectId: truth.objectId ?? '', z: truth.source?.['z'] ?? NaN }
  }
  assert.ok(found)
  const file = join(dir, 'alert.avro')
  writeFileSync(file, found.data)
  return { file, objectId: found.objectId, z: found.z }
}

const { file, objectId, z } = supernova()

test('fit says of a packet what was fitted, and how well', async () => {
  const { out, err, status } = await runHere(['fit', file])
  assert.equal(err, '')
  assert.equal(status, 0)
  assert.ok(out.startsWith(`${objectId}   `))
  assert.match(out, /^  z +0\.\d+ ± 0\.\d+, with priors$/m)
  assert.match(out, /^  t0 +MJD \d{5}\.\d+ ± \d\.\d+ \(2026-\d\d-\d\d\)$/m)
  assert.match(out, /^  dust +E\(B−V\) 0\.\d{3} \(\w+\)$/m)
})

test('fit --json is the row of the table, and --z is held', async () => {
  const words = ['fit', file, '--json', '--z', String(z), '--mwebv', '0.02']
  const { out, status } = await runHere(words)
  assert.equal(status, 0)
  const row = JSON.parse(out) as Record<string, unknown>
  assert.deepEqual([row['objectId'], row['z'], row['z_mode']], [objectId, z, 'fixed'])
  assert.deepEqual([row['mwebv'], row['mwebv_source'], row['z_err']], [0.02, 'given', null])
})

test('fit --plot writes PNG and SVG, and nothing else', async () => {
  for (const [name, head] of [
    ['plot.png', '\x89PNG'],
    ['plot.svg', '<svg'],
  ] as const) {
    const path = join(dir, name)
    const { status, err } = await runHere(['fit', file, '--dark', '--plot', path])
    assert.equal(status, 0, err)
    assert.equal(readFileSync(path).subarray(0, 4).toString('latin1'), head)
  }
  const { status, err } = await runHere(['fit', file, '--plot', join(dir, 'plot.gif')])
  assert.equal(status, 2)
  assert.match(err, /^nightjar: Cannot plot into ".*plot\.gif": end it with \.png or \.svg\n$/)
})

test('fit of what is no file and no object is one sentence', async () => {
  const { status, err } = await runHere(['fit', join(dir, 'nothing.avro')])
  assert.equal(status, 1)
  assert.match(err, /^nightjar: Cannot read ".*nothing\.avro": no such file\n$/)
  const strange = await runHere(['fit', file, '--mwebv', 'much'])
  assert.equal(strange.status, 2)
})

test('a home is asked by objectId, and ztf_salt2 is read by people with --fits', async () => {
  const home = join(dir, 'home')
  await runHere(['run', '--once', '--home', home, '--from', file, '--night', '20261121', '--json'])
  const name = ['subscribe', 'ztf_salt2', '--home', home, '--name', 'reader']
  await runHere([...name, '--max', '0'])
  const { out, status, err } = await runHere(['fit', objectId, '--home', home])
  assert.equal(status, 0, err)
  assert.ok(out.startsWith(`${objectId}   `))
  const unknown = await runHere(['fit', 'ZTF26nowhere', '--home', home])
  assert.equal(unknown.status, 1)
  assert.match(unknown.err, /has seen no such object pass the extragalactic filter\n$/)
  // What a subscription of before the run would have got comes again with a replay.
  await runHere(['replay', '--night', '20261121', '--home', home])
  await runHere(['run', '--once', '--home', home])
  const fits = await runHere([...name, '--drain', '--fits'])
  assert.match(
    fits.out,
    new RegExp(`^${objectId} .* z 0\\.\\d{4} ± .* maximum \\d{5}\\.\\d\\d ± .* points\n`),
  )
})

const rhu = join(dataDir, 'ztf/sn2021rhu-ZTF21abiuvdk-v3.3-pitt-google')

test(
  'the alerts of SN 2021rhu are merged into one light curve',
  { skip: skipWithoutData },
  async () => {
    const files = readdirSync(rhu).map((name) => join(rhu, name))
    const { out, status } = await runHere(['fit', ...files, '--z', '0.003506'])
    assert.equal(status, 0)
    assert.match(out, /^ZTF21abiuvdk {3}00 03 15\.43 {2}\+16 08 44\.5$/m)
    assert.match(out, /^ {2}points +30 of 34 \(16 g, 14 r\)/m)
    assert.match(out, /^ {2}t0 +MJD 59410\.5\d ± 0\.1\d \(2021-07-15\)$/m)
  },
)
