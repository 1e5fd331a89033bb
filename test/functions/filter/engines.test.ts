/**
 * One filter, three engines: selectors by chance, on real and simulated alerts, judged in the stream, by
 * DuckDB and by GoogleSQL, which is BigQuery's. `NIGHTJAR_FILTERS` says how many (300).
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, suite, test } from 'node:test'

import { DuckDBInstance } from '@duckdb/node-api'

import { compileSelector } from '../../../control/selector/compile.ts'
import { parseSelector } from '../../../control/selector/parser.ts'
import { selectorSql, type Dialect } from '../../../control/selector/sql.ts'
import { kafkaAttributes } from '../../../core/alert.ts'
import { NightjarError } from '../../../core/errors.ts'
import type { Column } from '../../../core/row.ts'
import { alertColumns } from '../../../functions/filter/columns.ts'
import { alertFields, alertVocabulary, kindOfColumn } from '../../../functions/filter/fields.ts'
import { alertsWithFits, parseFit } from '../../../functions/filter/fits.ts'
import { historyIn, alertView, type AlertView } from '../../../functions/filter/view.ts'
import { salt2Shape } from '../../../functions/salt2/row.ts'
import { createWarehouse } from '../../../functions/warehouse/warehouse.ts'
import { describeTable } from '../../../local/describe.ts'
import { openTable } from '../../../local/table.ts'
import { projectAlert, readAlertWithoutCutouts } from '../../../schemas/alert.ts'
import { splitContainer } from '../../../schemas/container.ts'
import { bundledSchemas } from '../../../schemas/registry.ts'
import { simulateNight } from '../../../simulator/night.ts'
import { createRandom } from '../../../simulator/random.ts'
import { dataDir, skipWithoutData } from '../../data.ts'
import { skipWithoutGoogleSql, startGoogleSql } from '../../cloud/googlesql.ts'
import { exampleRecord, packetOf, type Fields } from '../fakes.ts'
import { generateSelector, separation, type KnownName } from '../../control/generate.ts'

const count = Number(process.env['NIGHTJAR_FILTERS'] ?? 300)
const simulated = Number(process.env['NIGHTJAR_FILTER_ALERTS'] ?? 600)

/** How many of them GoogleSQL is asked of: its reference implementation is made to be right, not fast. */
const googleAlerts = Number(process.env['NIGHTJAR_FILTER_GOOGLE'] ?? 200)

const words: Readonly<Record<string, string>> = { true: 'TRUE', false: 'FALSE', null: 'UNKNOWN' }

/** Alerts in a table of their own and as views, by what identifies them. */
async function openAlerts(packets: Iterable<Uint8Array>) {
  const folder = mkdtempSync(join(tmpdir(), 'nightjar-filter-'))
  const file = join(folder, 'w.duckdb')
  const table = await openTable({ file, dataset: 'ztf_alerts' })
  const warehouse = createWarehouse({ table, schemas: bundledSchemas() })
  const views = new Map<string, AlertView>()
  const pending: Promise<unknown>[] = []
  let offset = 0
  for (const data of packets) {
    const attributes = {
      [kafkaAttributes.topic]: 'ztf_20261121_programid1',
      [kafkaAttributes.partition]: '0',
      [kafkaAttributes.offset]: String(offset++),
    }
    const store = async (): Promise<void> => {
      try {
        const { objectId, candid } = projectAlert(data, bundledSchemas())
        const { outcome } = await warehouse({ data, attributes })
        const view = alertView(readAlertWithoutCutouts(data, bundledSchemas()).record, {
          objectId,
          candid,
        })
        if (outcome === 'stored') views.set(`${objectId} ${candid}`, view)
      } catch (error) {
        if (!(error instanceof NightjarError)) throw error
      }
    }
    pending.push(store())
    if (pending.length % 500 === 0) await Promise.all(pending.splice(0))
  }
  await Promise.all(pending)
  const columns = await describeTable((sql) => table.query(sql), 'ztf_alerts', 'alerts')
  await table.close()
  // The view over a table per schema version, as one table: it is asked again and again.
  const instance = await DuckDBInstance.create(':memory:', { threads: '2' })
  const connection = await instance.connect()
  await connection.run(`ATTACH '${file}' AS w (READ_ONLY)`)
  await connection.run('CREATE TABLE alerts AS SELECT * FROM w.ztf_alerts.alerts')
  await connection.run('DETACH w')
  rmSync(folder, { recursive: true })
  return {
    views,
    columns,
    async rows(sql: string) {
      return (await connection.runAndReadAll(sql)).getRowsJS()
    },
    async run(sql: string) {
      await connection.run(sql)
    },
    async objects(sql: string) {
      return (await connection.runAndReadAll(sql)).getRowObjectsJS()
    },
    close() {
      connection.closeSync()
      instance.closeSync()
    },
  }
}

