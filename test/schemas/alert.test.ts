import assert from 'node:assert/strict'
import { test } from 'node:test'

import { projectAlert, readAlert, readAlertWithoutCutouts } from '../../schemas/alert.ts'
import { encodeContainer, encodeDatum } from '../../schemas/encode.ts'
import { bundledSchemas } from '../../schemas/registry.ts'
import { parseSchema } from '../../schemas/schema.ts'
import { skipWithoutData } from '../data.ts'
import { listSamples, readSample } from './corpus.ts'
import { digestOf } from './digest.ts'

const skip = skipWithoutData
const sync = new Uint8Array(16)

function recordType(name: string, fields: Record<string, unknown>): unknown {
  const list = Object.entries(fields).map(([field, type]) => ({ name: field, type }))
  return { type: 'record', name, fields: list }
}

function packet(schema: unknown, ...records: unknown[]): Uint8Array {
  return encodeContainer(JSON.stringify(schema), records, { sync })
}

const candidate = recordType('candidate', {
  jd: 'double',
  fid: 'int',
  candid: 'long',
  ra: 'double',
  dec: 'double',
})

test('projectAlert() reads the key of a ZTF alert, candid exact', () => {
  const schema = recordType('alert', {
    schemavsn: 'string',
    objectId: 'string',
    candid: 'long',
    candidate,
    rest: 'bytes',
  })
  const bytes = packet(schema, {
    schemavsn: '4.02',
    objectId: 'ZTF21abiuvdk',
    candid: 1652462880815015008n,
    candidate: { jd: 2459406.5, fid: 2, candid: 7n, ra: 0.81, dec: 16.14 },
    rest: new Uint8Array(10),
  })
  assert.deepEqual(projectAlert(bytes), {
    objectId: 'ZTF21abiuvdk',
    candid: 1652462880815015008n,
    version: '4.02',
    jd: 2459406.5,
    fid: 2,
    ra: 0.81,
    dec: 16.14,
  })
})

test('projectAlert() takes the candid inside the candidate where there is no other', () => {
  const schema = recordType('alert', {
    candidate: ['null', candidate],
    objectId: ['string', 'null'],
  })
  const inner = { jd: 1, fid: 1, candid: 1n, ra: 0, dec: 0 }
  assert.equal(projectAlert(packet(schema, { candidate: inner, objectId: 'ZTF1' })).candid, 1n)
  assert.throws(() => projectAlert(packet(schema, { candidate: null, objectId: 'ZTF1' })), {
    code: 'alert_unidentified',
    message: 'Cannot identify alert: a record of "alert" has no candid',
  })
  assert.throws(() => projectAlert(packet(schema, { candidate: inner, objectId: null })), {
    code: 'alert_unidentified',
    message: 'Cannot identify alert: a record of "alert" has no objectId',
  })
})

test('projectAlert() names the object after the alert where the survey named none yet', () => {
  const long = { alertId: 'long', candid: 'long', candidate }
  const inner = { jd: 1, fid: 1, candid: 7n, ra: 0, dec: 0 }
  const record = { alertId: 2n ** 60n, candid: 7n, candidate: inner }
  const { objectId, candid } = projectAlert(packet(recordType('ztf.alert', long), record))
  assert.deepEqual([objectId, candid], ['alert1152921504606846976', 7n])

  const named = { ...long, objectId: ['null', 'string'] }
  const word = { ...long, alertId: 'string' }
  const { candid: _, ...uncounted } = long
  const inside = { head: recordType('head', { alertId: 'long' }), candid: 'long' }
  for (const [fields, value] of [
    [named, { ...record, objectId: null }],
    [word, { ...record, alertId: '5' }],
    [uncounted, record],
    [inside, { head: { alertId: 5n }, candid: 7n }],
  ] as const) {
    assert.throws(() => projectAlert(packet(recordType('ztf.alert', fields), value)), {
      code: 'alert_unidentified',
      message: 'Cannot identify alert: a record of "ztf.alert" has no objectId',
    })
  }
})

test('projectAlert() names an LSST source by its object, moving or not, at a time in TAI', () => {
  const id = ['null', 'long']
  const source = recordType('diaSource', {
    diaSourceId: 'long',
    diaObjectId: id,
    ssObjectId: id,
    midpointMjdTai: 'double',
  })
  const object = ['null', recordType('diaObject', { diaObjectId: 'long' })]
  const schema = recordType('lsst.v9_0.alert', {
    diaSourceId: 'long',
    diaSource: source,
    diaObject: object,
  })
  const key = (diaObjectId: bigint | null, ssObjectId: bigint | null, parent: bigint | null) => {
    const diaSource = { diaSourceId: 5n, diaObjectId, ssObjectId, midpointMjdTai: 60000 }
    const diaObject = parent === null ? null : { diaObjectId: parent }
    return projectAlert(packet(schema, { diaSourceId: 5n, diaSource, diaObject }))
  }
  assert.deepEqual(key(313897383979122767n, 0n, null), {
    objectId: '313897383979122767',
    candid: 5n,
    version: '9.0',
    jd: 2460000.5,
  })
  assert.equal(key(0n, 21163624394469969n, null).objectId, '21163624394469969')
  assert.equal(key(null, 7n, null).objectId, '7')
  assert.equal(key(null, null, 9n).objectId, '9')
  assert.throws(() => key(0n, null, null), { code: 'alert_unidentified' })
})

