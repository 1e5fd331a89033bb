import assert from 'node:assert/strict'
import { test } from 'node:test'

import { distanceModulus } from '../../simulator/cosmology.ts'
import { iaFlux } from '../../simulator/ia-light-curve.ts'
import { magOfFlux } from '../../simulator/photometry.ts'

const ordinary = { z: 0.05, t0: 2461300, x0: 0.001, x1: 0, c: 0 }

test('iaFlux() is brightest in g within two days of t0', () => {
  const days = Array.from({ length: 61 }, (_, i) => i - 20)
  const fluxes = days.map((day) => iaFlux(ordinary, ordinary.t0 + day, 1))
  const peak = days[fluxes.indexOf(Math.max(...fluxes))] as number
  assert.ok(Math.abs(peak) <= 2, `peak on day ${peak}`)
})

test('iaFlux() of x0 = 0.001 is near B = 10.635 - 2.5 log x0 at maximum', () => {
  const mag = magOfFlux(iaFlux(ordinary, ordinary.t0, 1))
  assert.ok(Math.abs(mag - 18.135) < 0.2, `g = ${mag}`)
})

test('iaFlux() shows the second maximum of i three to five weeks after the first', () => {
  const at = (day: number): number => iaFlux(ordinary, ordinary.t0 + day, 3)
  assert.ok(at(27) > at(15) * 1.05)
  assert.ok(at(27) > at(45))
})

test('iaFlux() fades more slowly with stretch, is redder with colour, nothing before the explosion', () => {
  const later = ordinary.t0 + 15
  assert.ok(iaFlux({ ...ordinary, x1: 1 }, later, 1) > 1.05 * iaFlux(ordinary, later, 1))
  const fading = (fid: 1 | 2): number =>
    iaFlux({ ...ordinary, c: 0.2 }, later, fid) / iaFlux(ordinary, later, fid)
  assert.ok(fading(1) < fading(2))
  assert.equal(iaFlux(ordinary, ordinary.t0 - 30, 1), 0)
})

test('distanceModulus() is that of flat LCDM to 0.02 mag', () => {
  // H0 = 70, matter 0.3, by numerical integration.
  for (const [z, mu] of [
    [0.02, 34.709],
    [0.05, 36.738],
    [0.1, 38.315],
    [0.15, 39.255],
  ] as const) {
    assert.ok(Math.abs(distanceModulus(z) - mu) < 0.02, `z ${z}: ${distanceModulus(z)}`)
  }
})
