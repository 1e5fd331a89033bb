import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, suite, test } from 'node:test'

import type { Table } from '../../core/ports.ts'
import type { RowShape } from '../../core/row.ts'
import { openTable } from '../../local/table.ts'
import { alertColumns, column, tableContract } from '../contract/table.ts'

const folder = mkdtempSync(join(tmpdir(), 'nightjar-table-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const dataset = 'ztf_alerts'
const writer = join(import.meta.dirname, 'table-writer.ts')
let files = 0
const newFile = () => join(folder, `warehouse${++files}.duckdb`)

async function rowsOf(table: Table, sql: string): Promise<Record<string, unknown>[]> {
  const rows = []
  for await (const row of table.query(sql)) rows.push(row)
  return rows
}

tableContract('openTable()', { quote: (name) => `"${name}"`, int32: Number }, async () => {
  const table = await openTable({ file: newFile(), dataset })
  return { table, cleanup: () => table.close() }
})

suite('openTable()', () => {
  test('loses no row that was appended when the process is killed, and has none twice', async () => {
    const file = newFile()
    const child = spawn(process.execPath, [writer, file, '1000000'])
    const promised: number[] = []
    for await (const line of createInterface(child.stdout)) {
      assert.match(line, /^\d+$/)
      if (promised.push(Number(line)) === 3000) child.kill('SIGKILL')
    }
    const table = await openTable({ file, dataset })
    const rows = await rowsOf(table, 'SELECT candid FROM alerts')
    const stored = new Set(rows.map(({ candid }) => Number(candid)))
    assert.equal(rows.length, stored.size)
    assert.deepEqual(
      promised.filter((candid) => !stored.has(candid)),
      [],
    )
    await table.close()
  })

  test('rejects with table_failed while the disk is full, and has all that it promised', async (t) => {
    const disk = join(folder, 'disk')
    mkdirSync(disk)
    const mounted = `mount -t tmpfs -o size=4m tmpfs "$1" && head -c 1000000 /dev/zero > "$1/ballast" &&
      "$2" "$3" "$1/w.duckdb" 100000 "$1/ballast"; echo copied; cp "$1/"* "$4"`
    const kept = join(folder, 'kept')
    mkdirSync(kept)
    const args = ['-m', 'sh', '-c', mounted, 'sh', disk, process.execPath, writer, kept]
    const { stdout, stderr, status } = spawnSync('unshare', args, { encoding: 'utf8' })
    if (status !== 0 || !stdout.includes('copied')) return t.skip('needs the right to mount')

    const lines = stdout.trim().split('\n')
    const promised = lines.filter((line) => /^\d+$/.test(line)).map(Number)
    const failures = lines.filter((line) => line.startsWith('table_failed'))
    assert.ok(promised.length > 0)
    assert.equal(failures.length, 128, stdout.slice(-500) + stderr.slice(-500))
    assert.match(failures[0] ?? '', /^table_failed .*Cannot store rows: [^\n]*No space left/)
    assert.ok(lines.includes('with room again: stored'), stdout.slice(-500))

    const table = await openTable({ file: join(kept, 'w.duckdb'), dataset })
    const rows = await rowsOf(table, 'SELECT candid FROM alerts')
    const stored = new Set(rows.map(({ candid }) => Number(candid)))
    assert.equal(rows.length, stored.size)
    assert.deepEqual(
      promised.filter((candid) => !stored.has(candid)),
      [],
    )
    await table.close()
  })

  test('says that a file cannot be opened: folder missing, no warehouse, held by another', async () => {
    const file = join(folder, 'missing', 'w.duckdb')
    await assert.rejects(openTable({ file, dataset }), {
      code: 'home_unusable',
      message: /^Cannot open the warehouse ".*missing.w\.duckdb": .*No such file/,
    })
    const text = newFile()
    writeFileSync(text, 'not a warehouse, whatever its name')
    await assert.rejects(openTable({ file: text, dataset }), { code: 'home_unusable' })

    const held = newFile()
    const child = spawn(process.execPath, [writer, held, '1000000'])
    await once(child.stdout, 'data')
    await assert.rejects(openTable({ file: held, dataset }), {
      code: 'home_busy',
      message: `Cannot open the warehouse "${held}": process ${child.pid} has it open`,
    })
    child.kill('SIGKILL')
    await once(child, 'close')
  })

  test('cannot open a file in a folder that is only for reading', async (t) => {
    if (process.getuid?.() === 0) return t.skip('root may write everywhere')
    const closed = join(folder, 'closed')
    mkdirSync(closed)
    chmodSync(closed, 0o555)
    await assert.rejects(openTable({ file: join(closed, 'w.duckdb'), dataset }), {
      code: 'home_unusable',
    })
  })

  test('shows the tables of all versions in one view, by the names of fields', async () => {
    const table = await openTable({ file: newFile(), dataset })
    const base = { view: 'alerts', key: ['objectId', 'candid'] }
    const ids = [column('objectId', 'STRING'), column('candid', 'INT64')]
    const record = (...fields: ReturnType<typeof column>[]) =>
      column('candidate', 'RECORD', { fields })
    const v3: RowShape = {
      ...base,
      table: 'alerts_v3_3',
      columns: [...ids, record(column('jd', 'FLOAT64'), column('fid', 'INT32'))],
    }
    const v4: RowShape = {
      ...base,
      table: 'alerts_v4_02',
      columns: [
        ...ids,
        record(column('magpsf', 'FLOAT32'), column('jd', 'FLOAT64')),
        column('fp_hists', 'RECORD', { mode: 'REPEATED', fields: [column('jd', 'FLOAT64')] }),
      ],
    }
    const old = { objectId: 'a', candid: 1, candidate: { jd: 1, fid: 2 } }
    const late = { objectId: 'b', candid: 2, candidate: { jd: 2, magpsf: 0.5 } }
    await table.append({ shape: v3, values: old })
    await table.append({ shape: v4, values: { ...late, fp_hists: [{ jd: 3 }] } })
    for (const view of ['alerts', 'ztf_alerts.alerts', '"ztf_alerts"."alerts"']) {
      assert.deepEqual(await rowsOf(table, `SELECT * FROM ${view} ORDER BY candid`), [
        { ...old, candid: 1n, candidate: { jd: 1, fid: 2, magpsf: null }, fp_hists: [] },
        {
          ...late,
          candid: 2n,
          candidate: { jd: 2, fid: null, magpsf: 0.5 },
          fp_hists: [{ jd: 3 }],
        },
      ])
    }
    await table.close()
  })

  test('has one file open for many data sets, and finds everything when it opens again', async () => {
    const file = newFile()
    const shape: RowShape = { table: 't', view: 'v', key: ['candid'], columns: alertColumns }
    const one = await openTable({ file, dataset: 'ztf_alerts' })
    const two = await openTable({ file, dataset: 'lsst_alerts' })
    const again = await openTable({ file, dataset: 'ztf_alerts' })
    assert.equal(await one.append({ shape, values: { candid: 1 } }), 'stored')
    assert.equal(await two.append({ shape, values: { candid: 1 } }), 'stored')
    assert.equal(await again.append({ shape, values: { candid: 1 } }), 'duplicate')
    await Promise.all([one.close(), two.close(), one.close()])
    assert.deepEqual(await rowsOf(again, 'SELECT COUNT(*) AS n FROM lsst_alerts.v'), [{ n: 1n }])
    const closing = again.close()
    const table = await openTable({ file, dataset: 'lsst_alerts' })
    await closing
    assert.equal(await table.append({ shape, values: { candid: 1 } }), 'duplicate')
    const comments = await rowsOf(
      table,
      `SELECT DISTINCT comment FROM duckdb_columns() WHERE column_name = 'objectId'
       AND table_name = 't'`,
    )
    assert.deepEqual(comments, [{ comment: "The object's name, as the survey gives it" }])
    await table.close()
    await assert.rejects(table.append({ shape, values: { candid: 2 } }), { code: 'table_failed' })
  })

  test('widens a column, and stores the narrow in the wide', async () => {
    const table = await openTable({ file: newFile(), dataset })
    const shape = (type: 'INT32' | 'INT64'): RowShape => ({
      table: 't',
      columns: [column('r', 'RECORD', { mode: 'REPEATED', fields: [column('n', type)] })],
    })
    const narrow = shape('INT32')
    await table.append({ shape: narrow, values: { r: [{ n: 1 }] } })
    await table.append({ shape: shape('INT64'), values: { r: [{ n: 2n ** 40n }] } })
    await table.append({ shape: narrow, values: { r: [{ n: 3 }, null] } })
    assert.deepEqual(await rowsOf(table, 'SELECT r FROM t ORDER BY r[1].n'), [
      { r: [{ n: 1n }] },
      { r: [{ n: 3n }, null] },
      { r: [{ n: 2n ** 40n }] },
    ])
    await table.close()
  })

  test('keeps texts of any length and letter, and bytes', async () => {
    const table = await openTable({ file: newFile(), dataset })
    const columns = [column('n', 'INT32'), column('text', 'STRING'), column('bytes', 'BYTES')]
    const shape: RowShape = { table: 't', columns }
    const texts = [
      '',
      'a',
      'twelve bytes',
      'thirteen byte',
      'é',
      'ééééééé',
      'nul\0',
      '\0',
      '🌌'.repeat(9),
    ]
    const rows = texts.map((text, n) => ({ n, text, bytes: new TextEncoder().encode(text) }))
    await Promise.all(rows.map((values) => table.append({ shape, values })))
    assert.deepEqual(await rowsOf(table, 'SELECT * FROM t ORDER BY n'), rows)
    await table.close()
  })

  test('keeps its memory flat over twenty thousand nested rows', { timeout: 30_000 }, async () => {
    const table = await openTable({ file: newFile(), dataset })
    const numbers = Array.from({ length: 60 }, (_, at) => `f${at}`)
    const fields = numbers.map((name) => column(name, 'FLOAT32'))
    const history = { mode: 'REPEATED', fields } as const
    const shape: RowShape = {
      table: 't',
      key: ['candid'],
      columns: [column('candid', 'INT64'), column('history', 'RECORD', history)],
    }
    const point = Object.fromEntries(numbers.map((name) => [name, Math.random()]))
    const round = async (start: number) => {
      const appends = Array.from({ length: 2500 }, (_, at) =>
        table.append({ shape, values: { candid: start + at, history: Array(20).fill(point) } }),
      )
      await Promise.all(appends)
      return process.memoryUsage.rss() / 1e6
    }
    const after: number[] = []
    for (let i = 0; i < 8; i++) after.push(await round(i * 2500))
    assert.ok(Math.max(...after) < 500, `MB after each 2500 rows: ${after.map(Math.round)}`)
    await table.close()
  })
})
