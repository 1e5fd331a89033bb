import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { openTable } from '../../local/table.ts'
import { tableContract } from '../contract/table.ts'

tableContract('openTable()', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'nightjar-table-'))
  const table = await openTable({ file: join(folder, 'warehouse.duckdb'), dataset: 'ztf_alerts' })
  return {
    table,
    async cleanup() {
      await table.close()
      rmSync(folder, { recursive: true })
    },
  }
})