const firstOdd = 9007199254740993n
const isOdd = (candid: unknown): boolean =>
  typeof candid === 'bigint' && candid >= firstOdd && candid < firstOdd + 10n

/** What observatories do write, and what they might, in the fields that are asked for most. */
function* oddPackets(): Generator<Uint8Array> {
  const odd = [NaN, Infinity, -Infinity, -999, 0, -0, 3.4e38, 1e-45, null, 0.1]
  const example = exampleRecord()
  const candidate = example['candidate'] as Fields
  const names = ['rb', 'drb', 'magpsf', 'ssdistnr', 'distpsnr1', 'classtar', 'jdstarthist', 'scorr']
  for (const [n, value] of odd.entries()) {
    const candid = firstOdd + BigInt(n)
    const changed = Object.fromEntries(
      names.flatMap((name, i) => {
        const own = n < 5 || i % 2 === 0 ? value : (odd[(n + i) % odd.length] ?? null)
        return own === null && name === 'magpsf' ? [] : [[name, own]]
      }),
    )
    const position = n % 2 === 0 ? {} : n % 3 === 1 ? { dec: 90, ra: 360 } : { ra: 0, dec: -90 }
    const own = { ...candidate, ...changed, ...position, candid }
    yield packetOf({ ...example, candid, candidate: own, ...(n === 1 && { prv_candidates: null }) })
  }
}

function* simulatedPackets(): Generator<Uint8Array> {
  const options = { night: '20261121', alerts: simulated, seed: 9, partitions: 2, duplicates: 0.01 }
  const rest = { late: 0, corrupt: 0, oldSchemas: 0.2, gaps: 0 }
  for (const { data } of simulateNight({ ...options, ...rest })) if (data) yield data
}

function* realPackets(): Generator<Uint8Array> {
  const root = resolve(dataDir, 'ztf')
  for (const name of readdirSync(root, { recursive: true, encoding: 'utf8' }).sort()) {
    if (!name.endsWith('.avro')) continue
    try {
      yield* splitContainer(readFileSync(join(root, name)))
    } catch (error) {
      if (!(error instanceof NightjarError)) throw error
    }
  }
}

/** Every name of the survey, some that are no names, and values that they have. */
function namesOf(views: ReadonlyMap<string, AlertView>): KnownName[] {
  const all = [...views.values()]
  const random = createRandom('values')
  const names: KnownName[] = []
  for (const { name, kind, place } of alertFields('ztf').values()) {
    if (place === 'fit') continue
    const values = Array.from({ length: 40 }, () => {
      const view = random.pick(all)
      const found: unknown =
        place === 'history' ? historyIn(view)[name as 'ndet'] : { ...view.top, ...view.main }[name]
      return typeof found === 'string' || typeof found === 'number' || typeof found === 'bigint'
        ? found
        : []
    }).flat()
    const known: KnownName = { name, kind, values: values.slice(0, 12) }
    // What people ask for stands more often.
    const often =
      place === 'history' ||
      /^(rb|drb|magpsf|candid|fid|isdiffpos|ssdistnr|ssnamenr|objectId|ra|dec)$/
    for (
      let i = often === true || (often instanceof RegExp && often.test(name)) ? 8 : 1;
      i > 0;
      i--
    ) {
      names.push(known)
    }
  }
  for (const name of ['nope', 'constructor', '__proto__', 'RB', 'Magpsf']) {
    names.push({ name, kind: 'none', values: [] })
  }
  return names
}

