import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { suite, test } from 'node:test'

import { openDatasets } from '../../cloud/datasets.ts'
import { openTable } from '../../cloud/table.ts'
import { alertColumns } from '../contract/table.ts'
import { runHere } from '../night/harness.ts'
import { skipWithoutBigquery, startBigquery } from './emulators.ts'

const at = ['--cloud', '--project', 'p', '--instance', 'rc1']

test('query --cloud asks for a dry run first, and stops there where it would read too much', async () => {
  const asked: { uri: string; configuration?: { dryRun?: boolean } }[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => (body += String(chunk)))
    request.on('end', () => {
      asked.push({ uri: request.url ?? '', ...(JSON.parse(body || '{}') as object) })
      response.setHeader('content-type', 'application/json')
      const statistics = {
        totalBytesProcessed: '2100000000000',
        query: { statementType: 'SELECT' },
      }
      response.end(JSON.stringify({ statistics }))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const env = { BIGQUERY_EMULATOR_HOST: host, BIGQUERY_STORAGE_EMULATOR_HOST: host }
  try {
    const query = (...words: string[]) => runHere(['query', ...at, ...words, 'SELECT 1'], { env })
    const refused = await query()
    assert.equal(refused.status, 1)
    assert.equal(refused.out, '')
    assert.equal(
      refused.err,
      'nightjar: Cannot run the query: it would read 2.10 TB, and at most 10.0 GB are allowed; ' +
        'name an obs_date and fewer columns, or raise --max-bytes\n',
    )
    assert.deepEqual(await query('--dry-run'), { out: 'reads 2.10 TB\n', err: '', status: 0 })
    assert.equal((await query('--dry-run', '--json')).out, '{"bytes":2100000000000}\n')
    assert.ok(asked.length === 3 && asked.every(({ configuration }) => configuration?.dryRun))
  } finally {
    server.closeAllConnections()
    server.close()
  }
})

test('query bounds what is read in the cloud alone, and understands sizes', async () => {
  const here = await runHere(['query', '--dry-run', 'SELECT 1'])
  assert.equal(here.status, 2)
  assert.match(here.err, /^nightjar: Cannot bound a query here: .* are for --cloud/)
  const size = await runHere(['query', ...at, '--max-bytes', 'much', 'SELECT 1'])
  assert.equal(size.status, 2)
  assert.match(size.err, /Cannot take size "much": write it as 500MB, 10GB or 1TB/)
})

suite('nightjar query --cloud', { skip: skipWithoutBigquery }, () => {
  test('prints what BigQuery answers, and says of what is wrong what to do', async () => {
    const emulator = await startBigquery()
    const { host: rest, grpc } = emulator
    const datasets = openDatasets({ project: 'p', emulator: { rest, grpc } })
    const env = { BIGQUERY_EMULATOR_HOST: rest, BIGQUERY_STORAGE_EMULATOR_HOST: grpc }
    const query = (...words: string[]) => runHere(['query', ...at, ...words], { env })
    try {
      const missing = await query('SELECT objectId FROM alerts')
      assert.equal(missing.status, 1)
      assert.match(missing.err, /^nightjar: Cannot run the query: [^\n]+\n$/)

      const dataset = 'ztf_alerts_rc1'
      await datasets.bigquery.createDataset(dataset)
      const table = await openTable({ datasets, dataset })
      const key = ['objectId', 'candid']
      const shape = { table: 'alerts_v1', view: 'alerts', key, columns: alertColumns }
      const candid = 9_007_199_254_740_993n
      await table.append({ shape, values: { objectId: 'ZTF18a', candid, candidate: { jd: NaN } } })
      await table.close()

      const sql = 'SELECT objectId, candid, candidate.jd FROM alerts'
      const json = await query('--json', sql)
      assert.equal(json.out, '{"objectId":"ZTF18a","candid":"9007199254740993","jd":"NaN"}\n')
      assert.match(json.err, /^reads \d+ [kMG]?B\n$/)
      assert.equal(json.status, 0)
      const csv = await query('--csv', sql)
      assert.equal(csv.out, 'objectId,candid,jd\nZTF18a,9007199254740993,NaN\n')
      const table2 = await query(sql)
      assert.match(table2.out, /9007199254740993/)

      for (const wrong of [
        'SELECT nothing FROM alerts',
        'SELEC 1',
        'DELETE FROM alerts_v1 WHERE TRUE',
      ]) {
        const { out, err, status } = await query(wrong)
        assert.equal(out, '')
        assert.equal(status, 1)
        assert.match(err, /^nightjar: Cannot run the query: [^\n]+\n$/)
      }
      assert.equal((await query('--json', 'SELECT COUNT(*) AS n FROM alerts')).out, '{"n":"1"}\n')
    } finally {
      await datasets.close()
      await emulator.kill()
    }
  })
})
