/** What every answer to the port Table must do. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'

import type { Table } from '../../core/ports.ts'
import type { Column, ColumnType, Row, RowShape } from '../../core/row.ts'

export interface OpenedTable {
  table: Table
  cleanup: () => Promise<void>
}

export interface TableFacts {
  /** How the engine's SQL has a name that is a word of its own. */
  quote: (name: string) => string
  /** How the engine gives an INT32 back; BigQuery has no integer but INT64. */
  int32: (value: number) => number | bigint
}

/** A column of a shape, NULLABLE unless said otherwise. */
export function column(name: string, type: ColumnType, rest: Partial<Column> = {}): Column {
  return { name, type, mode: 'NULLABLE', ...rest }
}

/** Columns of every type there is. */
export const alertColumns: readonly Column[] = [
  column('objectId', 'STRING', { description: "The object's name, as the survey gives it" }),
  column('candid', 'INT64'),
  column('night', 'DATE'),
  column('seen', 'TIMESTAMP'),
  column('good', 'BOOL'),
  column('stamp', 'BYTES'),
  column('candidate', 'RECORD', {
    fields: [
      column('jd', 'FLOAT64'),
      column('magpsf', 'FLOAT32'),
      column('fid', 'INT32'),
      column('isdiffpos', 'STRING'),
    ],
  }),
  column('prv_candidates', 'RECORD', {
    mode: 'REPEATED',
    fields: [column('jd', 'FLOAT64'), column('magpsf', 'FLOAT32'), column('candid', 'INT64')],
  }),
  column('fluxes', 'FLOAT32', { mode: 'REPEATED' }),
]

