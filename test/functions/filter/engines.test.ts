/**
 * One filter, several engines: selectors by chance, on real and simulated alerts, judged in the stream and
 * by DuckDB. `NIGHTJAR_FILTERS` says how many (300).
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, suite, test } from 'node:test'

import { DuckDBInstance } from '@duckdb/node-api'

import { compileSelector } from '../../../control/selector/compile.ts'
import { parseSelector } from '../../../control/selector/parser.ts'
import { selectorSql } from '../../../control/selector/sql.ts'
import { kafkaAttributes } from '../../../core/alert.ts'
import { NightjarError } from '../../../core/errors.ts'
import { alertColumns } from '../../../functions/filter/columns.ts'
import { alertFields, alertVocabulary } from '../../../functions/filter/fields.ts'
import { historyIn, alertView, type AlertView } from '../../../functions/filter/view.ts'
import { createWarehouse } from '../../../functions/warehouse/warehouse.ts'
import { describeTable } from '../../../local/describe.ts'
import { openTable } from '../../../local/table.ts'
import { projectAlert, readAlertWithoutCutouts } from '../../../schemas/alert.ts'
import { splitContainer } from '../../../schemas/container.ts'
import { bundledSchemas } from '../../../schemas/registry.ts'
import { simulateNight } from '../../../simulator/night.ts'
import { createRandom } from '../../../simulator/random.ts'
import { dataDir, skipWithoutData } from '../../data.ts'
import { exampleRecord, packetOf, type Fields } from '../fakes.ts'
import { generateSelector, separation, type KnownName } from '../../control/generate.ts'

const count = Number(process.env['NIGHTJAR_FILTERS'] ?? 300)
const simulated = Number(process.env['NIGHTJAR_FILTER_ALERTS'] ?? 600)

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
    close() {
      connection.closeSync()
      instance.closeSync()
    },
  }
}

/** What observatories do write, and what they might, in the fields that are asked for most. */
function* oddPackets(): Generator<Uint8Array> {
  const odd = [NaN, Infinity, -Infinity, -999, 0, -0, 3.4e38, 1e-45, null, 0.1]
  const example = exampleRecord()
  const candidate = example['candidate'] as Fields
  const names = ['rb', 'drb', 'magpsf', 'ssdistnr', 'distpsnr1', 'classtar', 'jdstarthist', 'scorr']
  for (const [n, value] of odd.entries()) {
    const candid = 9007199254740993n + BigInt(n)
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

suite('a filter has the same verdict in the stream and in DuckDB', () => {
  let alerts: Awaited<ReturnType<typeof openAlerts>>
  const real = skipWithoutData === false
  before(async () => {
    alerts = await openAlerts(
      (function* () {
        if (real) yield* realPackets()
        yield* oddPackets()
        yield* simulatedPackets()
      })(),
    )
  })
  after(() => alerts.close())

  /** Judge selectors on every alert by both; answers what differs. */
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
        if (here === there[i]) return
        const [stream, sql] = [here, there[i]].map((verdict) => words[String(verdict)])
        found.push(`${selectors[i]} on ${id}: ${stream} in the stream, ${sql} in SQL`)
      })
    }
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
    t.diagnostic(`${count} selectors on ${views.size} alerts${real ? '' : ', simulated alone'}`)
  })
})
