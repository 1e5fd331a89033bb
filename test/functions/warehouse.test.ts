import assert from 'node:assert/strict'
import { test } from 'node:test'

import { healpix29 } from '../../core/healpix.ts'
import { createWarehouse } from '../../functions/warehouse/warehouse.ts'
import { bundledSchemas } from '../../schemas/registry.ts'
import { cameFrom, exampleRecord, fakeTable, packetOf, type Fields } from './fakes.ts'

function makeWarehouse() {
  const table = fakeTable()
  return { table, warehouse: createWarehouse({ table, schemas: bundledSchemas() }) }
}

const record = exampleRecord()
const candidate = record['candidate'] as Fields

test('a row has all fields but the cutouts, exactly as the packet has them', async () => {
  const { table, warehouse } = makeWarehouse()
  await warehouse({ data: packetOf(record), attributes: cameFrom(3, 12) })
  const [row] = table.rows
  assert.equal(row?.shape.table, 'alerts_v4_02')
  assert.equal(row?.shape.view, 'alerts')
  assert.deepEqual(row?.shape.key, ['objectId', 'candid'])
  assert.equal(row?.values['candid'], record['candid'])
  assert.deepEqual(row?.values['candidate'], candidate)
  assert.deepEqual(row?.values['prv_candidates'], record['prv_candidates'])
  assert.deepEqual(row?.values['fp_hists'], record['fp_hists'])
  const names = row?.shape.columns.map(({ name }) => name) ?? []
  assert.equal(names.filter((name) => name.startsWith('cutout')).length, 0)
  assert.equal(new Set(names).size, names.length)
})

test('a row says when, where on the sky and where in Kafka', async () => {
  const { table, warehouse } = makeWarehouse()
  // 2026-11-22T00:30Z, and half an hour earlier: the UTC date changes between them.
  const later = { ...record, candidate: { ...candidate, jd: 2461366.5 + 0.5 / 24 } }
  const earlier = {
    ...record,
    candid: 1n,
    candidate: { ...candidate, candid: 1n, jd: 2461366.5 - 0.5 / 24 },
  }
  await warehouse({ data: packetOf(later), attributes: cameFrom(3, 12) })
  await warehouse({ data: packetOf(earlier), attributes: cameFrom(3, 13) })
  const [row, before] = table.rows.map(({ values }) => values)
  const day = Date.UTC(2026, 10, 22) / 86_400_000
  assert.equal(row?.['obs_date'], day)
  assert.equal(before?.['obs_date'], day - 1)
  assert.equal(row?.['healpix29'], healpix29(candidate['ra'] as number, candidate['dec'] as number))
  assert.equal(row?.['kafka_topic'], 'ztf_20261121_programid1')
  assert.equal(row?.['kafka_partition'], 3)
  assert.equal(row?.['kafka_offset'], 12n)
  assert.equal(row?.['kafka_timestamp'], 1795226862123000n)
})

test('a first detection, whose history is null, gets in', async () => {
  const { table, warehouse } = makeWarehouse()
  const first = { ...record, prv_candidates: null, fp_hists: null }
  const verdict = await warehouse({ data: packetOf(first), attributes: cameFrom(0, 0) })
  assert.equal(verdict.outcome, 'stored')
  const history = table.rows[0]?.shape.columns.find(({ name }) => name === 'prv_candidates')
  assert.equal(history?.mode, 'REPEATED')
  assert.equal(table.rows[0]?.values['prv_candidates'] ?? null, null)
})

test('an alert that does not say where or when is still a row, with what it does say', async () => {
  const { table, warehouse } = makeWarehouse()
  const odd = [
    { ra: NaN },
    { dec: NaN },
    { ra: -999, dec: -999 },
    { jd: NaN },
    { jd: 0 },
    { jd: -999 },
  ]
  for (const [at, fields] of odd.entries()) {
    const candid = BigInt(at + 1)
    const packet = { ...record, candid, candidate: { ...candidate, candid, ...fields } }
    const verdict = await warehouse({ data: packetOf(packet), attributes: cameFrom(0, at) })
    assert.equal(verdict.outcome, 'stored')
    const values = table.rows.at(-1)?.values ?? {}
    assert.equal(values['healpix29'] === null, !('jd' in fields))
    assert.equal(values['obs_date'] === null, 'jd' in fields)
    const stored = values['candidate'] as Fields
    for (const [name, value] of Object.entries(fields)) assert.equal(stored[name], value, name)
  }
})

test('NaN, null, -999 and absent stay what they are', async () => {
  const { table, warehouse } = makeWarehouse()
  const odd = { ...candidate, magdiff: NaN, distnr: null, ssdistnr: -999 }
  await warehouse({ data: packetOf({ ...record, candidate: odd }), attributes: cameFrom(0, 0) })
  const stored = table.rows[0]?.values['candidate'] as Fields
  assert.ok(Number.isNaN(stored['magdiff']))
  assert.equal(stored['distnr'], null)
  assert.equal(stored['ssdistnr'], -999)
})

test('the same alert again is a duplicate', async () => {
  const { table, warehouse } = makeWarehouse()
  const data = packetOf(record)
  assert.equal((await warehouse({ data, attributes: cameFrom(3, 12) })).outcome, 'stored')
  assert.equal((await warehouse({ data, attributes: cameFrom(4, 1) })).outcome, 'duplicate')
  assert.equal(table.rows.length, 1)
})

test('each schema version has a table, and one schema has one shape', async () => {
  const { table, warehouse } = makeWarehouse()
  const { fp_hists: _, ...old } = record
  await warehouse({ data: packetOf(record), attributes: cameFrom(0, 0) })
  await warehouse({
    data: packetOf({ ...old, candid: 2n, schemavsn: '3.3' }, '3.3'),
    attributes: cameFrom(0, 1),
  })
  await warehouse({ data: packetOf({ ...record, candid: 3n }), attributes: cameFrom(0, 2) })
  assert.deepEqual(
    table.rows.map(({ shape }) => shape.table),
    ['alerts_v4_02', 'alerts_v3_3', 'alerts_v4_02'],
  )
  assert.equal(table.rows[0]?.shape, table.rows[2]?.shape)
})

test('a message that does not say where it is from is refused', async () => {
  const { warehouse } = makeWarehouse()
  await assert.rejects(warehouse({ data: packetOf(record), attributes: {} }), {
    code: 'attribute_invalid',
  })
})
