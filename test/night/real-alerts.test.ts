import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, test } from 'node:test'

import { readAlert, projectAlert, type AlertKey } from '../../schemas/alert.ts'
import { splitContainer } from '../../schemas/container.ts'
import { fixPacket } from '../../schemas/fix.ts'
import { crc32c } from '../../core/crc32c.ts'
import { archiveBesideName, archiveName } from '../../core/names.ts'
import { dataDir, skipWithoutData } from '../data.ts'
import { digestOf } from '../schemas/digest.ts'
import { listSamples, readSample, readSamples } from '../schemas/corpus.ts'
import { nightjar, runHere } from './harness.ts'

const options = { skip: skipWithoutData }
const dir = mkdtempSync(join(tmpdir(), 'nightjar-real-'))
after(() => rmSync(dir, { recursive: true }))
const home = join(dir, 'home')
const topic = 'ztf_20210901_programid1'
const bucket = join(home, 'buckets/local_ztf_alert_avro_bucket')

/** A record of the survey's files as the broker takes it in. */
interface Taken {
  file: string
  offset: number
  data: Uint8Array
  /** Absent where a record says nowhere who it is. */
  key: AlertKey | undefined
}

const taken: Taken[] = []

before(async () => {
  if (options.skip !== false) return
  for (const file of listSamples('ztf')) {
    for (const data of splitContainer(readSample(file))) {
      taken.push({ file, offset: taken.length, data, key: keyOf(data) })
    }
  }
  const { status, err } = await nightjar(
    ...['run', '--once', '--home', home, '--from', resolve(dataDir, 'ztf')],
    ...['--night', '20210901'],
  )
  assert.equal(status, 0, err)
})

function keyOf(data: Uint8Array): AlertKey | undefined {
  try {
    return projectAlert(data)
  } catch {
    return undefined
  }
}

async function query(sql: string): Promise<Record<string, string>[]> {
  const { out, err, status } = await runHere(['query', '--json', '--home', home, sql])
  assert.equal(status, 0, err)
  return out
    .split('\n')
    .flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Record<string, string>]))
}

const idOf = ({ objectId, candid }: { objectId: string; candid: bigint | string }): string =>
  `${objectId} ${candid}`

/** The archived bytes of a record: under its name, or beside it where another has the name. */
function archivedBytes({ data, key }: Taken): Buffer | undefined {
  assert.ok(key)
  const { bytes } = fixPacket(data)
  const names = [
    archiveName(topic, key.objectId, key.candid),
    archiveBesideName(topic, key.objectId, key.candid, crc32c(bytes)),
  ]
  for (const name of names) {
    const found = tryRead(join(bucket, name))
    if (found !== undefined && Buffer.compare(found, bytes) === 0) return found
  }
  return undefined
}

function tryRead(path: string): Buffer | undefined {
  try {
    return readFileSync(path)
  } catch {
    return undefined
  }
}

test('every real ZTF alert is archived with its bytes, and nothing else is', options, async () => {
  const names = new Set<string>()
  for (const record of taken) {
    if (record.key === undefined) continue
    const { bytes } = fixPacket(record.data)
    names.add(`${idOf(record.key)} ${crc32c(bytes)}`)
    assert.ok(archivedBytes(record), `${record.file}, record ${record.offset}`)
  }
  const [objects] = await query(
    `SELECT COUNT(DISTINCT kafka_offset) AS n FROM ledger
     WHERE stage = 'archive' AND outcome = 'stored'`,
  )
  assert.equal(Number(objects?.['n']), names.size)
})

test('every real ZTF alert is in the warehouse once', options, async () => {
  const expected = new Set(taken.flatMap(({ key }) => (key ? [idOf(key)] : [])))
  const rows = await query('SELECT objectId, candid FROM alerts')
  const found = rows.map(({ objectId = '', candid = '' }) => idOf({ objectId, candid }))
  assert.deepEqual(found.sort(), [...expected].sort())
})

