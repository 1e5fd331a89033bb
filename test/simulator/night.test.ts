import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'

import { readCutout } from '../../core/cutout.ts'
import { isPermanent } from '../../core/errors.ts'
import { isPositive } from '../../core/light-curve.ts'
import { readAlert } from '../../schemas/alert.ts'
import { simulateNight, type SimulatedRecord } from '../../simulator/night.ts'
import { nightTimes } from '../../simulator/schedule.ts'
import { altitude, jdOfUnix } from '../../simulator/sky.ts'

type Values = Record<string, unknown>

const calm = {
  night: '20261121',
  alerts: 600,
  seed: 7,
  partitions: 4,
  duplicates: 0,
  late: 0,
  corrupt: 0,
  oldSchemas: 0,
  gaps: 0,
}
const rough = { ...calm, duplicates: 0.1, late: 0.05, corrupt: 0.1, oldSchemas: 0.3, gaps: 0.05 }

const quiet = [...simulateNight(calm)]
const troubled = [...simulateNight(rough)]

const packets = quiet.map(({ data }) => readAlert(data as Uint8Array).record)
const candidates = packets.map(({ candidate }) => candidate as Values)
const histories = packets.flatMap((packet) => (packet['prv_candidates'] ?? []) as Values[])
const forced = packets.flatMap((packet) => (packet['fp_hists'] ?? []) as Values[])

test('simulateNight() gives the same bytes for the same seed and others for another', () => {
  const small = { ...rough, alerts: 60 }
  const once = fingerprint(simulateNight(small))
  assert.equal(fingerprint(simulateNight(small)), once)
  assert.notEqual(fingerprint(simulateNight({ ...small, seed: 8 })), once)
  assert.notEqual(fingerprint(simulateNight({ ...small, night: '20261122' })), once)
})

test('simulateNight() gives as many alerts as asked, each with an id of its own', () => {
  assert.equal(quiet.length, 600)
  assert.equal(new Set(packets.map(({ candid }) => candid)).size, 600)
  for (const { objectId } of packets) assert.match(String(objectId), /^ZTF\d\d[a-z]{7}$/)
})

test('the truth names each packet, its version and its class', () => {
  for (const [i, { truth, data }] of troubled.entries()) {
    if (!['alert', 'late', 'duplicate'].includes(truth.kind)) continue
    const { record, version } = readAlert(data as Uint8Array)
    assert.equal(record['objectId'], truth.objectId)
    assert.equal(String(record['candid']), truth.candid)
    assert.equal(version, truth.schemavsn)
    assert.ok(truth.class, `record ${i} has no class`)
  }
  const versions = new Set(troubled.map(({ truth }) => truth.schemavsn))
  assert.deepEqual([...versions].sort(), ['3.2', '3.3', '4.02', undefined])
})

test('a damaged packet cannot be read, and that never changes', () => {
  const damaged = troubled.filter(({ truth }) => truth.kind.startsWith('corrupt:'))
  assert.equal(new Set(damaged.map(({ truth }) => truth.kind)).size, 6)
  for (const { truth, data } of damaged) {
    assert.throws(() => readAlert(data as Uint8Array), isPermanent, truth.kind)
  }
})

test('a duplicate has the bytes of its original and arrives after it', () => {
  const first = new Map<string, SimulatedRecord>()
  let duplicates = 0
  for (const record of troubled) {
    const { candid, kind } = record.truth
    if (kind === 'alert') first.set(candid as string, record)
    if (kind !== 'duplicate') continue
    duplicates += 1
    const original = first.get(candid as string) as SimulatedRecord
    assert.deepEqual(record.data, original.data)
    assert.ok(record.truth.timestamp > original.truth.timestamp)
  }
  assert.ok(duplicates > 20, `${duplicates} duplicates`)
})

test('offsets of a partition go up by one, and what Kafka lacks is in the truth', () => {
  const next = new Map<number, number>()
  let last = 0
  for (const { truth, data } of troubled) {
    assert.equal(truth.offset, next.get(truth.partition) ?? 0)
    next.set(truth.partition, truth.offset + 1)
    assert.equal(data === undefined, truth.kind === 'gap')
    assert.ok(truth.timestamp >= last)
    last = truth.timestamp
  }
  assert.equal(next.size, 4)
  const gaps = troubled.filter(({ truth }) => truth.kind === 'gap').length / troubled.length
  assert.ok(gaps > 0.02 && gaps < 0.09, `${gaps} of the offsets are gaps`)
})

