import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'

import { forStageAttribute } from '../../../core/alert.ts'
import { fitName, lightCurveName, plotName } from '../../../core/names.ts'
import type { Message, Store, Table, Topic } from '../../../core/ports.ts'
import type { Row } from '../../../core/row.ts'
import type { Surroundings } from '../../../functions/salt2/analysis.ts'
import { openFitter } from '../../../functions/salt2/fitter.ts'
import { parseRecord } from '../../../functions/salt2/record.ts'
import { salt2Shape } from '../../../functions/salt2/row.ts'
import { createSalt2 } from '../../../functions/salt2/salt2.ts'
import { plain, standard, type FitSettings } from '../../../functions/salt2/settings.ts'
import { stampsIn } from '../../../functions/salt2/stamps.ts'
import { projectAlert } from '../../../schemas/alert.ts'
import { bundledSchemas } from '../../../schemas/registry.ts'
import { createRandom } from '../../../simulator/random.ts'
import { simulateNight } from '../../../simulator/night.ts'
import { dataDir, skipWithoutData } from '../../data.ts'
import { cameFrom, fakeStore, fakeTable, fakeTopic, type FakeStore } from '../fakes.ts'

const schemas = bundledSchemas()
const fitter = await openFitter()

interface World {
  store: Store
  table: Table
  fits: Topic
}

interface Made extends World {
  store: FakeStore
  table: Table & { rows: Row[] }
  fits: Topic & { published: Message[] }
}

const makeWorld = (): Made => ({ store: fakeStore(), table: fakeTable(), fits: fakeTopic() })

function makeStage(
  world: World,
  options: { settings?: FitSettings; surroundings?: Surroundings } = {},
) {
  const { settings = standard } = options
  const around = options.surroundings ?? { mwebv: 0.03, mwebvSource: 'given' }
  return createSalt2({
    ...world,
    ...{ schemas, settings, openFitter: async () => fitter },
    surroundings: () => around,
    stamps: async ({ candid }) => stampsIn(packets.get(candid) ?? new Uint8Array(), schemas),
  })
}

const packets = new Map<bigint, Uint8Array>()

/** The alert of a simulated night whose supernova has the most points, and one of a first detection. */
function simulated(): { rich: Buffer; poor: Buffer } {
  let rich: { data: Buffer; size: number } | undefined
  let poor: Buffer | undefined
  const night = simulateNight({
    ...{ night: '20261121', alerts: 1500, seed: 'fits', partitions: 1, duplicates: 0 },
    ...{ late: 0, corrupt: 0, oldSchemas: 0, gaps: 0 },
  })
  for (const { truth, data } of night) {
    if (data === undefined || truth.extragalactic !== true) continue
    const bytes = Buffer.from(data)
    if (truth.class === 'supernova-ia' && bytes.length > (rich?.size ?? 0)) {
      rich = { data: bytes, size: bytes.length }
    }
    if (truth.class !== 'supernova-ia') poor ??= bytes
  }
  assert.ok(rich && poor)
  return { rich: rich.data, poor }
}

const { rich } = simulated()
const id = projectAlert(rich)
packets.set(id.candid, rich)
const here = { ...cameFrom(0, 7), objectId: id.objectId, candid: String(id.candid), is_pure: '1' }

const text = (data: Uint8Array | undefined): string => Buffer.from(data ?? []).toString()

/** Everything that the stage has left, but how often it published. */
function stateOf({ store, table, fits }: Made): unknown {
  return {
    objects: [...store.objects].map(([name, { data }]) => [
      name,
      Buffer.from(data).toString('hex'),
    ]),
    rows: table.rows.map(({ values }) => values),
    messages: [...new Set(fits.published.map((one) => `${text(one.data)} ${JSON.stringify(one)}`))],
  }
}

const originalColumns = [
  ...['objectId', 'candid', 'success', 'ncall', 'chisq', 'ndof'],
  ...['z', 't0', 'x0', 'x1', 'c', 'z_err', 't0_err', 'x0_err', 'x1_err', 'c_err'],
  ...['z', 't0', 'x0', 'x1', 'c'].flatMap((p) =>
    ['z', 't0', 'x0', 'x1', 'c'].map((q) => `${p}_${q}_cov`),
  ),
  'plot_lc_bytes',
]