test('readAlert() reads wire format by the id of its schema', () => {
  const schema = parseSchema('{"type":"record","name":"lsst.v7_4.alert","fields":[]}')
  const bytes = new Uint8Array([0, 0, 0, 2, 0xc0, ...encodeDatum(schema, {})])
  const source = { byId: (id: number) => (id === 704 ? schema : undefined) }
  assert.deepEqual(readAlert(bytes, source), { schema, version: '7.4', record: {} })
  bytes[4] = 0xc1
  assert.throws(() => readAlert(bytes, source), {
    code: 'schema_unknown',
    message: 'Cannot read packet: schema id 705 is unknown, add the schema and replay',
  })
})

test('readAlert() refuses a container that does not hold one record, with the number', () => {
  const schema = recordType('alert', { a: 'int' })
  for (const records of [[], [{ a: 1 }, { a: 2 }]]) {
    assert.throws(() => readAlert(packet(schema, ...records)), {
      code: 'packet_undecodable',
      message: `Cannot read alert: the container has ${records.length} records, not 1`,
    })
  }
  assert.throws(() => readAlert(packet('int', 1)), {
    code: 'packet_undecodable',
    message: 'Cannot read alert: the datum is not a record but of type "int"',
  })
  assert.throws(() => readAlert(new Uint8Array(0)), {
    code: 'packet_undecodable',
    message:
      'Cannot read packet: it begins with nothing, neither an Avro container nor wire format',
  })
})

test('readAlert() believes the record before the header', () => {
  const schema = { ...(recordType('alert', { schemavsn: 'string' }) as object), version: '3.1' }
  assert.equal(readAlert(packet(schema, { schemavsn: '3.2' })).version, '3.2')
  const silent = { ...(recordType('alert', { a: 'int' }) as object), version: '1.8' }
  assert.equal(readAlert(packet(silent, { a: 1 })).version, '1.8')
  assert.equal(readAlert(packet(recordType('alert', { a: 'int' }), { a: 1 })).version, undefined)
})

test('readAlertWithoutCutouts() steps over top-level cutouts', () => {
  const schema = recordType('alert', { cutoutScience: 'bytes', a: 'int', cutoutTemplate: 'bytes' })
  const bytes = packet(schema, { cutoutScience: sync, a: 1, cutoutTemplate: sync })
  assert.deepEqual(readAlertWithoutCutouts(bytes).record, { a: 1 })
})

test('projectAlert() gives what readAlert() gives, for every ZTF and LSST alert', { skip }, () => {
  let keys = 0
  for (const file of [...listSamples('ztf'), ...listSamples('lsst')]) {
    const bytes = readSample(file)
    let key
    let alert
    try {
      key = projectAlert(bytes)
      alert = readAlert(bytes)
    } catch {
      continue
    }
    const { record, version } = alert
    const main = (record['candidate'] ?? record['diaSource']) as Record<string, unknown>
    const { jd = Number(main['midpointMjdTai'] ?? main['midPointTai']) + 2400000.5 } = main
    const { ra, dec = main['decl'], fid } = main
    const { version: keyVersion, objectId, candid, ...facts } = key
    assert.equal(
      digestOf([facts]),
      digestOf([fid === undefined ? { jd, ra, dec } : { jd, fid, ra, dec }]),
      file,
    )
    assert.equal(keyVersion, version, file)
    const ids = [record['candid'], main['candid'], record['diaSourceId'], main['diaSourceId']]
    assert(ids.includes(candid), file)
    if (record['objectId'] !== undefined) assert.equal(objectId, record['objectId'], file)
    keys++
  }
  assert(keys > 1200, `${keys}`)
})

test('projectAlert() finds a key in every official sample of ZTF, old ones too', { skip }, () => {
  const folders = ['official-samples-all-versions', 'precommissioning-v1.2-1.3-ampel']
  const keys = folders.flatMap((folder) =>
    listSamples(`ztf/${folder}`).map((file) => projectAlert(readSample(file))),
  )
  const unnamed = keys.filter(({ objectId }) => /^alert\d+$/.test(objectId))
  assert.equal(unnamed.length, 8)
  for (const file of listSamples('other-surveys/atlas-alerce')) {
    assert.throws(() => projectAlert(readSample(file)), { code: 'alert_unidentified' })
  }
})

test('readAlert() reads LSST wire format of every bundled version', { skip }, () => {
  const versions = new Set<string | undefined>()
  for (const file of listSamples('lsst/confluent-wire-format')) {
    const bytes = readSample(file)
    const id = new DataView(bytes.buffer, bytes.byteOffset).getInt32(1)
    if (!bundledSchemas().byId(id)) {
      assert.throws(() => readAlert(bytes), { code: 'schema_unknown' }, file)
      continue
    }
    const { version, record } = readAlert(bytes)
    versions.add(version)
    assert.equal(version, `${Math.floor(id / 100)}.${id % 100}`, file)
    assert.equal(typeof (record['diaSource'] as { diaSourceId: unknown }).diaSourceId, 'bigint')
  }
  assert.equal(versions.size, 10)
})
