/** `nightjar filter test --cloud` beside the same filter on a home that has the same alerts. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'

import { runCommandLine } from '../../cli/main.ts'
import { openDatasets } from '../../cloud/datasets.ts'
import { openTable } from '../../cloud/table.ts'
import { createWarehouse } from '../../functions/warehouse/warehouse.ts'
import { bundledSchemas } from '../../schemas/registry.ts'
import { makeNight, runHere } from '../night/harness.ts'
import { skipWithoutBigquery, startBigquery, type Emulator } from './emulators.ts'

const project = 'tried'
const dataset = 'ztf_alerts'

suite('filter test --cloud', { skip: skipWithoutBigquery }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'nightjar-cloud-filter-'))
  const home = join(dir, 'home')
  let emulator: Emulator & { grpc: string }

  before(async () => {
    const night = makeNight(dir, { alerts: 30, corrupt: 0, duplicates: 0, late: 0 })
    const ran = await runHere(['run', '--once', '--home', home, '--from', night.from])
    assert.equal(ran.status, 0, ran.err)
    emulator = await startBigquery()
    const { host: rest, grpc } = emulator
    const datasets = openDatasets({ project, emulator: { rest, grpc } })
    await datasets.bigquery.createDataset(dataset)
    const table = await openTable({ datasets, dataset, giveUpMs: 60_000 })
    const handle = createWarehouse({ table, schemas: bundledSchemas() })
    const alerts = night.truths.filter(({ kind }) => kind !== 'gap')
    for (const truth of alerts) {
      const attributes = {
        'kafka.topic': night.topic,
        'kafka.partition': String(truth.partition),
        'kafka.offset': String(truth.offset),
        'kafka.timestamp': String(truth.timestamp),
      }
      await handle({ data: night.bytesOf(truth), attributes })
    }
    await table.close()
    await datasets.close()
  })
  after(async () => {
    await emulator.kill()
    rmSync(dir, { recursive: true })
  })

  async function inCloud(
    ...words: string[]
  ): Promise<{ out: string; err: string; status: number }> {
    let out = ''
    let err = ''
    let status = 0
    const ended = await runCommandLine(
      {
        out: (text) => void (out += text),
        err: (text) => void (err += text),
        tty: false,
        columns: 100,
        env: {
          ...process.env,
          BIGQUERY_EMULATOR_HOST: emulator.host,
          BIGQUERY_STORAGE_EMULATOR_HOST: emulator.grpc,
        },
        now: () => new Date(),
        signal: new AbortController().signal,
        exit: (code) => void (status = code),
      },
      ['filter', 'test', ...words, '--cloud', '--project', project],
    )
    return { out, err, status: ended || status }
  }

  test('it finds what the home finds, and tells the price first', async () => {
    const selector = "NOT (magpsf > 19 OR ssdistnr >= 0) AND rb > 0.2 AND isdiffpos IN ('t', '1')"
    const here = await runHere(['filter', 'test', selector, '--json', '--home', home])
    const there = await inCloud(selector, '--json')
    assert.equal(there.status, 0, there.err)
    assert.deepEqual(JSON.parse(there.out), JSON.parse(here.out))
    assert.ok((JSON.parse(there.out) as { selected: number }).selected > 0)
    assert.match(there.err, /^BigQuery reads .* for this, US\$ \d/)
  })

  test('--dry-run tells the price and reads nothing', async () => {
    const { out, err, status } = await inCloud('rb > 0.5', '--dry-run')
    assert.deepEqual([out, status], ['', 0])
    assert.match(err, /^BigQuery reads .* US\$ \d+\.\d{4} \(list price\)\n$/)
  })

  test('a bound on bytes is for the cloud', async () => {
    const here = await runHere(['filter', 'test', 'rb > 0.5', '--max-bytes', '1GB', '--home', home])
    assert.match(here.err, /--dry-run and --max-bytes are for --cloud/)
  })
})