type FitRow = Record<string, string | number | bigint | boolean | null>

/** Fits by chance, with all that a fit may say and more, for some of the alerts; some are no fits. */
function fitsFor(ids: readonly string[]): FitRow[] {
  const random = createRandom('fits')
  const odd = [null, NaN, Infinity, -Infinity, 0, -0, -999, 1e300, 5e-324, 0.1]
  const valueFor = ({ type }: Column): FitRow[string] => {
    if (random.chance(0.15)) return null
    if (type === 'BOOL') return random.chance(0.5)
    if (type === 'INT64') return random.whole(30)
    if (type === 'STRING') return random.pick(['ok', 'failed_cuts', 'free', 'priors', ''])
    return random.chance(0.2) ? random.pick(odd) : Math.fround(random.next() * 4 - 2)
  }
  return ids.map((id) => {
    const [objectId = '', candid = ''] = id.split(' ')
    const row: FitRow = {}
    for (const column of salt2Shape.columns) {
      row[column.name] = column.type === 'BYTES' ? null : valueFor(column)
    }
    const plot_lc = random.chance(0.8) ? `${candid}.png` : null
    return { ...row, objectId, candid: BigInt(candid), plot_lc }
  })
}

/** As the stage `salt2` writes it. */
const messageOf = (row: FitRow): Uint8Array =>
  Buffer.from(
    JSON.stringify(row, (_, value: unknown) => {
      if (typeof value === 'bigint') return String(value)
      return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value
    }),
  )

const duckdbTypes: Readonly<Record<string, string>> = {
  STRING: 'VARCHAR',
  INT64: 'BIGINT',
  FLOAT64: 'DOUBLE',
  BOOL: 'BOOLEAN',
  BYTES: 'BLOB',
}

/** `CREATE TABLE … AS`, for DuckDB. */
function fitTable(rows: readonly FitRow[]): string {
  const quotedText = (value: unknown): string => `'${String(value).replaceAll("'", "''")}'`
  const spelled = (value: FitRow[string] | undefined, type: string): string => {
    const minus = Object.is(value, -0) ? '-0' : value
    return `CAST(${value === null || value === undefined ? 'NULL' : quotedText(minus)} AS ${type})`
  }
  const { columns } = salt2Shape
  const values = rows.map((row) => {
    const cells = columns.map(({ name, type }) => spelled(row[name], duckdbTypes[type] ?? type))
    return `(${cells.join(', ')})`
  })
  const names = columns.map(({ name }) => `"${name}"`).join(', ')
  return `CREATE TABLE salt2 AS SELECT * FROM (VALUES ${values.join(', ')}) AS v(${names})`
}

const said = (verdict: unknown): string => words[String(verdict)] ?? String(verdict)

const difference = (
  ...[selector, id, here, there, engine]: [string | undefined, string, unknown, unknown, string]
): string => `${selector} on ${id}: ${said(here)} in the stream, ${said(there)} in ${engine}`