test('P10: a fit is a row with the 42 columns of the original, by their names, and more', async () => {
  assert.equal(originalColumns.length, 42)
  const names = salt2Shape.columns.map(({ name }) => name)
  assert.deepEqual(names.slice(0, 42), originalColumns)
  assert.equal(new Set(names).size, names.length)
  const world = makeWorld()
  const verdict = await makeStage(world)({ data: rich, attributes: here })
  assert.equal(verdict.outcome, 'stored')
  const values = world.table.rows[0]?.values ?? {}
  assert.deepEqual(Object.keys(values).sort(), [...names].sort())
  assert.equal(values['candid'], id.candid)
  assert.equal(values['success'], 1)
  assert.equal(values['z_mode'], 'priors')
  assert.ok(Number(values['t0_t0_cov']) > 0)
  const near = Number(values['t0_err']) ** 2 / Number(values['t0_t0_cov'])
  assert.ok(Math.abs(near - 1) < 1e-9, 'errors are the roots of the covariance')
  const mirrored = Number(values['z_t0_cov']) / Number(values['t0_z_cov'])
  assert.ok(Math.abs(mirrored - 1) < 1e-9, 'the covariance is symmetric')
  for (const { name, type } of salt2Shape.columns) {
    const value = values[name]
    if (value === null) continue
    const kind = { STRING: 'string', BOOL: 'boolean' }[type as string] ?? 'number'
    assert.equal(typeof value, name === 'candid' ? 'bigint' : kind, name)
    if (type === 'INT64' && typeof value === 'number') assert.ok(Number.isInteger(value), name)
  }
})

test('P11: the light curve with its fit is a PNG and an SVG in salt2/plot_lc/', async () => {
  const { store, ...rest } = makeWorld()
  await makeStage({ store, ...rest })({ data: rich, attributes: here })
  const png = store.objects.get(plotName(id.candid, 'png'))?.data ?? new Uint8Array()
  assert.equal(plotName(id.candid, 'png'), `salt2/plot_lc/candid_${id.candid}.png`)
  assert.equal(Buffer.from(png.subarray(0, 4)).toString('latin1'), '\x89PNG')
  const svg = text(store.objects.get(plotName(id.candid, 'svg'))?.data)
  assert.ok(svg.includes(`>${id.objectId}</text>`))
  assert.equal(svg.match(/<image /g)?.length, 3, 'its three cutouts are in it')
})

test('P12: the message is the row as flat JSON, with attributes to filter by', async () => {
  const { fits, ...rest } = makeWorld()
  const attributes = { ...here, [forStageAttribute]: 'salt2' }
  await makeStage({ fits, ...rest })({ data: rich, attributes })
  const [message] = fits.published
  const row = JSON.parse(text(message?.data)) as Record<string, unknown>
  assert.equal(row['candid'], String(id.candid))
  assert.equal(row['objectId'], id.objectId)
  assert.ok(originalColumns.every((name) => name in row))
  const own = message?.attributes ?? {}
  assert.equal(own['is_pure'], '1', 'what the filter said rides along')
  assert.equal(own['kafka.offset'], '7')
  assert.equal(own[forStageAttribute], undefined, 'the mark of a replay does not')
  assert.equal(own['success'], '1')
  assert.equal(own['z_mode'], 'priors')
  assert.match(own['peak_mag_r'] ?? '', /^\d\d\.\d\d$/)
  assert.match(own['before_maximum'] ?? '', /^[01]$/)
})

test('the same message again does the same, though more is known of the object since', async () => {
  const world = makeWorld()
  const stage = makeStage(world)
  assert.equal((await stage({ data: rich, attributes: here })).outcome, 'stored')
  const before = stateOf(world)
  const curve = lightCurveName(id.objectId)
  const object = world.store.objects.get(curve)
  assert.ok(object)
  const more = text(object.data).replace(
    '"points":[\n',
    '"points":[\n["r","forced",2459000.5,1,9],\n',
  )
  world.store.objects.set(curve, { ...object, data: Buffer.from(more) })
  assert.equal((await stage({ data: rich, attributes: here })).outcome, 'stored')
  world.store.objects.set(curve, object)
  assert.deepEqual(stateOf(world), before)
  assert.equal(world.fits.published.length, 2)
})

test('the same alert from elsewhere is a duplicate and publishes nothing', async () => {
  const world = makeWorld()
  const stage = makeStage(world)
  await stage({ data: rich, attributes: here })
  const before = stateOf(world)
  const verdict = await stage({ data: rich, attributes: { ...here, ...cameFrom(0, 8) } })
  assert.equal(verdict.outcome, 'duplicate')
  assert.deepEqual(stateOf(world), before)
  assert.equal(world.fits.published.length, 1)
})