test('late alerts arrive after sunrise, all others within an hour and a half of dawn', () => {
  const { sunrise, dawn } = nightTimes('20261121')
  for (const { truth } of troubled) {
    const jd = jdOfUnix(truth.timestamp)
    if (truth.kind === 'late') assert.ok(jd > sunrise)
    if (truth.kind === 'alert') assert.ok(jd < dawn + 0.02)
  }
})

test('every exposure lies in the night, above 25 degrees, and in the id of its alerts', () => {
  const { dusk, dawn } = nightTimes('20261121')
  for (const { jd, candid, ra, dec } of candidates) {
    const time = jd as number
    assert.ok(time > dusk - 1e-6 && time < dawn)
    assert.ok(altitude({ ra: ra as number, dec: dec as number }, time) > 25)
    assert.ok(Math.abs(2457754.5 + Number(candid) / 1e15 - time) < 2e-5)
  }
})

test('sizes are those of real packets and stamps', () => {
  const mean = (values: number[]): number => values.reduce((a, b) => a + b, 0) / values.length
  const sizes = quiet.map(({ data }) => data?.length as number)
  assert.ok(mean(sizes) > 65_000 && mean(sizes) < 76_000, `mean ${mean(sizes)}`)
  assert.ok(Math.max(...sizes) < 90_000 && Math.min(...sizes) > 50_000)
  const science = packets.map((packet) => stampOf(packet, 'cutoutScience').length)
  assert.ok(mean(science) > 12_000 && mean(science) < 14_500, `mean science ${mean(science)}`)
})

test('stamps are 63 pixels square, or clipped at the edge of the detector', () => {
  const widths = packets.map((packet) => {
    const { width, height, pixels } = readCutout(stampOf(packet, 'cutoutDifference'))
    assert.equal(pixels.length, width * height)
    assert.ok(Math.max(width, height) === 63 || Math.min(width, height) >= 45)
    return Math.min(width, height)
  })
  const clipped = widths.filter((width) => width < 63).length / widths.length
  assert.ok(clipped > 0 && clipped < 0.06, `${clipped} clipped`)
})

test('the middle of a difference stamp is bright, whatever the sign', () => {
  const bright = packets.filter(({ candidate }) => {
    const { magpsf, diffmaglim, rb } = candidate as Record<string, number>
    return (magpsf as number) < (diffmaglim as number) - 1.5 && (rb as number) > 0.6
  })
  assert.ok(bright.length > 50)
  for (const packet of bright) {
    const { width, height, pixels } = readCutout(stampOf(packet, 'cutoutDifference'))
    if (width < 63 || height < 63) continue
    const middle = Math.max(...[...pixels].filter((_, i) => nearMiddle(i)).map((v) => v || 0))
    const corner = pixels.subarray(0, 200).filter((value) => value > middle)
    assert.ok(corner.length < 4, `${packet['objectId']}: ${corner.length} brighter in the corner`)
  }
})

test('more than half of a history are limits, with null for all that was not measured', () => {
  const limits = histories.filter(({ candid }) => candid === null)
  const share = limits.length / histories.length
  assert.ok(share > 0.5 && share < 0.72, `${share} are limits`)
  for (const entry of limits) {
    assert.equal(entry['magpsf'], null)
    assert.equal(entry['isdiffpos'], null)
    assert.equal(typeof entry['diffmaglim'], 'number')
  }
})

test('histories go up in time, forced ones go down, none reaches the alert or back 30 days', () => {
  for (const packet of packets) {
    const now = (packet['candidate'] as Values)['jd'] as number
    const past = ((packet['prv_candidates'] ?? []) as Values[]).map(({ jd }) => jd as number)
    assert.deepEqual(
      past,
      past.toSorted((a, b) => a - b),
    )
    assert.ok(past.every((jd) => jd < now && jd > now - 30.1))
    const flux = ((packet['fp_hists'] ?? []) as Values[]).map(({ jd }) => jd as number)
    assert.deepEqual(flux, past.toReversed())
  }
})

