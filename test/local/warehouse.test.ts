import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
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

test('who writes waits for one who only reads, and says who it is where that takes too long', async () => {
  const file = join(dir, 'held.duckdb')
  await (await acquireWarehouse({ file })).release()
  const module = resolve(import.meta.dirname, '../../local/duckdb/warehouse.ts')
  const program = `
    const { acquireWarehouse } = await import(${JSON.stringify(module)})
    await acquireWarehouse({ file: ${JSON.stringify(file)}, readOnly: true })
    console.log('open')
    setInterval(() => {}, 1000)`
  const words = ['--input-type=module', '--eval', program]
  const reader = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(reader.stdout, 'data')
  await assert.rejects(
    acquireWarehouse({ file, patienceMs: 300 }),
    new RegExp(`process ${reader.pid} has it open`),
  )
  const waited = acquireWarehouse({ file, patienceMs: 60_000 })
  setTimeout(() => reader.kill('SIGKILL'), 300)
  await (await waited).release()
})