test('what fails the cuts has a row that says why, no plot and no message', async () => {
  const world = makeWorld()
  const { cuts } = standard
  const settings = { ...standard, cuts: { ...cuts, minDetections: 99, minDetectionsInOneBand: 99 } }
  const verdict = await makeStage(world, { settings })({ data: rich, attributes: here })
  assert.equal(verdict.outcome, 'stored')
  assert.match(verdict.reason ?? '', /^no fit: \d+ of 99 detections$/)
  const values = world.table.rows[0]?.values ?? {}
  assert.equal(values['success'], 0)
  assert.equal(values['reason'], 'failed_cuts')
  assert.equal(`no fit: ${String(values['message'])}`, verdict.reason)
  assert.deepEqual([values['z'], values['chisq'], values['plot_lc']], [null, null, null])
  assert.deepEqual(world.fits.published, [])
  assert.deepEqual(
    [...world.store.objects.keys()].sort(),
    [fitName(id.objectId, id.candid), lightCurveName(id.objectId)].sort(),
  )
})

test('a redshift that is known is held, has no error, and the forecast still goes by priors', async () => {
  const world = makeWorld()
  const surroundings = { mwebv: 0.03, mwebvSource: 'given', z: 0.05 }
  await makeStage(world, { surroundings })({ data: rich, attributes: here })
  const values = world.table.rows[0]?.values ?? {}
  assert.equal(values['z_mode'], 'fixed')
  assert.deepEqual([values['z'], values['z_err'], values['z_z_cov']], [0.05, null, null])
  assert.equal(values['priors'], null)
  assert.equal('z_err' in (world.fits.published[0]?.attributes ?? {}), false)
})

test('wherever a crash comes, before an effect or after, the end is the same and nothing is lost', async () => {
  const whole = makeWorld()
  await makeStage(whole)({ data: rich, attributes: here })
  const expected = stateOf(whole)
  let windows = 0
  for (const when of ['before', 'after'] as const) {
    for (let nth = 1; ; nth++) {
      const world = makeWorld()
      let left = nth
      /** Do an effect, and die at the nth one. */
      const effect = async <T>(work: () => Promise<T>): Promise<T> => {
        const dies = --left === 0
        if (dies && when === 'before') throw new Error('killed')
        const result = await work()
        if (dies) throw new Error('killed')
        return result
      }
      const { store, table, fits } = world
      const stage = makeStage({
        store: {
          ...store,
          create: (...words) => effect(() => store.create(...words)),
          replace: (...words) => effect(() => store.replace(...words)),
        },
        table: { ...table, append: (row) => effect(() => table.append(row)) },
        fits: { ...fits, publish: (message) => effect(() => fits.publish(message)) },
      })
      const first = stage({ data: rich, attributes: here })
      if ((await first.catch(() => 'killed')) !== 'killed') break
      windows++
      const { outcome } = await stage({ data: rich, attributes: here })
      assert.equal(outcome, 'stored', `${when} effect ${nth}`)
      assert.deepEqual(stateOf(world), expected, `${when} effect ${nth}`)
    }
  }
  assert.equal(windows, 12, 'light curve, fit, SVG, PNG, row and message, before and after')
})

test('an effect that fails is an error that passes on, and no ack', async () => {
  const world = makeWorld()
  const stage = makeStage({
    ...world,
    fits: { ...world.fits, publish: () => Promise.reject(new Error('no')) },
  })
  await assert.rejects(stage({ data: rich, attributes: here }), /^Error: no$/)
})

const rhu = join(dataDir, 'ztf/sn2021rhu-ZTF21abiuvdk-v3.3-pitt-google')
const alerts = skipWithoutData
  ? []
  : readdirSync(rhu)
      .map((file) => readFileSync(join(rhu, file)))
      .sort((a, b) => (projectAlert(a).jd ?? 0) - (projectAlert(b).jd ?? 0))

interface ReferenceFit {
  params: Record<'t0' | 'x0' | 'x1' | 'c', number>
  errors: Record<'t0' | 'x0' | 'x1' | 'c', number>
  chisq: number
  error?: string
}

/** sncosmo's fits after each alert, of all points so far, at the redshift of the galaxy. */
function referenceFits(): ReferenceFit[] {
  const file = join(dataDir, 'salt2/reference/ztf21abiuvdk.json.gz')
  const { fits } = JSON.parse(gunzipSync(readFileSync(file)).toString()) as {
    fits: { accumulated: Record<string, ReferenceFit> }[]
  }
  return fits.map(({ accumulated }) => accumulated['zfixed_0.003506'] as ReferenceFit)
}