/** The alerts as BigQuery has them, with the columns that a filter may read; they go over as one message. */
async function openGoogle(alerts: Alerts) {
  const wide = { INT32: 'INT64', FLOAT32: 'FLOAT64' } as const
  const widened = (columns: readonly Column[]): Column[] =>
    columns.map((column) => ({
      ...column,
      type: column.type === 'INT32' || column.type === 'FLOAT32' ? wide[column.type] : column.type,
      ...(column.fields !== undefined && { fields: widened(column.fields) }),
    }))
  const detection = ['jd', 'fid', 'magpsf']
  const columns = widened(alerts.columns).flatMap((column): Column[] => {
    const { name, mode, fields = [] } = column
    if (name === 'candidate') return [column]
    if (name.startsWith('prv_candidates')) {
      return [{ ...column, fields: fields.filter((field) => detection.includes(field.name)) }]
    }
    return mode === 'NULLABLE' && kindOfColumn(column) !== undefined ? [column] : []
  })
  const step = Math.max(1, Math.ceil(alerts.views.size / googleAlerts))
  const all = await alerts.objects('SELECT * FROM alerts ORDER BY candid, objectId')
  const rows = all.filter(({ candid }, i) => i % step === 0 || isOdd(candid))
  const sql = await startGoogleSql()
  await sql.table('alerts', columns, rows)
  const ids = rows.map(({ objectId, candid }) => `${String(objectId)} ${String(candid)}`)
  return { sql, columns, ids }
}

type Alerts = Awaited<ReturnType<typeof openAlerts>>