test('only the four records without any candid are dead letters', options, async () => {
  const nameless = taken.filter(({ key }) => key === undefined)
  assert.equal(nameless.length, 4)
  assert.ok(nameless.every(({ file }) => file.startsWith('ztf/fink-client')))
  for (const stage of ['archive', 'warehouse', 'exgalac']) {
    const dead = await query(
      `SELECT DISTINCT kafka_offset FROM ledger
       WHERE stage = '${stage}' AND outcome = 'dead_lettered' ORDER BY kafka_offset`,
    )
    assert.deepEqual(
      dead.map(({ kafka_offset: offset }) => Number(offset)),
      nameless.map(({ offset }) => offset),
      stage,
    )
  }
})

test('what is archived reads as independent decoders read the originals', options, () => {
  let files = 0
  for (const { file, digest } of readSamples()) {
    if (!file.startsWith('ztf/')) continue
    const records = taken.filter((record) => record.file === file)
    if (records.some(({ key }) => key === undefined)) continue
    const archived = records.map((record) => archivedBytes(record) as Buffer)
    assert.equal(digestOf(archived.map((bytes) => readAlert(bytes).record)), digest, file)
    files++
  }
  assert.ok(files > 1200, `${files} files`)
})

test('the filter agrees with all of the labelled alerts', options, async () => {
  const folder = 'ztf/mixed-202109-v3.3-pitt-google'
  const text = readFileSync(resolve(dataDir, folder, 'LABELS.tsv'), 'utf8')
  const labels = text
    .trim()
    .split('\n')
    .slice(1)
    .map((row) => row.split('\t') as [string, string])
  assert.equal(labels.length, 50)
  const verdicts = new Map(
    (
      await query(
        `SELECT DISTINCT kafka_offset, outcome, reason FROM ledger WHERE stage = 'exgalac'`,
      )
    ).map((row) => [Number(row['kafka_offset']), row]),
  )
  const disagree = labels.filter(([file, label]) => {
    const record = taken.find((one) => one.file === `${folder}/${file}`)
    assert.ok(record, file)
    const verdict = verdicts.get(record.offset)?.['outcome']
    assert.ok(verdict === 'published' || verdict === 'filtered')
    return (verdict === 'published') !== (label === 'pass')
  })
  assert.deepEqual(disagree, [])
})

test('times, places and numbers of a row are those of the packet', options, async () => {
  // Some alerts are in several folders, as others wrote them anew: the row is of one of them.
  const copies = Map.groupBy(taken, ({ key }) => (key ? idOf(key) : ''))
  const sample = taken.filter(
    ({ file, key }) =>
      /kowalski|boom|fink-simulator/.test(file) && key && copies.get(idOf(key))?.length === 1,
  )
  const rows = new Map(
    (
      await query(
        `SELECT objectId, candid, candidate.jd AS jd, candidate.magpsf AS magpsf,
           candidate.ssdistnr AS ssdistnr, LEN(prv_candidates) AS prv,
           CAST(obs_date AS VARCHAR) AS day, healpix29 FROM alerts`,
      )
    ).map((row) => [idOf({ objectId: row['objectId'] ?? '', candid: row['candid'] ?? '' }), row]),
  )
  assert.ok(sample.length > 500)
  for (const { data, key, file } of sample) {
    const { record } = readAlert(data)
    const candidate = record['candidate'] as Record<string, number | null>
    const row = rows.get(idOf(key as AlertKey)) as unknown as Record<string, unknown>
    assert.equal(row['jd'], candidate['jd'], file)
    assert.equal(row['magpsf'], candidate['magpsf'], file)
    assert.equal(row['ssdistnr'], candidate['ssdistnr'], file)
    assert.equal(Number(row['prv']), (record['prv_candidates'] as unknown[] | null)?.length ?? 0)
    const day = new Date(((candidate['jd'] ?? 0) - 2440587.5) * 86_400_000)
    assert.equal(row['day'], day.toISOString().slice(0, 10))
    assert.match(String(row['healpix29']), /^\d+$/)
  }
})
