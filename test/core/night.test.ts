import assert from 'node:assert/strict'
import { test } from 'node:test'

import {
  nightOfDate,
  nightOfJd,
  nightOfTopic,
  nightsBetween,
  parseNight,
} from '../../core/night.ts'

const jd = (iso: string): number => Date.parse(iso) / 86_400_000 + 2440587.5

test('nightOfJd() puts a Palomar night on the UTC date in which all of it lies', () => {
  assert.equal(nightOfJd(jd('2026-11-21T02:00:00Z'), 'ztf'), '20261121')
  assert.equal(nightOfJd(jd('2026-11-21T13:30:00Z'), 'ztf'), '20261121')
  assert.equal(nightOfJd(jd('2026-11-20T23:59:50Z'), 'ztf'), '20261120')
  assert.equal(nightOfJd(jd('2026-11-21T00:00:10Z'), 'ztf'), '20261121')
})

test('nightOfJd() puts a night of Cerro Pachón on the UTC date of its beginning', () => {
  assert.equal(nightOfJd(jd('2026-11-21T23:30:00Z'), 'lsst'), '20261121')
  assert.equal(nightOfJd(jd('2026-11-22T00:00:10Z'), 'lsst'), '20261121')
  assert.equal(nightOfJd(jd('2026-11-22T10:00:00Z'), 'lsst'), '20261121')
  assert.equal(nightOfJd(jd('2026-11-22T12:00:10Z'), 'lsst'), '20261122')
  assert.equal(nightOfJd(jd('2027-01-01T03:00:00Z'), 'lsst'), '20261231')
})

test('parseNight() takes a date of the calendar, and says what it should be', () => {
  assert.equal(parseNight('20261121'), '20261121')
  assert.equal(parseNight('2026-11-21'), '20261121')
  assert.equal(parseNight('20240229'), '20240229')
  for (const text of [
    '20260229',
    '20261301',
    '2026112',
    '202611211',
    '',
    'tonight',
    '2026/11/21',
  ]) {
    assert.throws(() => parseNight(text), {
      code: 'config_invalid',
      message: `Cannot take night "${text}": it must be a UTC date such as 20261121`,
    })
  }
})

test('nightOfTopic() finds the date in the names of surveys', () => {
  const table: [string, string | undefined][] = [
    ['ztf_20261121_programid1', '20261121'],
    ['ztf_20261121_programid3_public', '20261121'],
    ['lsst_20261121', '20261121'],
    ['20261121', '20261121'],
    ['ztf_public', undefined],
    ['ztf_202611211_programid1', undefined],
    ['ztf_2026112', undefined],
    ['elasticc-1-1-alerts', undefined],
  ]
  for (const [topic, night] of table) assert.equal(nightOfTopic(topic), night, topic)
  assert.equal(nightOfDate(new Date('2026-11-21T23:59:59.999Z')), '20261121')
})

test('nightsBetween() counts by the calendar, and neither backwards nor for ever', () => {
  assert.deepEqual(nightsBetween('20240228', '20240301'), ['20240228', '20240229', '20240301'])
  assert.deepEqual(nightsBetween('20261121', '20261121'), ['20261121'])
  assert.throws(() => nightsBetween('20261122', '20261121'), /they must ascend/)
  assert.throws(() => nightsBetween('20200101', '20261121'), /be 100 at most/)
})