test('isdiffpos is t or f in a candidate, and all four spellings occur in histories', () => {
  const spelled = (list: Values[]): unknown[] =>
    [...new Set(list.map(({ isdiffpos }) => isdiffpos))].sort()
  assert.deepEqual(spelled(candidates), ['f', 't'])
  assert.deepEqual(spelled(histories), ['0', '1', 'f', null, 't'])
})

test('what ZTF does not know it says in four ways, and NaN is none of them', () => {
  const all = [...candidates, ...histories, ...forced].flatMap((values) => Object.values(values))
  assert.ok(!all.some((value) => Number.isNaN(value)))
  assert.ok(candidates.some(({ ssdistnr }) => ssdistnr === -999))
  assert.ok(candidates.some(({ objectidps3 }) => objectidps3 === -999n))
  assert.ok(candidates.some(({ ssnamenr }) => ssnamenr === 'null'))
  const failed = forced.filter(({ procstatus }) => procstatus === '61' || procstatus === '55')
  assert.ok(failed.length > 50)
  for (const { forcediffimflux } of failed) assert.equal(forcediffimflux, -99999)
  assert.ok(forced.some(({ forcediffimflux }) => (forcediffimflux as number) < 0))
  const past = packets.map((packet) => packet['prv_candidates'] as Values[] | null)
  assert.ok(past.includes(null))
  assert.ok(past.some((list) => list?.length === 0))
})

test('an alert is in the history of the next alert of its object, with the same numbers', () => {
  const earlier = new Map<unknown, Values>()
  let seen = 0
  for (const packet of packets) {
    const candidate = packet['candidate'] as Values
    const before = earlier.get(packet['objectId'])
    if (before) {
      const past = (packet['prv_candidates'] ?? []) as Values[]
      const entry = past.find(({ candid }) => candid === before['candid'])
      assert.ok(entry, `${packet['objectId']} forgot ${before['candid']}`)
      for (const name of ['jd', 'magpsf', 'sigmapsf', 'ra', 'dec', 'rb']) {
        assert.equal(entry[name], before[name])
      }
      seen += 1
    }
    earlier.set(packet['objectId'], candidate)
  }
  assert.ok(seen > 10, `${seen} objects were seen twice`)
})

test('the truth of the filter is what its definition says of the packet', () => {
  for (const [i, { truth }] of quiet.entries()) {
    const { candidate, prv_candidates } = packets[i] as Values
    assert.equal(truth.extragalactic, isExtragalactic(candidate as Values, prv_candidates))
  }
  const passed = quiet.filter(({ truth }) => truth.extragalactic)
  const transients = passed.filter(({ truth }) => truth.class?.startsWith('supernova'))
  assert.ok(transients.length > 0)
  assert.ok(passed.length / quiet.length < 0.08)
})

function fingerprint(records: Iterable<SimulatedRecord>): string {
  const hash = createHash('sha256')
  for (const { truth, data } of records) {
    hash.update(JSON.stringify(truth))
    if (data) hash.update(data)
  }
  return hash.digest('hex')
}

function stampOf(packet: Values, name: string): Uint8Array {
  return (packet[name] as { stampData: Uint8Array }).stampData
}

function nearMiddle(i: number): boolean {
  return Math.abs((i % 63) - 31) <= 3 && Math.abs(Math.floor(i / 63) - 31) <= 3
}

/** The filter as its authors published it, with `1` read as `t`. */
function isExtragalactic(candidate: Values, past: unknown): boolean {
  const times = [candidate, ...((past ?? []) as Values[])]
    .filter(({ isdiffpos }) => isPositive(isdiffpos) === true)
    .map(({ jd }) => jd as number)
  const gaps = times.slice(1).map((jd, i) => jd - (times[i] as number))
  const number = (name: string): number => candidate[name] as number
  return (
    candidate['isdiffpos'] === 't' &&
    (number('distpsnr1') > 1.5 || number('sgscore1') < 0.5) &&
    Math.max(...gaps, 0) >= 30 / 60 / 24 &&
    (number('ssdistnr') < 0 || number('ssdistnr') > 5)
  )
}
