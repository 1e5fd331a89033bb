import assert from 'node:assert/strict'
import { suite, test } from 'node:test'

import { auditNight, type Audit } from '../../conductor/audit.ts'
import {
  closeRecord,
  formatRun,
  storeCloseRecord,
  type CloseRecord,
} from '../../conductor/close.ts'
import { openHome } from '../local/home.ts'
import { ledgerOf, topic, type HandMade } from './ledger.ts'

const at = new Date('2026-11-21T14:00:00Z')
const all: HandMade = {
  intake: { 0: { published: [[0, 70]] } },
  archive: { 0: { stored: [[0, 70]] } },
  warehouse: { 0: { stored: [[0, 70]] } },
  exgalac: { 0: { filtered: [[0, 70]] } },
}

const audit = (made: HandMade, high = 70n): Audit =>
  auditNight({
    survey: 'ztf',
    night: '20261121',
    ranges: [{ topic, partition: 0, low: 0n, high }],
    ledger: ledgerOf(made),
  })

const digestOf = (made: HandMade, high?: bigint): string =>
  closeRecord(audit(made, high), [], at).digest

suite('closeRecord()', () => {
  test('has one digest for equal sets, whenever and from whatever ledger', () => {
    const digest = digestOf(all)
    assert.match(digest, /^[0-9a-f]{64}$/)
    assert.equal(closeRecord(audit(all), ['late'], new Date()).digest, digest)
    // Told in other pieces, twice, and once as a dead letter before it was stored.
    const again = {
      ...all,
      archive: {
        0: {
          dead_lettered: [5],
          stored: [
            [30, 40],
            [0, 40],
          ] as const,
        },
      },
    }
    assert.equal(digestOf(again), digest)
  })

  test('has another digest where any set differs', () => {
    const others: HandMade[] = [
      { ...all, archive: { 0: { stored: [[0, 69]] } } },
      { ...all, archive: { 0: { stored: [[1, 69]] } } },
      { ...all, archive: { 0: { stored: [[0, 69]], duplicate: [69] } } },
      { ...all, archive: { 0: { stored: [[0, 69]], dead_lettered: [69] } } },
      { ...all, exgalac: { 0: { filtered: [[0, 69]], published: [69] } } },
      { ...all, warehouse: {} },
      { ...all, archive: {}, warehouse: {} },
    ]
    const digests = [all, ...others].map((made) => digestOf(made))
    digests.push(digestOf(all, 71n))
    assert.equal(new Set(digests).size, others.length + 2)
  })

  test('is complete only where nothing is missing and nothing is unfinished', () => {
    const lossy = {
      ...all,
      archive: {
        0: {
          stored: [
            [0, 10],
            [12, 40],
            [60, 10],
          ] as const,
        },
      },
    }
    assert.equal(closeRecord(audit(all), [], at).state, 'complete')
    assert.equal(closeRecord(audit(all), ['/data'], at).state, 'incomplete')
    const record = closeRecord(audit(lossy), [], at)
    assert.equal(record.state, 'incomplete')
    assert.deepEqual(record.stages.find(({ stage }) => stage === 'archive')?.missing, [
      `${topic}[0]@10–11`,
      `${topic}[0]@52–59`,
    ])
    assert.equal(formatRun(topic, 3, 1205n, 1), `${topic}[3]@1205`)
  })

  test('is plain JSON: reading it back gives it again', () => {
    const record = closeRecord(audit(all), [], at)
    assert.deepEqual(JSON.parse(JSON.stringify(record)), record)
    assert.deepEqual(record.partitions, [{ topic, partition: 0, low: '0', high: '70' }])
    assert.equal(record.at, '2026-11-21T14:00:00.000Z')
    assert.deepEqual(
      record.stages.map(({ bitmaps }) => bitmaps.map(({ outcome }) => outcome)),
      [['published'], ['stored'], ['stored'], ['filtered'], []],
    )
  })
})

suite('storeCloseRecord()', () => {
  test('keeps every record of a night, each under the next number', async () => {
    const home = await openHome()
    const store = await home.store('files')
    const record = closeRecord(audit(all), [], at)
    assert.equal(await storeCloseRecord(store, record), 'audit/ztf_20261121/close-0001.json')
    const names = await Promise.all([1, 2].map(() => storeCloseRecord(store, record)))
    assert.deepEqual(names.sort(), [
      'audit/ztf_20261121/close-0002.json',
      'audit/ztf_20261121/close-0003.json',
    ])
    const found = await store.read(names[1] ?? '')
    assert.deepEqual(JSON.parse(Buffer.from(found?.data ?? []).toString()) as CloseRecord, record)
    await home.remove()
  })
})
