import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { openDatasets } from '../../cloud/datasets.ts'
import { openTable } from '../../cloud/table.ts'
import type { RowShape } from '../../core/row.ts'
import { column } from '../contract/table.ts'
import { skipWithoutBigquery, startBigquery } from './emulators.ts'

const shape: RowShape = {
  table: 'alerts_v1',
  view: 'alerts',
  key: ['objectId', 'candid'],
  columns: [column('objectId', 'STRING'), column('candid', 'INT64'), column('rb', 'FLOAT32')],
}

suite('BigQuery killed and started again half-way', { skip: skipWithoutBigquery }, () => {
  test('rows that were stored before stay, the write stream is opened anew, and each key is seen once', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'nightjar-bigquery-'))
    const emulator = await startBigquery(folder)
    const { host: rest, grpc } = emulator
    const datasets = openDatasets({ project: 'p', emulator: { rest, grpc } })
    const options = { datasets, dataset: 'd', attemptMs: 3000, giveUpMs: 90_000 }
    try {
      await datasets.bigquery.createDataset('d')
      const table = await openTable(options)
      const append = (candid: number) =>
        table.append({ shape, values: { objectId: 'a', candid, rb: 0.5 } })
      for (let candid = 0; candid < 50; candid++) {
        assert.equal(await append(candid), 'stored')
      }

      let settled = 0
      const flood = Array.from({ length: 3000 }, async (_, at) => {
        await pause(at)
        return append(50 + at).finally(() => settled++)
      })
      const outcomes = Promise.allSettled(flood)
      while (settled < 300) await pause(5)
      await emulator.kill()
      await pause(500)
      await emulator.restart()

      for (const [at, outcome] of (await outcomes).entries()) {
        assert.deepEqual(outcome, { status: 'fulfilled', value: 'stored' }, `row ${50 + at}`)
      }
      await table.close()
      // What was told as failed, or had no answer, is delivered again, to another process for all it knows.
      const again = await openTable(options)
      await Promise.all(
        Array.from({ length: 100 }, (_, candid) =>
          again.append({ shape, values: { objectId: 'a', candid, rb: 0.5 } }),
        ),
      )
      const count = 'SELECT COUNT(*) AS n, COUNT(DISTINCT candid) AS keys FROM alerts'
      for await (const row of again.query(count)) {
        assert.deepEqual(row, { n: 3050n, keys: 3050n })
      }
      await again.close()
    } finally {
      await datasets.close()
      await emulator.kill()
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
