import assert from 'node:assert/strict'
import { test } from 'node:test'

import { forStageAttribute } from '../../core/alert.ts'
import { NightjarError } from '../../core/errors.ts'
import { createExgalac } from '../../functions/exgalac/exgalac.ts'
import { readAlert } from '../../schemas/alert.ts'
import { fixPacket } from '../../schemas/fix.ts'
import { bundledSchemas } from '../../schemas/registry.ts'
import { cameFrom, exampleRecord, fakeTopic, packetOf, type Fields } from './fakes.ts'

function makeExgalac() {
  const transients = fakeTopic()
  return { transients, exgalac: createExgalac({ transients, schemas: bundledSchemas() }) }
}

const record = exampleRecord()
const candidate = record['candidate'] as Fields
const jd = candidate['jd'] as number
const [template] = (record['prv_candidates'] ?? []) as Fields[]
const detection = (days: number): Fields => ({ ...template, jd: jd - days, isdiffpos: 't' })

/** A packet that passes the filter, pure, with chosen fields of its candidate replaced. */
function transient(fields: Fields = {}): Uint8Array {
  const passing = {
    isdiffpos: 't',
    distpsnr1: 3.5,
    sgscore1: 0.25,
    ssdistnr: -999,
    rb: 0.75,
    nbad: 0,
    fwhm: 2,
    elong: 1.125,
    magdiff: 0,
  }
  return packetOf({
    ...record,
    candidate: { ...candidate, ...passing, ...fields },
    prv_candidates: [detection(4), detection(2)],
  })
}

test('a transient goes on without its cutouts, with attributes to filter by', async () => {
  const { transients, exgalac } = makeExgalac()
  const own = { ...cameFrom(2, 7), objectId: String(record['objectId']) }
  const verdict = await exgalac({ data: transient(), attributes: own })
  const { objectId, candid } = record as { objectId: string; candid: bigint }
  assert.deepEqual(verdict, { outcome: 'published', objectId, candid })
  const [message] = transients.published
  assert.deepEqual(message?.attributes, {
    ...own,
    is_extragalactic_transient: '1',
    is_positive_sub: '1',
    no_pointsource_counterpart: '1',
    not_moving: '1',
    no_ssobject: '1',
    is_pure: '1',
    fid: String(candidate['fid']),
    magpsf: String(candidate['magpsf']),
    ra: String(candidate['ra']),
    dec: String(candidate['dec']),
    rb: '0.75',
    drb: String(candidate['drb']),
    distpsnr1: '3.5',
    sgscore1: '0.25',
  })
  const sent = readAlert(message?.data ?? new Uint8Array()).record
  assert.equal(sent['candid'], candid)
  const cutouts = Object.entries(sent).filter(([name]) => name.startsWith('cutout'))
  assert.ok(cutouts.every(([, value]) => value === null))
})

test('what goes on has a legal schema, whatever its writer had', async () => {
  const { transients, exgalac } = makeExgalac()
  const { record: passing } = readAlert(transient())
  const { fp_hists: _, ...old } = passing
  const data = packetOf({ ...old, schemavsn: '3.3' }, '3.3')
  assert.ok(fixPacket(data).changed > 0)
  assert.equal((await exgalac({ data, attributes: cameFrom(0, 0) })).outcome, 'published')
  const sent = transients.published[0]?.data ?? new Uint8Array()
  assert.equal(fixPacket(sent).changed, 0)
  assert.deepEqual(readAlert(sent).record['candidate'], passing['candidate'])
})

test('an impure transient goes on, and says so', async () => {
  const { transients, exgalac } = makeExgalac()
  await exgalac({ data: transient({ rb: null, magdiff: null }), attributes: cameFrom(0, 0) })
  const attributes = transients.published[0]?.attributes
  assert.equal(attributes?.['is_pure'], '0')
  assert.equal(attributes?.['is_extragalactic_transient'], '1')
  assert.equal('rb' in (attributes ?? {}), false)
})

test('what fails a cut is filtered, and the reason names the cuts', async () => {
  const { transients, exgalac } = makeExgalac()
  const verdict = await exgalac({
    data: transient({ isdiffpos: 'f', ssdistnr: 2 }),
    attributes: cameFrom(0, 0),
  })
  assert.equal(verdict.outcome, 'filtered')
  assert.equal(verdict.reason, 'is_positive_sub, no_ssobject')
  assert.deepEqual(transients.published, [])
})

test('a first detection is judged, not a crash', async () => {
  const { exgalac } = makeExgalac()
  const data = packetOf({ ...record, prv_candidates: null })
  const verdict = await exgalac({ data, attributes: cameFrom(0, 0) })
  assert.equal(verdict.outcome, 'filtered')
  assert.match(verdict.reason ?? '', /not_moving/)
})

test('the mark of a replay for this stage is not passed on', async () => {
  const { transients, exgalac } = makeExgalac()
  const attributes = { ...cameFrom(0, 0), [forStageAttribute]: 'exgalac' }
  await exgalac({ data: transient(), attributes })
  assert.equal(forStageAttribute in (transients.published[0]?.attributes ?? {}), false)
})

test('a transient that could not be published is not called published', async () => {
  const { transients, exgalac } = makeExgalac()
  transients.failures.push(new NightjarError('publish_failed', 'Cannot publish: the disk is full'))
  await assert.rejects(exgalac({ data: transient(), attributes: cameFrom(0, 0) }), {
    code: 'publish_failed',
  })
})
