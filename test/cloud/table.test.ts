import { test } from 'node:test'

import { openDatasets } from '../../cloud/datasets.ts'
import { openTable } from '../../cloud/table.ts'
import { tableContract } from '../contract/table.ts'
import { skipWithoutBigquery, startBigquery } from './emulators.ts'

const project = 'contract'
const dataset = 'ztf_alerts'

if (skipWithoutBigquery === false) {
  const quote = (name: string): string => `\`${name}\``
  tableContract('openTable() on the emulator', { quote, int32: BigInt }, async () => {
    const { host, grpc, kill } = await startBigquery()
    const datasets = openDatasets({ project, emulator: { rest: host, grpc } })
    await datasets.bigquery.createDataset(dataset)
    const table = await openTable({ datasets, dataset, giveUpMs: 30_000 })
    return {
      table,
      async cleanup() {
        await table.close()
        await datasets.close()
        await kill()
      },
    }
  })
} else {
  test('the contract of Table on the emulator', { skip: skipWithoutBigquery }, () => {})
}
