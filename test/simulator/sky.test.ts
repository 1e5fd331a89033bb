import assert from 'node:assert/strict'
import { test } from 'node:test'

import { planNight, nightTimes } from '../../simulator/schedule.ts'
import {
  airmass,
  altitude,
  galacticLatitude,
  jdOfUnix,
  moonlight,
  offset,
  separation,
  sun,
} from '../../simulator/sky.ts'

const jdOf = (iso: string): number => jdOfUnix(Date.parse(iso))

test('sun() stands on the equator at an equinox and on the tropic at a solstice', () => {
  const equinox = sun(jdOf('2026-03-20T14:46:00Z'))
  assert.ok(Math.abs(equinox.dec) < 0.02 && separation(equinox, { ra: 0, dec: 0 }) < 0.02)
  assert.ok(Math.abs(sun(jdOf('2026-06-21T08:24:00Z')).dec - 23.436) < 0.01)
})

test('moonlight() is full and new when the almanac says so', () => {
  assert.ok(moonlight(jdOf('2026-11-24T14:53:00Z')) > 0.995)
  assert.ok(moonlight(jdOf('2026-11-09T07:02:00Z')) < 0.005)
})

test('altitude() of the pole is the latitude', () => {
  assert.ok(Math.abs(altitude({ ra: 10, dec: 90 }, 2461365.5) - 33.3563) < 1e-9)
})

test('airmass() is 1 overhead, 2 at 30 degrees and finite at the horizon', () => {
  assert.ok(Math.abs(airmass(90) - 1) < 1e-3)
  assert.ok(Math.abs(airmass(30) - 1.994) < 0.01)
  assert.ok(airmass(0) > 30 && airmass(0) < 45)
})

test('galacticLatitude() of the centre of the Galaxy is 0', () => {
  assert.ok(Math.abs(galacticLatitude({ ra: 266.405, dec: -28.936 })) < 0.01)
})

test('offset() moves by what separation() finds, across 0 hours too', () => {
  const from = { ra: 359.99, dec: 60 }
  const to = offset(from, 0.05, 0)
  assert.ok(to.ra < 1)
  assert.ok(Math.abs(separation(from, to) - 0.05) < 1e-6)
})

test('nightTimes() of a night in November are those of Palomar to two minutes', () => {
  const { dusk, dawn, sunrise } = nightTimes('20261121')
  const minutes = (jd: number, iso: string): number => Math.abs(jd - jdOf(iso)) * 1440
  // Sunset 00:44, nautical dusk 01:38; nautical dawn 13:29, sunrise 14:26 (without its 1,700 m).
  assert.ok(minutes(dusk, '2026-11-21T01:39:00Z') < 3)
  assert.ok(minutes(dawn, '2026-11-21T13:30:00Z') < 4)
  assert.ok(minutes(sunrise, '2026-11-21T14:26:00Z') < 4)
})

test('planNight() visits a field in two filters, 30 minutes or more apart', () => {
  for (const night of ['20261121', '20260621']) {
    const visits = Map.groupBy(planNight(night, 1), ({ field }) => field.id)
    assert.ok(visits.size > 250, `${visits.size} fields`)
    for (const [first, second, third] of visits.values()) {
      assert.ok(first && second && !third)
      assert.notEqual(first.fid, second.fid)
      assert.ok(second.jd - first.jd > 30 / 1440)
    }
  }
})
