import assert from 'node:assert/strict'
import { after, afterEach, before, suite, test } from 'node:test'

import { openDatasets, type Datasets } from '../../cloud/datasets.ts'
import { openTable } from '../../cloud/table.ts'
import type { Table } from '../../core/ports.ts'
import type { RowShape } from '../../core/row.ts'
import { alertColumns, column } from '../contract/table.ts'
import { startBigqueryDouble, type BigqueryDouble } from './doubles/bigquery.ts'
import { status } from './doubles/grpc.ts'

suite('openTable() on a BigQuery as strict as its documentation', () => {
  let double: BigqueryDouble
  let datasets: Datasets
  let table: Table
  let count = 0
  const open = (rest: object = {}): Promise<Table> =>
    openTable({ datasets, dataset: 'd', attemptMs: 2000, giveUpMs: 30_000, ...rest })
  before(async () => {
    double = await startBigqueryDouble()
    datasets = openDatasets({
      project: 'p',
      emulator: { rest: double.rest, grpc: double.grpc },
    })
    table = await open()
  })
  after(async () => {
    await table.close()
    await datasets.close()
    double.stop()
  })
  afterEach(() => {
    double.fault = () => undefined
    double.restFault = () => undefined
    double.hasDataset = true
    double.appends.length = 0
  })

  function newShape(rest: Partial<RowShape> = {}): RowShape {
    const view = `alerts${++count}`
    return {
      table: `${view}_v1`,
      view,
      key: ['objectId', 'candid'],
      columns: alertColumns,
      ...rest,
    }
  }
  const alert = (candid: number | bigint, rest: object = {}): Record<string, unknown> => ({
    objectId: 'ZTF18abcdefg',
    candid,
    ...rest,
  })

  test('append() sends every value exactly', async () => {
    const shape = newShape()
    const magpsf = Math.fround(0.1)
    const stamp = Uint8Array.from({ length: 300 }, (_, at) => at)
    await table.append({
      shape,
      values: {
        objectId: 'ZTF ☄ 𝛼',
        candid: -9_223_372_036_854_775_808n,
        night: -719_162,
        seen: 253_402_300_799_999_999n,
        good: false,
        stamp,
        candidate: { jd: -0, magpsf, fid: -2_147_483_648, isdiffpos: '' },
        prv_candidates: [{ jd: NaN, candid: 9_007_199_254_740_993n }, {}, { magpsf: Infinity }],
        fluxes: [0, -1.5, 3.4028234663852886e38],
      },
    })
    const [row] = double.rows.get(shape.table) ?? []
    const { nightjar_stored_at: at, ...values } = row ?? {}
    assert.ok(Math.abs(Number(at) / 1000 - Date.now()) < 60_000)
    assert.deepEqual(
      { ...values, stamp: Uint8Array.from(values['stamp'] as Uint8Array) },
      {
        objectId: 'ZTF ☄ 𝛼',
        candid: '-9223372036854775808',
        night: -719_162,
        seen: '253402300799999999',
        good: false,
        stamp,
        candidate: { jd: -0, magpsf, fid: '-2147483648', isdiffpos: '' },
        prv_candidates: [{ jd: NaN, candid: '9007199254740993' }, {}, { magpsf: Infinity }],
        fluxes: [0, -1.5, 3.4028234663852886e38],
      },
    )
  })

  test('append() leaves null out and sends records of every length', async () => {
    const shape = newShape()
    // Lengths around where the length of a nested record takes one byte more.
    const lengths = [0, 1, 100, 120, 124, 125, 126, 127, 128, 16_370, 16_384, 70_000, 2_100_000]
    for (const [at, length] of lengths.entries()) {
      const candidate = { jd: null, isdiffpos: 'x'.repeat(length) }
      await table.append({ shape, values: alert(at, { candidate, night: null }) })
    }
    for (const [at, row] of (double.rows.get(shape.table) ?? []).entries()) {
      assert.deepEqual(row['candidate'], { isdiffpos: 'x'.repeat(lengths[at] ?? -1) })
      assert.ok(!('night' in row))
      assert.deepEqual(row['fluxes'], [])
    }
  })

  test('append() makes a table by night, clustered by object and place', async () => {
    const shape = newShape({
      columns: [
        ...alertColumns.filter(({ name }) => name !== 'night'),
        column('obs_date', 'DATE'),
        column('healpix29', 'INT64'),
      ],
    })
    await table.append({ shape, values: alert(1) })
    const made = double.tables.get(shape.table)
    assert.equal(made?.timePartitioning?.field, 'obs_date')
    assert.deepEqual(made?.clustering?.fields, ['objectId', 'healpix29', 'candid'])
    assert.equal(made?.schema.fields[0]?.description, alertColumns[0]?.description)
    const view = double.tables.get(shape.view ?? '')?.view?.query ?? ''
    assert.match(view, /PARTITION BY `objectId`, `candid`, `obs_date` ORDER BY/)
    assert.doesNotMatch(view.split('FROM')[0] ?? '', /nightjar_stored_at/)
  })

  test('append() rejects alone what BigQuery refuses, and stores the rest once', async () => {
    const shape = newShape()
    const bad = new Set([7, 50, 99])
    const settled = await Promise.allSettled(
      Array.from({ length: 100 }, (_, at) =>
        table.append({ shape, values: alert(at, { night: bad.has(at) ? 3_000_000 : 1 }) }),
      ),
    )
    for (const [at, outcome] of settled.entries()) {
      if (!bad.has(at)) assert.equal(outcome.status, 'fulfilled', `row ${at}`)
      else {
        assert.equal(outcome.status, 'rejected')
        assert.equal(outcome.reason.code, 'row_rejected')
        assert.match(
          outcome.reason.message,
          /^Cannot store the row in .*BigQuery refuses it: .*3000000.*[^.]$/,
        )
      }
    }
    assert.equal(double.rows.get(shape.table)?.length, 97)
  })

  test('append() keeps requests below 10 MB, and refuses a row that is larger by itself', async () => {
    const shape = newShape()
    // An append that is answered late comes again, and the double counts it twice.
    const patient = await open({ attemptMs: 20_000, giveUpMs: 20_000 })
    const stamp = new Uint8Array(900_000)
    const rows = Array.from({ length: 30 }, (_, at) =>
      patient.append({ shape, values: alert(at, { stamp }) }),
    )
    const huge = patient.append({
      shape,
      values: alert(99, { stamp: new Uint8Array(10_000_000) }),
    })
    await assert.rejects(huge, { code: 'row_rejected', message: /at most \d+ are taken/ })
    await Promise.all(rows)
    assert.ok(double.appends.every(({ bytes }) => bytes < 10_000_000))
    assert.ok(double.appends.length < 30)
    assert.equal(double.rows.get(shape.table)?.length, 30)
    await patient.close()
  })

  test('append() gives the next of a key its turn when the first one fails', async () => {
    const shape = newShape()
    const [first, second] = await Promise.allSettled([
      table.append({ shape, values: alert(1, { night: 3_000_000 }) }),
      table.append({ shape, values: alert(1, { night: 1 }) }),
    ])
    assert.equal(first?.status, 'rejected')
    assert.deepEqual(second, { status: 'fulfilled', value: 'stored' })
  })

  const retried: [string, () => ReturnType<BigqueryDouble['fault']>][] = [
    ['UNAVAILABLE', () => ({ error: status(14, 'later') })],
    ['RESOURCE_EXHAUSTED', () => ({ error: status(8, 'Exceeds quota') })],
    ['a stream that breaks off', () => ({ end: status(14, 'connection reset') })],
    ['no answer', () => 'silence'],
  ]
  for (const [what, fault] of retried) {
    test(`append() tries again after ${what}`, async () => {
      const shape = newShape()
      let left = 2
      double.fault = () => (left-- > 0 ? fault() : undefined)
      assert.equal(await table.append({ shape, values: alert(1) }), 'stored')
      assert.equal(double.rows.get(shape.table)?.length, 1)
    })
  }

  const told: [string, () => void, RegExp][] = [
    [
      'it is forbidden',
      () => (double.fault = () => ({ end: status(7, "Permission 'TABLES_UPDATE_DATA' denied") })),
      /may not; grant it roles\/bigquery\.dataEditor on table/,
    ],
    [
      'a quota is used up',
      () => (double.fault = () => ({ error: status(8, 'Exceeds quota') })),
      /a quota of project "p" is used up/,
    ],
    [
      'nobody answers',
      () => (double.fault = () => 'silence'),
      /does not answer; it is tried again \(no answer/,
    ],
    [
      'the data set is missing',
      () => (double.hasDataset = false),
      /project "p" has no data set "d"; make it/,
    ],
    [
      'tables may not be made',
      () =>
        (double.restFault = () => ({
          status: 403,
          reason: 'accessDenied',
          message: 'Access Denied: Dataset p:d',
        })),
      /may not; grant it roles\/bigquery\.dataEditor on data set "d"/,
    ],
    [
      'the schema has not reached the writers yet',
      () =>
        (double.fault = () => ({
          error: status(3, "Input schema has more fields than BigQuery schema, extra fields: 'x'"),
        })),
      /more fields than/,
    ],
  ]
  for (const [what, arrange, remedy] of told) {
    test(`append() says that ${what}, promises nothing, and stores it later`, async () => {
      const shape = newShape()
      arrange()
      const hasty = await open({ attemptMs: 500, giveUpMs: 1500 })
      const refused = hasty.append({ shape, values: alert(1) })
      await assert.rejects(refused, (error: Error & { code?: string }) => {
        assert.equal(error.code, 'table_failed')
        assert.match(error.message, /^Cannot (store rows in|make) table .+[^.]$/)
        assert.match(error.message, remedy)
        return true
      })
      double.fault = () => undefined
      double.restFault = () => undefined
      double.hasDataset = true
      assert.equal(await table.append({ shape, values: alert(1) }), 'stored')
      await hasty.close()
    })
  }

  test('append() makes a table again that was dropped under it', async () => {
    const shape = newShape()
    await table.append({ shape, values: alert(1) })
    double.tables.delete(shape.table)
    await assert.rejects(table.append({ shape, values: alert(2) }), {
      code: 'table_failed',
      message: /has no table/,
    })
    assert.equal(await table.append({ shape, values: alert(2) }), 'stored')
  })

  test('two writers that add columns at once lose none of them', async () => {
    const shape = newShape()
    const other = await open()
    await table.append({ shape, values: alert(1) })
    await other.append({ shape, values: alert(2) })
    const grown = (name: string): RowShape => ({
      ...shape,
      columns: [...alertColumns, column(name, 'STRING')],
    })
    await Promise.all([
      table.append({ shape: grown('left'), values: alert(3, { left: 'l' }) }),
      other.append({ shape: grown('right'), values: alert(4, { right: 'r' }) }),
    ])
    const names = double.tables.get(shape.table)?.schema.fields.map(({ name }) => name)
    assert.ok(names?.includes('left') && names.includes('right'), String(names))
    assert.equal(double.rows.get(shape.table)?.length, 4)
    await other.close()
  })

  test('another process takes a stored key for stored, and the view shows it once', async () => {
    const shape = newShape()
    const other = await open()
    assert.equal(await table.append({ shape, values: alert(1) }), 'stored')
    assert.equal(await table.append({ shape, values: alert(1) }), 'duplicate')
    assert.equal(await other.append({ shape, values: alert(1) }), 'stored')
    assert.match(double.tables.get(shape.view ?? '')?.view?.query ?? '', /QUALIFY ROW_NUMBER\(\)/)
    await other.close()
  })

  test('append() remembers a bounded number of keys', async () => {
    const shape = newShape()
    const short = await open({ rememberedKeys: 10 })
    for (let at = 0; at < 12; at++) await short.append({ shape, values: alert(at) })
    assert.equal(await short.append({ shape, values: alert(11) }), 'duplicate')
    assert.equal(await short.append({ shape, values: alert(0) }), 'stored')
    await short.close()
  })

  test('query() says that it is forbidden, and what to grant', async () => {
    double.restFault = () => ({ status: 403, reason: 'accessDenied', message: 'Access Denied' })
    await assert.rejects(
      async () => {
        for await (const _ of table.query('SELECT 1'));
      },
      { code: 'table_failed', message: /may not; grant it roles\/bigquery\.dataViewer and roles/ },
    )
  })

  test('close() stores what waits, and nothing is taken after it', async () => {
    const shape = newShape()
    const other = await open({ lingerMs: 500 })
    const appended = other.append({ shape, values: alert(1) })
    await other.close()
    assert.equal(await appended, 'stored')
    await assert.rejects(other.append({ shape, values: alert(2) }), { code: 'table_failed' })
  })
})