/** Run the contract against an answer. `open` gives a data set that nobody has written to. */
export function tableContract(
  name: string,
  { quote, int32 }: TableFacts,
  open: () => Promise<OpenedTable>,
): void {
  suite(`${name} keeps the contract of Table`, () => {
    let opened: OpenedTable
    let table: Table
    let count = 0
    before(async () => {
      opened = await open()
      table = opened.table
    })
    after(() => opened.cleanup())

    /** A shape of the test's own, so that tests share a data set and nothing else. */
    function newShape(rest: Partial<RowShape> = {}): RowShape & { view: string } {
      const view = `alerts${++count}`
      const key = ['objectId', 'candid']
      return { table: `${view}_v1`, view, key, columns: alertColumns, ...rest }
    }

    async function rowsOf(sql: string): Promise<Record<string, unknown>[]> {
      const rows = []
      for await (const row of table.query(sql)) rows.push(row)
      return rows
    }

    test('append() resolves "stored" and the row reads as it was given', async () => {
      const shape = newShape()
      const prv_candidates = [
        { jd: 2458000.25, magpsf: 17.5, candid: 9_007_199_254_740_993n },
        { jd: 2458001.25, magpsf: null, candid: null },
      ]
      const candidate = { jd: 2458849.7, magpsf: 18.5, fid: -2, isdiffpos: 't' }
      const values = {
        objectId: 'ZTF18abcdefg',
        candid: 9_223_372_036_854_775_807n,
        night: 18_262,
        seen: 1_577_836_800_000_001n,
        good: true,
        stamp: Uint8Array.from({ length: 20 }, (_, at) => 255 - at * 13),
        candidate,
        prv_candidates,
        fluxes: [1.5, -0.25],
      }
      assert.equal(await table.append({ shape, values }), 'stored')
      const [row] = await rowsOf(`SELECT * FROM ${shape.view}`)
      assert.deepEqual(row, {
        ...values,
        candidate: { ...candidate, fid: int32(candidate.fid) },
        night: '2020-01-01',
        seen: '2020-01-01T00:00:00.000001Z',
      })
    })

    test('append() answers "duplicate" for a key that readers already see', async () => {
      const shape = newShape()
      const row = { shape, values: { objectId: 'a', candid: 1n, good: true } }
      assert.equal(await table.append(row), 'stored')
      const again = { shape, values: { objectId: 'a', candid: 1, good: false } }
      assert.equal(await table.append(again), 'duplicate')
      const other = { shape, values: { objectId: 'b', candid: 1n } }
      assert.equal(await table.append(other), 'stored')
      assert.deepEqual(await rowsOf(`SELECT objectId, good FROM ${shape.view} ORDER BY 1`), [
        { objectId: 'a', good: true },
        { objectId: 'b', good: null },
      ])
    })

    test('append() stores one of the rows of a key that come at once', async () => {
      const shape = newShape()
      const row = { shape, values: { objectId: 'a', candid: 1n } }
      const outcomes = await Promise.all([1, 2, 3].map(() => table.append(row)))
      assert.deepEqual(outcomes.sort(), ['duplicate', 'duplicate', 'stored'])
      assert.deepEqual(await rowsOf(`SELECT COUNT(*) AS n FROM ${shape.view}`), [{ n: 1n }])
    })

    test('append() sees a duplicate in another table of the same view', async () => {
      const shape = newShape()
      const next = { ...shape, table: `${shape.view}_v2` }
      const values = { objectId: 'a', candid: 1n }
      assert.equal(await table.append({ shape, values }), 'stored')
      assert.equal(await table.append({ shape: next, values }), 'duplicate')
    })

    test('append() keeps every row of a shape without key', async () => {
      const { key: _, ...shape } = newShape()
      const row = { shape, values: { objectId: 'a', candid: 1n } }
      assert.equal(await table.append(row), 'stored')
      assert.equal(await table.append(row), 'stored')
      assert.deepEqual(await rowsOf(`SELECT COUNT(*) AS n FROM ${shape.view}`), [{ n: 2n }])
    })

    test('append() keeps NaN, null and numbers apart, and what is missing is null', async () => {
      const shape = newShape()
      const magnitudes = [NaN, null, -999, Infinity, undefined]
      await Promise.all(
        magnitudes.map((magpsf, at) =>
          table.append({ shape, values: { objectId: 'a', candid: at, candidate: { magpsf } } }),
        ),
      )
      await table.append({ shape, values: { objectId: 'a', candid: 5 } })
      const rows = await rowsOf(`SELECT candidate.magpsf AS m FROM ${shape.view} ORDER BY candid`)
      assert.deepEqual(
        rows.map(({ m }) => m),
        [NaN, null, -999, Infinity, null, null],
      )
    })

    test('append() makes an absent array empty, and so it reads', async () => {
      const shape = newShape()
      await table.append({ shape, values: { objectId: 'a', candid: 1, prv_candidates: null } })
      await table.append({ shape, values: { objectId: 'a', candid: 2 } })
      const rows = await rowsOf(`SELECT prv_candidates, fluxes FROM ${shape.view}`)
      assert.deepEqual(rows, Array(2).fill({ prv_candidates: [], fluxes: [] }))
    })

    test('append() adds the columns that a later shape has, and older rows have null', async () => {
      const shape = newShape()
      const added = [
        ...alertColumns.filter(({ name }) => name !== 'candidate' && name !== 'fluxes'),
        column('candidate', 'RECORD', {
          fields: [column('jd', 'FLOAT64'), column('drb', 'FLOAT32')],
        }),
        column('fp_hists', 'RECORD', { mode: 'REPEATED', fields: [column('flux', 'FLOAT32')] }),
        column('note', 'STRING'),
      ]
      const values = { objectId: 'a', candid: 1, candidate: { jd: 1, fid: 2 }, fluxes: [1] }
      await table.append({ shape, values })
      const later = { shape: { ...shape, columns: added }, values: { objectId: 'a', candid: 2 } }
      Object.assign(later.values, { note: 'x', candidate: { drb: 0.5 }, fp_hists: [{ flux: 2 }] })
      assert.equal(await table.append(later), 'stored')
      assert.equal(await table.append({ shape, values: { ...values, candid: 3 } }), 'stored')
      assert.deepEqual(
        await rowsOf(
          `SELECT candidate.fid AS fid, candidate.drb AS drb, fluxes, fp_hists, note
           FROM ${shape.view} ORDER BY candid`,
        ),
        [
          { fid: int32(2), drb: null, fluxes: [1], fp_hists: [], note: null },
          { fid: null, drb: 0.5, fluxes: [], fp_hists: [{ flux: 2 }], note: 'x' },
          { fid: int32(2), drb: null, fluxes: [1], fp_hists: [], note: null },
        ],
      )
    })

    test('append() rejects a row whose key has another type, and stores others', async () => {
      const shape = newShape()
      await table.append({ shape, values: { objectId: 'a', candid: 1 } })
      const columns = [column('objectId', 'STRING'), column('candid', 'STRING')]
      const [conflict, good] = await Promise.allSettled([
        table.append({ shape: { ...shape, columns }, values: { objectId: 'a', candid: '2' } }),
        table.append({ shape, values: { objectId: 'a', candid: 2 } }),
      ])
      assert.equal(good?.status, 'fulfilled')
      assert.equal(conflict?.status, 'rejected')
      assert.equal(conflict.reason.code, 'row_rejected')
      assert.match(conflict.reason.message, /^Cannot store .*candid.*INT64.*STRING/)
    })

    test('append() stores a column beside the one whose type it contradicts, in any table of the view', async () => {
      const shape = newShape()
      const key = [column('objectId', 'STRING'), column('candid', 'INT64')]
      const record = { ...column('mulens', 'RECORD'), fields: [column('ml', 'FLOAT64')] }
      const inner = { ...column('inner', 'RECORD'), fields: [column('x', 'STRING')] }
      const number = { ...column('inner', 'RECORD'), fields: [column('x', 'INT64')] }
      const first = { ...shape, columns: [...key, column('mulens', 'FLOAT64'), inner] }
      const second = { ...shape, columns: [...key, record, number] }
      const third = { ...second, table: `${shape.table}_later` }
      await table.append({
        shape: first,
        values: { objectId: 'a', candid: 1, mulens: 0.5, inner: { x: 'one' } },
      })
      await table.append({
        shape: second,
        values: { objectId: 'a', candid: 2, mulens: { ml: 0.25 }, inner: { x: 2 } },
      })
      await table.append({
        shape: third,
        values: { objectId: 'a', candid: 3, mulens: { ml: 0.75 }, inner: { x: 3 } },
      })
      assert.deepEqual(
        await rowsOf(
          `SELECT mulens, mulens_record.ml AS ml, ${quote('inner')}.x AS x,
             ${quote('inner')}.x_int64 AS y
           FROM ${shape.view} ORDER BY candid`,
        ),
        [
          { mulens: 0.5, ml: null, x: 'one', y: null },
          { mulens: null, ml: 0.25, x: null, y: 2n },
          { mulens: null, ml: 0.75, x: null, y: 3n },
        ],
      )
    })

    test('append() rejects bad rows alone and stores their neighbours', async () => {
      const shape = newShape()
      const bad: Record<number, Record<string, unknown>> = {
        3: { candid: 2n ** 63n },
        20: { candidate: { magpsf: 'bright' } },
        21: { candidate: 7 },
        37: { prv_candidates: [{ jd: 1 }, { jd: '2' }] },
        38: { objectId: null },
      }
      const settled = await Promise.allSettled(
        Array.from({ length: 40 }, (_, at) =>
          table.append({ shape, values: { objectId: 'a', candid: at, ...bad[at] } }),
        ),
      )
      for (const [at, outcome] of settled.entries()) {
        if (at in bad) {
          assert.equal(outcome.status, 'rejected', `row ${at}`)
          assert.equal(outcome.reason.code, 'row_rejected')
          assert.match(outcome.reason.message, /^Cannot store .*[^.]$/)
        } else {
          assert.deepEqual(outcome, { status: 'fulfilled', value: 'stored' })
        }
      }
      assert.deepEqual(await rowsOf(`SELECT COUNT(*) AS n FROM ${shape.view}`), [{ n: 35n }])
    })

    test('append() takes many rows of several shapes at once', async () => {
      const shapes = [newShape(), newShape()]
      const rows: Row[] = Array.from({ length: 3000 }, (_, at) => ({
        shape: shapes[at % 2] as RowShape,
        values: { objectId: `o${at}`, candid: BigInt(at), prv_candidates: [{ jd: at }] },
      }))
      const outcomes = await Promise.all(rows.map((row) => table.append(row)))
      assert.ok(outcomes.every((outcome) => outcome === 'stored'))
      for (const shape of shapes) {
        const [row] = await rowsOf(
          `SELECT COUNT(*) AS n, COUNT(DISTINCT candid) AS d FROM ${shape?.view}`,
        )
        assert.deepEqual(row, { n: 1500n, d: 1500n })
      }
    })

    test('query() reads while rows are appended, and sees whole rows', async () => {
      const shape = newShape()
      await table.append({ shape, values: { objectId: 'a', candid: -1, fluxes: [0, 0] } })
      const appends = Array.from({ length: 500 }, (_, candid) =>
        table.append({ shape, values: { objectId: 'a', candid, fluxes: [candid, candid] } }),
      )
      for (let i = 0; i < 5; i++) {
        const rows = await rowsOf(`SELECT fluxes FROM ${shape.view}`)
        assert.ok(rows.every(({ fluxes }) => Array.isArray(fluxes) && fluxes.length === 2))
      }
      await Promise.all(appends)
      assert.deepEqual(await rowsOf(`SELECT COUNT(*) AS n FROM ${shape.view}`), [{ n: 501n }])
    })

    test('query() refuses what writes and what is wrong, and the table goes on', async () => {
      const shape = newShape()
      await table.append({ shape, values: { objectId: 'a', candid: 1 } })
      for (const sql of [
        `DELETE FROM ${shape.table} WHERE true`,
        `DROP TABLE ${shape.table}`,
        `SELECT 1; SELECT 2`,
        `SELECT nothing_like_it FROM ${shape.view}`,
        `SELEC`,
        '',
      ]) {
        await assert.rejects(rowsOf(sql), { name: 'NightjarError', code: 'input_invalid' }, sql)
      }
      assert.deepEqual(await rowsOf(`SELECT COUNT(*) AS n FROM ${shape.view}`), [{ n: 1n }])
    })

    test('query() may be left before its end', async () => {
      const shape = newShape()
      const appends = Array.from({ length: 5000 }, (_, candid) =>
        table.append({ shape, values: { objectId: 'a', candid } }),
      )
      await Promise.all(appends)
      for await (const row of table.query(`SELECT candid FROM ${shape.view}`)) {
        assert.equal(typeof row['candid'], 'bigint')
        break
      }
      assert.equal(await table.append({ shape, values: { objectId: 'b', candid: 1 } }), 'stored')
    })
  })
}
