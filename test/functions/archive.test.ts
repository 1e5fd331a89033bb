import assert from 'node:assert/strict'
import { test } from 'node:test'

import { crc32c } from '../../core/crc32c.ts'
import { createArchive } from '../../functions/archive/archive.ts'
import { readAlert } from '../../schemas/alert.ts'
import { fixPacket } from '../../schemas/fix.ts'
import { bundledSchemas } from '../../schemas/registry.ts'
import { cameFrom, exampleRecord, fakeStore, packetOf, type Fields } from './fakes.ts'

const topic = 'ztf_20261121_programid1'

function makeArchive() {
  const store = fakeStore()
  return { store, archive: createArchive({ store, schemas: bundledSchemas() }) }
}

const record = exampleRecord()
const { objectId, candid } = record as { objectId: string; candid: bigint }
const name = `${topic}/${objectId}/${candid}.avro`

test('an alert is stored under Kafka topic, objectId and candid, with where it is from', async () => {
  const { store, archive } = makeArchive()
  const data = packetOf(record)
  const verdict = await archive({ data, attributes: cameFrom(3, 12) })
  assert.deepEqual(verdict, { outcome: 'stored', objectId, candid })
  assert.deepEqual([...store.objects.keys()], [name])
  const found = store.objects.get(name)
  assert.deepEqual(found?.data, data)
  assert.deepEqual(found?.object.metadata, { ...cameFrom(3, 12), schema_version: '4.02' })
})

test('a packet with illegal defaults is stored mended, and reads the same', async () => {
  const { store, archive } = makeArchive()
  const { fp_hists: _, ...old } = record
  const data = packetOf({ ...old, schemavsn: '3.3' }, '3.3')
  assert.ok(fixPacket(data).changed > 0)
  await archive({ data, attributes: cameFrom(0, 0) })
  const kept = store.objects.get(name)?.data ?? new Uint8Array()
  assert.deepEqual(kept, fixPacket(data).bytes)
  assert.notDeepEqual(Buffer.from(kept), Buffer.from(data))
  assert.equal(fixPacket(kept).changed, 0)
  assert.deepEqual(readAlert(kept).record, readAlert(data).record)
})

test('the same occurrence again is stored, as it was', async () => {
  const { store, archive } = makeArchive()
  const message = { data: packetOf(record), attributes: cameFrom(3, 12) }
  await archive(message)
  assert.deepEqual(await archive(message), { outcome: 'stored', objectId, candid })
  assert.equal(store.objects.size, 1)
})

test('another occurrence of the same bytes is a duplicate of the first', async () => {
  const { store, archive } = makeArchive()
  const data = packetOf(record)
  await archive({ data, attributes: cameFrom(3, 12) })
  const verdict = await archive({ data, attributes: cameFrom(4, 12) })
  assert.equal(verdict.outcome, 'duplicate')
  assert.equal(verdict.reason, `of ${topic}[3]@12`)
  assert.equal(store.objects.size, 1)
})

test('other bytes under the same identity are kept beside, flagged, and a repetition finds them', async () => {
  const { store, archive } = makeArchive()
  const other: Fields = { ...record, publisher: 'somebody else' }
  const data = packetOf(other)
  const check = crc32c(data).toString(16).padStart(8, '0')
  const beside = `${topic}/${objectId}/${candid}.${check}.avro`
  await archive({ data: packetOf(record), attributes: cameFrom(3, 12) })

  const second = await archive({ data, attributes: cameFrom(3, 13) })
  assert.equal(second.outcome, 'stored')
  assert.match(second.reason ?? '', /other bytes stand under/)
  assert.deepEqual([...store.objects.keys()], [name, beside])
  assert.deepEqual(store.objects.get(beside)?.data, data)

  assert.equal((await archive({ data, attributes: cameFrom(3, 13) })).outcome, 'stored')
  assert.equal((await archive({ data, attributes: cameFrom(5, 1) })).outcome, 'duplicate')
  assert.equal(store.objects.size, 2)
})

test('what is damaged behind its identity is refused, and nothing of it is kept', async () => {
  const { store, archive } = makeArchive()
  const data = packetOf(record)
  const cut = data.subarray(0, data.length - 100)
  await assert.rejects(archive({ data: cut, attributes: cameFrom(0, 0) }), {
    code: 'packet_undecodable',
  })
  assert.equal(store.objects.size, 0)
})

test('an objectId that would leave its folder is refused', async () => {
  const { store, archive } = makeArchive()
  for (const bad of ['../../etc/passwd', 'a/b', '', '.', 'x'.repeat(65)]) {
    const data = packetOf({ ...record, objectId: bad })
    await assert.rejects(archive({ data, attributes: cameFrom(0, 0) }), {
      code: 'alert_unidentified',
    })
  }
  assert.equal(store.objects.size, 0)
})