const asReference = { mwebv: 0.039, mwebvSource: 'given', z: 0.003506 }
const near = { ...plain, name: 'near maximum', phaseRange: [-15, 45] as const }

/** How far a row lies from a reference, in the reference's deviations, at most. */
function distance({ values }: Row, { params, errors }: ReferenceFit): number {
  const names = ['t0', 'x0', 'x1', 'c'] as const
  return Math.max(...names.map((p) => Math.abs(Number(values[p]) - params[p]) / errors[p]))
}

test(
  'the 34 alerts of SN 2021rhu, one after the other, are fitted as sncosmo fits them, or better',
  { skip: skipWithoutData },
  async () => {
    const references = referenceFits()
    const world = makeWorld()
    const stage = makeStage(world, { settings: plain, surroundings: asReference })
    const outcomes: string[] = []
    for (const [offset, data] of alerts.entries()) {
      outcomes.push((await stage({ data, attributes: cameFrom(0, offset) })).outcome)
    }
    assert.deepEqual(outcomes, Array(34).fill('stored'))
    assert.equal(world.fits.published.length, 30, 'the first four are fewer than five detections')
    for (const [i, reference] of references.entries()) {
      const row = world.table.rows[i]
      assert.ok(row)
      // After the fifth alert sncosmo has an error instead of a fit.
      if (i < 4 || reference.error !== undefined) continue
      const better = Number(row.values['chisq']) < reference.chisq - 0.01
      const far = distance(row, reference)
      assert.ok(better || far < 0.03, `after alert ${i + 1}: ${far} deviations`)
    }
  },
)

test(
  'the 34 alerts of SN 2021rhu end at the reference parameters in any order, and repeated',
  { skip: skipWithoutData },
  async () => {
    // The last points lie beyond what the model knows; without them 30 are left, as after alert 30.
    const reference = referenceFits()[29] as ReferenceFit
    let curve: string | undefined
    for (const seed of [0, 1, 2]) {
      const random = createRandom('rhu', seed)
      const order = alerts.map((data, offset) => ({ data, offset }))
      if (seed > 0) {
        order.push(...order.slice(0, 12))
        order.sort(() => random.next() - 0.5)
      }
      const world = makeWorld()
      const stage = makeStage(world, { settings: near, surroundings: asReference })
      for (const { data, offset } of order) await stage({ data, attributes: cameFrom(0, offset) })
      assert.equal(world.table.rows.length, 34, 'one row an alert')
      const last = world.table.rows.at(-1) as Row
      assert.equal(last.values['n_points'], 30)
      assert.ok(distance(last, reference) < 0.03, `${distance(last, reference)} deviations`)
      const stored = text(world.store.objects.get(lightCurveName('ZTF21abiuvdk'))?.data)
      curve ??= stored
      assert.equal(stored, curve, 'the light curve is the same, to the byte')
    }
  },
)

test(
  'for SN 2021rhu the broker, which is told nothing, finds redshift and maximum in time',
  { skip: skipWithoutData },
  async () => {
    const world = makeWorld()
    const stage = makeStage(world)
    for (const [offset, data] of alerts.slice(0, 34).entries()) {
      await stage({ data, attributes: cameFrom(0, offset) })
    }
    const rows = world.table.rows.map(({ values }) => values)
    const forecasts = rows.filter((row) => row['before_maximum'] === true)
    assert.ok(forecasts.length >= 1)
    for (const row of forecasts) {
      const days = Number(row['forecast_mjd']) - 59410.5
      assert.ok(Math.abs(days) < 2 * Number(row['forecast_mjd_err']), `forecast by ${days} days`)
      assert.ok(Number(row['last_mjd']) < Number(row['forecast_mjd']))
    }
    const last = rows.at(-1) ?? {}
    assert.ok(Math.abs(Number(last['z']) - 0.003506) < 0.001, `z ${String(last['z'])}`)
    assert.equal(last['before_maximum'], false)
    assert.equal(last['forecast_mjd'], null)
    const record = parseRecord(
      world.store.objects.get(fitName('ZTF21abiuvdk', last['candid'] as bigint))?.data ??
        new Uint8Array(),
    )
    assert.equal(record.analysis.points.length, 34)
  },
)
