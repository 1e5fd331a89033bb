import assert from 'node:assert/strict'
import { suite, test } from 'node:test'

import { auditNight } from '../../conductor/audit.ts'
import { knownNights } from '../../conductor/nights.ts'
import { findArchived, messageFor, missingOf, sendAgain } from '../../conductor/replay.ts'
import { writeProgress } from '../../core/progress.ts'
import { take } from '../contract/topic.ts'
import { openHome } from '../local/home.ts'
import { ledgerOf, topic } from './ledger.ts'

suite('missingOf()', () => {
  test('names every single occurrence that is missing, in the order of the pipeline', () => {
    const audit = auditNight({
      survey: 'ztf',
      night: '20261121',
      ranges: [
        { topic, partition: 0, low: 0n, high: 10n },
        { topic, partition: 1, low: 2n ** 50n, high: 2n ** 50n + 2n },
      ],
      ledger: ledgerOf({
        intake: { 0: { published: [[0, 9]] }, 1: { published: [[2n ** 50n, 2]] } },
        archive: { 0: { stored: [[0, 9]] }, 1: { stored: [[2n ** 50n, 2]] } },
        warehouse: {
          0: {
            stored: [
              [0, 3],
              [5, 4],
            ],
          },
        },
        exgalac: { 0: { filtered: [[0, 9]] }, 1: { filtered: [[2n ** 50n, 2]] } },
      }),
    })
    assert.deepEqual(
      [...missingOf(audit)].map((each) => `${each.stage}[${each.partition}]@${each.offset}`),
      [
        'intake[0]@9',
        'warehouse[0]@3',
        'warehouse[0]@4',
        `warehouse[1]@${2n ** 50n}`,
        `warehouse[1]@${2n ** 50n + 1n}`,
      ],
    )
  })
})

suite('messageFor()', () => {
  test('marks a message for the stage that lacks it, and one for the intake for all', () => {
    const data = new Uint8Array(3)
    assert.deepEqual(messageFor('archive', data, { a: 'b' }), {
      data,
      attributes: { a: 'b', nightjar_for: 'archive' },
    })
    assert.deepEqual(messageFor('intake', data, { a: 'b' }), { data, attributes: { a: 'b' } })
  })
})

suite('findArchived()', () => {
  test('finds an alert by where it came from, else by its identity', async () => {
    const home = await openHome()
    const archive = await home.store('archive')
    const at = (partition: string, offset: string): Record<string, string> => ({
      'kafka.topic': topic,
      'kafka.partition': partition,
      'kafka.offset': offset,
      schema_version: '4.02',
    })
    await archive.create(`${topic}/ZTF1/77.avro`, Buffer.from('first'), at('0', '5'))
    await archive.create(`${topic}/ZTF1/77.00c0ffee.avro`, Buffer.from('other'), at('1', '9'))
    await archive.create(`${topic}/ZTF1/777.avro`, Buffer.from('another'), at('1', '10'))
    const find = async (
      partition: number,
      offset: bigint,
      objectId = 'ZTF1',
    ): Promise<Record<string, string> | null> => {
      const found = await findArchived(archive, { topic, partition, offset }, objectId, '77')
      return found && { text: Buffer.from(found.data).toString(), ...found.attributes }
    }
    const expected = (text: string, partition: string, offset: string): Record<string, string> => ({
      text,
      ...at(partition, offset),
      objectId: 'ZTF1',
      candid: '77',
    })
    assert.deepEqual(await find(0, 5n), expected('first', '0', '5'))
    assert.deepEqual(await find(1, 9n), expected('other', '1', '9'))
    const third = await find(2, 11n)
    assert.equal(third?.['kafka.offset'], '11', 'it is sent as the occurrence that is missing')
    assert.ok(['first', 'other'].includes(third?.['text'] ?? ''))
    assert.equal(await find(0, 5n, 'ZTF2'), null)
    await home.remove()
  })
})

suite('sendAgain()', () => {
  test('publishes a message, and what is too large by claim', async () => {
    const home = await openHome()
    const claims = await home.store('files')
    const alerts = await home.topic('t')
    const subscription = await home.subscription('t')
    const attributes = { 'kafka.topic': topic, 'kafka.partition': '3', 'kafka.offset': '8' }
    await sendAgain(alerts, claims, { data: new Uint8Array(10), attributes })
    await sendAgain(alerts, claims, { data: new Uint8Array(10_000_001), attributes })
    const taken = await take(subscription, 2)
    assert.deepEqual(taken.map(({ data }) => data.length).sort(), [0, 10])
    assert.equal((await claims.read(`claims/${topic}/3/8`))?.data.length, 10_000_001)
    await home.remove()
  })
})

suite('knownNights()', () => {
  test('gathers topics by their night, oldest first, and what is unfinished', async () => {
    const home = await openHome()
    const store = await home.store('files')
    const progress = (name: string, partition: number, ended: boolean) => ({
      topic: name,
      partitions: [{ partition, source: `/${name}`, low: 1n, next: 2n, high: 2n ** 60n }],
      sources: [{ source: `/${name}`, files: 1, ended }],
    })
    await writeProgress(store, progress('ztf_20261122_programid1', 0, true), null)
    await writeProgress(store, progress('ztf_20261121_programid1', 1, true), null)
    await writeProgress(store, progress('ztf_20261121_programid3', 2, false), null)
    await writeProgress(store, progress('no_date', 0, false), null)
    const nights = await knownNights(store)
    assert.deepEqual(
      nights.map(({ night, ranges, unfinished }) => ({ night, ranges, unfinished })),
      [
        {
          night: '20261121',
          ranges: [
            { topic: 'ztf_20261121_programid1', partition: 1, low: 1n, high: 2n ** 60n },
            { topic: 'ztf_20261121_programid3', partition: 2, low: 1n, high: 2n ** 60n },
          ],
          unfinished: ['/ztf_20261121_programid3'],
        },
        {
          night: '20261122',
          ranges: [{ topic: 'ztf_20261122_programid1', partition: 0, low: 1n, high: 2n ** 60n }],
          unfinished: [],
        },
      ],
    )
    await home.remove()
  })
})