suite('a filter has the same verdict in the stream, in DuckDB and in BigQuery', () => {
  let alerts: Alerts
  let google: Awaited<ReturnType<typeof openGoogle>> | undefined
  const real = skipWithoutData === false
  before(async () => {
    alerts = await openAlerts(
      (function* () {
        if (real) yield* realPackets()
        yield* oddPackets()
        yield* simulatedPackets()
      })(),
    )
    if (skipWithoutGoogleSql === false) google = await openGoogle(alerts)
  })
  after(async () => {
    alerts.close()
    await google?.sql.close()
  })

  /** Judge selectors on every alert in each engine; answers what differs. */
  async function differences(selectors: readonly string[]): Promise<string[]> {
    const { views, columns } = alerts
    const vocabulary = alertVocabulary('ztf')
    const names = alertColumns('ztf', columns, 'duckdb')
    const trees = selectors.map(parseSelector)
    const compiled = trees.map((tree) => compileSelector(tree, vocabulary))
    const verdicts = trees.map((tree, i) => `${selectorSql(tree, names, 'duckdb')} AS v${i}`)
    const sql = `SELECT objectId, candid, ${verdicts.join(', ')} FROM alerts`
    const found: string[] = []
    const rows = await alerts.rows(sql)
    assert.equal(rows.length, views.size)
    for (const [objectId, candid, ...there] of rows) {
      const id = `${String(objectId)} ${String(candid)}`
      const view = views.get(id)
      assert.ok(view, id)
      compiled.forEach(({ judge, selects }, i) => {
        const here = judge(view)
        assert.equal(selects(view), here === true, selectors[i])
        if (here !== there[i]) found.push(difference(selectors[i], id, here, there[i], 'DuckDB'))
      })
    }
    if (google === undefined) return found
    const { sql: engine, ids, columns: cloud } = google
    const cloudNames = alertColumns('ztf', cloud, 'bigquery')
    const conditions = trees.map((tree) => selectorSql(tree, cloudNames, 'bigquery'))
    const answers = await engine.verdicts('alerts', conditions)
    answers.forEach((there, i) => {
      assert.equal(there.length, ids.length)
      ids.forEach((id, row) => {
        const view = views.get(id)
        assert.ok(view, id)
        const here = compiled[i]?.judge(view)
        if (here === there[row]) return
        found.push(difference(selectors[i], id, here, there[row], 'GoogleSQL'))
      })
    })
    return found
  }

  test('selectors at the rims of what engines do alike', async () => {
    const { views } = alerts
    const [one] = [...views.values()].filter(({ main }) => typeof main['rb'] === 'number')
    const rb = Number(one?.main['rb'])
    const cones = [...views.values()].slice(0, 12).flatMap(({ main: { ra, dec } }) => {
      if (!(Number(ra) >= 0 && Number(ra) <= 360)) return []
      const [at, radius] = [{ ra: Number(ra), dec: Number(dec) }, 0.3]
      const north = { ra: at.ra, dec: Math.min(90, at.dec + radius) }
      return [
        `cone(${north.ra}, ${north.dec}, ${separation(at, north)})`,
        `cone(${at.ra}, ${at.dec}, 0)`,
      ]
    })
    const selectors = [
      'rb > 0.65',
      'NOT rb > 0.65',
      'rb = rb',
      'rb <> rb',
      'rb = drb',
      'rb <> drb',
      'rb >= drb',
      'drb < rb',
      'rb = 1e400',
      'rb > -1e400',
      'rb < 1e400',
      `rb = ${rb}`,
      `rb <= ${rb}`,
      'rb = 0.1',
      'rb = -0.0',
      '0.1 > rb',
      'rb BETWEEN 0 AND 1',
      'rb NOT BETWEEN 0 AND 1',
      'rb IS NULL',
      'NOT (rb IS NULL OR rb > 0)',
      'ssdistnr = -999',
      'ssdistnr < 0 AND NOT magpsf > 18',
      '-rb < 0',
      '+rb = rb',
      'rb / 0 = 1',
      'rb / rb = 1',
      'rb * 1e308 * 10 > 1',
      'rb - rb = 0',
      'magpsf * 3.4e38 * 1e300 > 1',
      'scorr / classtar > 0.5',
      'candid = 9007199254740993',
      'candid = 9007199254740993.0',
      'candid > 9007199254740992.5',
      'candid + 1 > candid',
      'candid * candid > 0',
      'candid - candid = 0',
      'candid / 2 > 1',
      'candid > 9223372036854775808',
      'candid < -9223372036854775809',
      'fid = 1.0',
      'fid * 0.5 = 0.5',
      'fid + rb > 1',
      'fid = isdiffpos',
      "isdiffpos IN ('t', '1')",
      "isdiffpos LIKE '_'",
      "objectId LIKE 'ZTF%'",
      "objectId LIKE '%!_%' ESCAPE '!'",
      "objectId LIKE 'ztf%'",
      'objectId > publisher',
      'objectId < objectId',
      "ssnamenr = 'null'",
      "rb = 'x'",
      'rb',
      'NOT objectId',
      '(rb > 0.5) = (drb > 0.5)',
      '(rb > 0.5) = TRUE',
      '(rb > 0.5) <> (fid = 1) OR nope > 1',
      'ndet > 1',
      'ndet = 1.0',
      'age_days > 3',
      'age_days IS NULL',
      'rise_rate > 0',
      'rise_rate IS NOT NULL',
      'g_r < 0.5',
      'g_r IS NULL',
      'rise_rate * 2 > g_r',
      'cone(0, 90, 180)',
      'cone(0, -90, 90)',
      'cone(0, 90, 0)',
      ...cones,
    ]
    assert.deepEqual((await differences(selectors)).slice(0, 5), [])
  })

  test(`${count} selectors by chance`, async (t) => {
    const { views } = alerts
    const names = namesOf(views)
    const random = createRandom('filters', process.env['NIGHTJAR_SEED'] ?? '1')
    const positions = [...views.values()].flatMap(({ main }) =>
      typeof main['ra'] === 'number' && typeof main['dec'] === 'number'
        ? [{ ra: main['ra'], dec: main['dec'] }]
        : [],
    )
    for (let done = 0; done < count; done += 50) {
      const selectors = Array.from({ length: 50 }, () =>
        generateSelector({ random, names, positions }),
      )
      assert.deepEqual((await differences(selectors)).slice(0, 3), [])
    }
    const there = google === undefined ? 'not asked' : `asked of ${google.ids.length}`
    t.diagnostic(
      `${count} selectors on ${views.size} alerts${real ? '' : ', simulated alone'}; GoogleSQL ${there}`,
    )
  })

  test(`${Math.ceil(count / 3)} selectors on fits by chance`, async (t) => {
    const { views, columns } = alerts
    const ids = google?.ids ?? [...views.keys()].slice(0, googleAlerts)
    const fits = fitsFor(ids)
    await alerts.run(fitTable(fits))
    await google?.sql.table('salt2', salt2Shape.columns, fits)
    const judged = new Map<string, AlertView>()
    for (const [i, row] of fits.entries()) {
      const view = views.get(ids[i] ?? '')
      if (row['plot_lc'] === null || view === undefined) continue
      const { objectId, candid, fields } = parseFit(messageOf(row))
      assert.equal(`${objectId} ${candid}`, ids[i])
      judged.set(ids[i] ?? '', alertView(view.top, view.identity, fields))
    }
    const ofAlerts = namesOf(views)
    const ofFits = [...alertFields('ztf').values()].flatMap(
      ({ name, kind, place }): KnownName[] => {
        const values = fits.flatMap((row) => row[name.replace('salt2_', '')] ?? [])
        const plain = values.filter((value) => typeof value !== 'boolean').slice(0, 12)
        return place === 'fit' ? [{ name, kind, values: plain }] : []
      },
    )
    assert.ok(ofFits.length > 80)
    const random = createRandom('filters on fits', process.env['NIGHTJAR_SEED'] ?? '1')
    const names = [...ofAlerts, ...ofFits, ...ofFits, ...ofFits]
    const selectors = [
      'salt2_z < 0.1 AND rb > 0.5',
      'salt2_mb = salt2_peak_mb',
      'salt2_chi2dof < 1.5',
      'salt2_chi2dof IS NULL',
      'salt2_chisq / salt2_ndof = salt2_chi2dof',
      'NOT salt2_before_maximum',
      'salt2_x1 IS NULL OR salt2_c BETWEEN -0.3 AND 0.3',
      "salt2_reason LIKE 'f%' AND ndet > 0",
      ...Array.from({ length: Math.ceil(count / 3) }, () => generateSelector({ random, names })),
    ]
    const vocabulary = alertVocabulary('ztf')
    for (let done = 0; done < selectors.length; done += 50) {
      const some = selectors.slice(done, done + 50)
      const trees = some.map(parseSelector)
      const compiled = trees.map((tree) => compileSelector(tree, vocabulary))
      const conditions = (dialect: Dialect, own: readonly Column[]): string =>
        trees
          .map((tree, i) => {
            const sql = selectorSql(tree, alertColumns('ztf', own, dialect), dialect)
            return `, (${sql}) AS c${i}`
          })
          .join('')
      const from = `FROM ${alertsWithFits}`
      const there = await alerts.objects(
        `SELECT objectId, candid${conditions('duckdb', columns)} ${from}`,
      )
      const engines: [string, Record<string, unknown>[]][] = [['DuckDB', there]]
      if (google !== undefined) {
        const sql = `SELECT objectId, candid${conditions('bigquery', google.columns)} ${from}`
        engines.push(['GoogleSQL', await google.sql.query(sql)])
      }
      const found: string[] = []
      for (const [engine, rows] of engines) {
        assert.equal(rows.length, judged.size, engine)
        for (const row of rows) {
          const id = `${String(row['objectId'])} ${String(row['candid'])}`
          const view = judged.get(id)
          assert.ok(view, id)
          compiled.forEach(({ judge }, i) => {
            const [here, said] = [judge(view), row[`c${i}`]]
            if (here !== said) found.push(difference(some[i], id, here, said, engine))
          })
        }
      }
      assert.deepEqual(found.slice(0, 3), [])
    }
    t.diagnostic(`${selectors.length} selectors on ${judged.size} fits`)
  })
})
