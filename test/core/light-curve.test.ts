import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { isPositive, lightCurveOf } from '../../core/light-curve.ts'
import { readAlert } from '../../schemas/alert.ts'
import { dataDir, skipWithoutData } from '../data.ts'

test('isPositive() reads four spellings and says null to all else', () => {
  assert.deepEqual(['t', '1'].map(isPositive), [true, true])
  assert.deepEqual(['f', '0'].map(isPositive), [false, false])
  for (const other of [null, undefined, '', 'T', 1, 0, true, 'null']) {
    assert.equal(isPositive(other), null)
  }
})

test('lightCurveOf() orders detections and limits of a ZTF packet by time', () => {
  const points = lightCurveOf({
    candidate: { jd: 30, fid: 1, magpsf: 18, sigmapsf: 0.1, diffmaglim: 20, isdiffpos: 'f' },
    prv_candidates: [
      { jd: 10, fid: 2, magpsf: null, diffmaglim: 20.5, isdiffpos: null },
      { jd: 20, fid: 3, magpsf: 19, sigmapsf: 0.2, diffmaglim: 19.8, isdiffpos: '1' },
    ],
  })
  const shown = points.map(({ flux, fluxErr, ...rest }) => ({
    ...rest,
    ...(flux === undefined ? {} : { flux: Math.round(flux), fluxErr: Math.round(fluxErr ?? 0) }),
  }))
  assert.deepEqual(shown, [
    { jd: 10, fid: 2, band: 'r', kind: 'limit', limit: 20.5, positive: true },
    {
      ...{ jd: 20, fid: 3, band: 'i', kind: 'detection', mag: 19, magErr: 0.2, limit: 19.8 },
      ...{ positive: true, flux: 91201, fluxErr: 16800 },
    },
    {
      ...{ jd: 30, fid: 1, band: 'g', kind: 'detection', mag: 18, magErr: 0.1, limit: 20 },
      ...{ positive: false, flux: -229087, fluxErr: 21100 },
    },
  ])
})

test('lightCurveOf() scales forced photometry to nJy and leaves out what failed', () => {
  const entry = { fid: 2, magzpsci: 26.4, diffmaglim: 20.5, forcediffimfluxunc: 20 }
  const points = lightCurveOf({
    fp_hists: [
      { ...entry, jd: 3, forcediffimflux: 100 },
      { ...entry, jd: 2, forcediffimflux: -99999, forcediffimfluxunc: -99999, procstatus: '61' },
      { ...entry, jd: 1, forcediffimflux: -100 },
    ],
  })
  assert.deepEqual(
    points.map(({ kind, flux, fluxErr, mag, positive }) => [
      kind,
      Math.round(flux as number),
      Math.round(fluxErr as number),
      mag?.toFixed(2),
      positive,
    ]),
    [
      ['forced', -10000, 2000, '21.40', false],
      ['forced', 10000, 2000, '21.40', true],
    ],
  )
})

test('lightCurveOf() is quiet about what is missing: -999, NaN, null, absent, no list', () => {
  assert.deepEqual(lightCurveOf({}), [])
  assert.deepEqual(lightCurveOf({ candidate: null, prv_candidates: null, fp_hists: [] }), [])
  const nothing = [
    { jd: NaN, fid: 1, magpsf: 18 },
    { jd: 1, magpsf: 18 },
    { jd: 1, fid: 9 },
  ]
  assert.deepEqual(lightCurveOf({ prv_candidates: [...nothing, null, 'x'] }), [])
  const [limit] = lightCurveOf({ candidate: { jd: 1, fid: 1, magpsf: -999, diffmaglim: 20 } })
  assert.equal(limit?.kind, 'limit')
})

test('lightCurveOf() reads LSST sources in nJy at JD of MJD', () => {
  const points = lightCurveOf({
    diaSource: { midpointMjdTai: 61000.5, band: 'z', psfFlux: 36307.8, psfFluxErr: 100 },
    prvDiaSources: null,
    prvDiaForcedSources: [
      { midpointMjdTai: 60999.5, band: 'y', psfFlux: -20, psfFluxErr: 10 },
      { midpointMjdTai: 60998.5, band: 'y', psfFlux: NaN },
    ],
  })
  assert.deepEqual(
    points.map(({ jd, band, kind, mag, flux, positive }) => [
      ...[jd, band, kind, mag?.toFixed(2), flux, positive],
    ]),
    [
      [2461000, 'y', 'forced', '28.15', -20, false],
      [2461001, 'z', 'detection', '20.00', 36307.8, true],
    ],
  )
})

test('lightCurveOf() shows SN 2021rhu rise and fall', { skip: skipWithoutData }, () => {
  const folder = join(dataDir, 'ztf/sn2021rhu-ZTF21abiuvdk-v3.3-pitt-google')
  const red = new Map<number, number>()
  for (const name of readdirSync(folder).filter((entry) => entry.endsWith('.avro'))) {
    const { record } = readAlert(readFileSync(join(folder, name)))
    for (const point of lightCurveOf(record)) {
      if (point.kind !== 'detection' || point.fid !== 2) continue
      assert.ok(point.positive)
      red.set(point.jd, point.mag as number)
    }
  }
  const curve = [...red].sort(([a], [b]) => a - b)
  const brightest = curve.reduce((best, point) => (point[1] < best[1] ? point : best))
  assert.ok(brightest[1] < 12.6)
  assert.ok((curve[0]?.[1] ?? 0) > 15 && (curve.at(-1)?.[1] ?? 0) > 14)
  assert.ok(brightest[0] - (curve[0]?.[0] ?? 0) > 10)
})
