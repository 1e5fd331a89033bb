import assert from 'node:assert/strict'
import { test } from 'node:test'

import { healpix29, healpixCentre } from '../../core/healpix.ts'
import table from './healpix-vectors.json' with { type: 'json' }

test('healpix29() agrees with cdshealpix all over the sky', () => {
  assert.equal(table.vectors.length, 200)
  for (const [ra, dec, pixel] of table.vectors as [number, number, string][]) {
    assert.equal(String(healpix29(ra, dec)), pixel, `at ${ra}, ${dec}`)
  }
})

test('healpix29() takes right ascension in any turn', () => {
  for (const [ra, dec] of [
    [10.5, 41.25],
    [359.5, -65],
    [200.25, 80],
  ] as const) {
    for (const turns of [-720, -360, 360, 3600]) {
      assert.equal(healpix29(ra + turns, dec), healpix29(ra, dec))
    }
  }
})

test('healpix29() stays within 12 · 4^29 at poles, corners and edges', () => {
  for (const dec of [-90, -45, 0, 45, 90, Math.asin(2 / 3) * (180 / Math.PI)]) {
    for (let ra = -45; ra <= 405; ra += 45) {
      const pixel = healpix29(ra, dec)
      assert.ok(pixel >= 0n && pixel < 12n << 58n, `${pixel} at ${ra}, ${dec}`)
    }
  }
  // The poles belong to a corner of four faces each: the last pixel of a northern, the first of a southern.
  for (let ra = 1; ra < 360; ra += 90) {
    const quarter = BigInt(Math.floor(ra / 90))
    assert.equal(healpix29(ra, 90), ((quarter + 1n) << 58n) - 1n)
    assert.equal(healpix29(ra, -90), (quarter + 8n) << 58n)
  }
})

test('healpix29() of neighbours shares the coarse pixel', () => {
  const [a, b] = [healpix29(150.1, 2.2), healpix29(150.1 + 1e-6, 2.2)]
  assert.notEqual(a, b)
  assert.equal(a >> 32n, b >> 32n)
})

test('healpixCentre() lies in its own pixel, for every pixel of orders 0 to 4', () => {
  for (let order = 0; order <= 4; order++) {
    for (let index = 0; index < 12 * 4 ** order; index++) {
      const { ra, dec } = healpixCentre(order, index)
      assert.equal(
        healpix29(ra, dec) >> BigInt(2 * (29 - order)),
        BigInt(index),
        `${order}/${index}`,
      )
    }
  }
})
