import assert from 'node:assert/strict'
import { test } from 'node:test'

import { failedCut } from '../../../functions/salt2/cuts.ts'
import {
  measurementsOf,
  mjdOf,
  onePerExposure,
  type Measurement,
} from '../../../functions/salt2/measurement.ts'
import { standard } from '../../../functions/salt2/settings.ts'

const detection = { fid: 1, magpsf: 20, sigmapsf: 0.1, diffmaglim: 21, isdiffpos: 't' }
const forced = { fid: 2, magzpsci: 26.4, diffmaglim: 21, forcediffimfluxunc: 20, procstatus: '0' }

test('measurementsOf() keeps the sign of a subtraction in all four spellings of isdiffpos', () => {
  const signs = ['t', '1', 'f', '0'].map((isdiffpos, i) => {
    const [point] = measurementsOf({ candidate: { ...detection, jd: 2459000.5 + i, isdiffpos } })
    return Math.sign(point?.flux ?? NaN)
  })
  assert.deepEqual(signs, [1, 1, -1, -1])
})

test('measurementsOf() has flux errors by ln 10 / 2.5', () => {
  const [point] = measurementsOf({ candidate: { ...detection, jd: 2459000.5 } })
  const { flux = 0, fluxErr = 0 } = point ?? {}
  assert.ok(Math.abs(flux / 10 ** (0.4 * (31.4 - 20)) - 1) < 1e-12)
  assert.ok(Math.abs(fluxErr / flux - (0.1 * Math.LN10) / 2.5) < 1e-12)
})

test('measurementsOf() takes forced photometry that is good, and leaves limits and rubbish out', () => {
  const points = measurementsOf({
    candidate: { ...detection, jd: 2459010.5 },
    prv_candidates: [
      { ...detection, jd: 2459001.5, magpsf: null },
      { ...detection, jd: 2459002.5, sigmapsf: null },
      { ...detection, jd: 2459003.5, sigmapsf: 0 },
      { ...detection, jd: 5, fid: 1 },
      { ...detection, jd: 2459004.5, fid: 7 },
    ],
    fp_hists: [
      { ...forced, jd: 2459005.5, forcediffimflux: -100 },
      { ...forced, jd: 2459006.5, forcediffimflux: 100, procstatus: '56' },
      { ...forced, jd: 2459007.5, forcediffimflux: -99999, procstatus: '61' },
    ],
  })
  assert.deepEqual(
    points.map(({ band, kind, jd, flux }) => [band, kind, jd, Math.sign(flux)]),
    [
      ['r', 'forced', 2459005.5, -1],
      ['g', 'detection', 2459010.5, 1],
    ],
  )
})

test('onePerExposure() prefers what was forced at the place, and sorts by time', () => {
  const point = { band: 'g', kind: 'detection', jd: 2459002.5, flux: 3, fluxErr: 1 } as const
  const same = { ...point, kind: 'forced', flux: 2 } as const
  const other = { ...point, band: 'r' } as const
  const earlier = { ...point, jd: 2459001.5 } as const
  assert.deepEqual(onePerExposure([point, same, other, earlier]), [earlier, same, other])
  assert.deepEqual(onePerExposure([same, point]), [same])
})

test('mjdOf() is the Julian date less 2400000.5', () => {
  assert.equal(mjdOf(2459000.5), 59000)
})

const point = (day: number, band: Measurement['band'], flux = 10): Measurement => ({
  ...{ band, kind: 'detection', jd: 2459000.5 + day, flux, fluxErr: 1 },
})

test('failedCut() says what a light curve lacks', () => {
  const five = [0, 2, 4, 6, 8].map((day) => point(day, day > 2 ? 'r' : 'g'))
  const rest = five.slice(1)
  const of = (points: readonly Measurement[]) => failedCut(points, standard.cuts)
  assert.equal(of(five), undefined)
  assert.equal(of([]), '0 of 8 detections in one band')
  assert.equal(of(rest), '4 of 5 detections')
  assert.equal(of(five.map((one) => ({ ...one, band: 'g' }))), '5 of 8 detections in one band')
  assert.equal(of([...rest, point(0, 'g', 4.9)]), '4 of 5 detections')
  assert.equal(of([...rest, point(0, 'g', -50)]), '4 of 5 detections', 'darkness is no light')
  assert.equal(
    of(five.map((one) => ({ ...one, jd: 2459000.5 + (one.jd - 2459000.5) / 4 }))),
    'detections span 2.0 of 4 days',
  )
  assert.equal(of([...rest, point(90, 'g')]), '1 of 3 detections in the last 30 days')
})
