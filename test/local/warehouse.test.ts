import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, test } from 'node:test'

import { readRows } from '../../local/duckdb/reader.ts'
import { acquireWarehouse } from '../../local/duckdb/warehouse.ts'

const dir = mkdtempSync(join(tmpdir(), 'nightjar-warehouse-'))
after(() => rmSync(dir, { recursive: true }))

/** What another process meets that opens the file to write. */
function openElsewhere(file: string): string {
  const module = resolve(import.meta.dirname, '../../local/duckdb/warehouse.ts')
  const program = `
    const { acquireWarehouse } = await import(${JSON.stringify(module)})
    await acquireWarehouse({ file: ${JSON.stringify(file)} }).then(
      async (warehouse) => { await warehouse.release(); console.log('open') },
      (error) => console.log(error.message),
    )`
  const words = ['--input-type=module', '--eval', program]
  return spawnSync(process.execPath, words, { encoding: 'utf8' }).stdout.trim()
}

test('the file is free for another process at once, though a query was left before its end', async () => {
  const file = join(dir, 'left.duckdb')
  const made = await acquireWarehouse({ file })
  await made.exclusive((connection) =>
    connection.run('CREATE SCHEMA d; CREATE TABLE d.t AS SELECT range AS i FROM range(100000)'),
  )
  await made.release()
  for (const readOnly of [true, false, true]) {
    const warehouse = await acquireWarehouse({ file, readOnly })
    for await (const row of readRows(warehouse, 'd', 'SELECT i FROM t')) {
      assert.ok('i' in row)
      break
    }
    await warehouse.release()
    assert.equal(openElsewhere(file), 'open')
  }
})
