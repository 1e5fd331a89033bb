import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { compileFilter } from '../../../gateways/voevent/filters.ts'
import { parseDocument } from '../../../gateways/voevent/document.ts'
import { mostDocumentBytes } from '../../../gateways/voevent/frame.ts'
import { fromZtf } from '../../../gateways/voevent/from-ztf.ts'
import { readAlertWithoutCutouts } from '../../../schemas/alert.ts'
import { dataDir, skipWithoutData } from '../../data.ts'

const localIvo = 'ivo://org.nightjar/broker'
const at = new Date('2026-11-21T08:04:35.5Z')

const record = {
  objectId: 'ZTF17aaacxxf',
  schemavsn: '4.02',
  candid: 3611417332815015123n,
  candidate: {
    jd: 2461365.8123,
    fid: 2,
    magpsf: 18.25,
    sigmapsf: 0.07,
    ra: 12.3456789,
    dec: -4.5,
    isdiffpos: 't',
    rb: 0.9,
    drb: null,
    distpsnr1: NaN,
  },
  prv_candidates: [
    { jd: 2461360.8, candid: 3606417332815015001n },
    { jd: 2461363.8, candid: 3609417332815015002n },
    { jd: 2461364.8, candid: null },
  ],
}

function ask(bytes: Buffer, expression: string): unknown {
  using document = parseDocument(bytes)
  using xpath = compileFilter(expression)
  return document.evaluate(xpath)
}

test('an alert becomes a valid VOEvent with exact ids, position, time and the event that it follows', () => {
  const bytes = fromZtf({ record, localIvo, at, extragalactic: true })
  using document = parseDocument(bytes)
  assert.equal(document.fault(), undefined)
  assert.deepEqual(document.head, {
    kind: 'event',
    role: 'observation',
    ivorn: 'ivo://org.nightjar/broker/ztf#ZTF17aaacxxf_3611417332815015123',
  })
  assert.equal(ask(bytes, 'string(//Param[@name="candid"]/@value)'), '3611417332815015123')
  assert.equal(ask(bytes, 'number(//C1)'), 12.3456789)
  assert.match(String(ask(bytes, 'string(//ISOTime)')), /^2026-11-21T07:29:42\.\d{3}$/)
  assert.equal(
    ask(bytes, 'string(//EventIVORN[@cite="followup"])'),
    'ivo://org.nightjar/broker/ztf#ZTF17aaacxxf_3609417332815015002',
  )
})

test('what a packet does not say, or says as NaN, is not said', () => {
  const bytes = fromZtf({ record, localIvo, at })
  assert.equal(
    ask(bytes, 'count(//Param[@name="drb" or @name="distpsnr1" or @name="classtar"])'),
    0,
  )
  assert.equal(ask(bytes, 'count(//Why)'), 0)
})

test('a forecast of the maximum is carried with its errors', () => {
  const magnitude = { band: 'r', value: 17.42, error: 0.08 }
  const bytes = fromZtf({
    record,
    localIvo,
    at,
    forecast: { mjd: 61370.5, mjdError: 0.8, magnitude },
  })
  using document = parseDocument(bytes)
  assert.equal(document.fault(), undefined)
  assert.equal(
    ask(bytes, 'number(//Group[@name="forecast"]/Param[@name="peak_mag"]/@value)'),
    17.42,
  )
  assert.equal(
    ask(bytes, 'string(/*/@ivorn)'),
    `${localIvo}/ztf#ZTF17aaacxxf_3611417332815015123_salt2`,
  )
  assert.equal(
    ask(bytes, 'string(//EventIVORN)'),
    `${localIvo}/ztf#ZTF17aaacxxf_3611417332815015123`,
  )
})

test(
  'every real alert of a sample becomes a valid VOEvent that any Comet takes',
  { skip: skipWithoutData },
  () => {
    const folder = join(dataDir, 'ztf/sn2021rhu-ZTF21abiuvdk-v3.3-pitt-google')
    const files = readdirSync(folder).filter((name) => name.endsWith('.avro'))
    assert.ok(files.length >= 30)
    for (const file of files) {
      const packet = readAlertWithoutCutouts(readFileSync(join(folder, file)))
      const bytes = fromZtf({ record: packet.record, localIvo, at, extragalactic: true })
      using document = parseDocument(bytes)
      assert.equal(document.fault(), undefined, file)
      assert.ok(bytes.length < mostDocumentBytes)
    }
  },
)
