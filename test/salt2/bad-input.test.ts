import assert from 'node:assert/strict'
import { test } from 'node:test'

import { loadModel } from '../../functions/salt2/model-files.ts'
import { modelCurve } from '../../salt2/curve.ts'
import { fitSalt2 } from '../../salt2/fit.ts'
import type { FitOptions } from '../../salt2/options.ts'
import type { Photometry } from '../../salt2/photometry.ts'
import type { FitReason } from '../../salt2/result.ts'
import { pointAt, recolour } from '../../salt2/slice-point.ts'
import { moveTo, takeSlice } from '../../salt2/slice.ts'

const model = await loadModel()
const truth = { z: 0.06, t0: 59000, x0: 2e-3, x1: 0.5, c: 0.05 }
const fixed: FitOptions = { redshift: { kind: 'fixed', z: truth.z } }

/** A light curve every two days in g and r, without noise. */
function perfect(from = -12, to = 40): Photometry {
  const time: number[] = []
  const band: string[] = []
  const flux: number[] = []
  const point = new Float64Array(8)
  for (const name of ['ztfg', 'ztfr']) {
    const table = model.table(name, truth.z, truth.z)
    assert.ok(table)
    const slice = takeSlice(table, { law: 'ccm89', rv: 3.1, mwebv: 0 }, false)
    moveTo(slice, truth.z)
    recolour(slice, truth.c)
    for (let day = from; day < to; day += 2) {
      pointAt(slice, day / (1 + truth.z), point)
      time.push(truth.t0 + day)
      band.push(name)
      flux.push(truth.x0 * ((point[0] ?? 0) + truth.x1 * (point[1] ?? 0)))
    }
  }
  return { time, band, flux, fluxError: flux.map(() => 10), zeroPoint: 25 }
}

/** The same with some columns changed point by point. */
function spoilt(
  change: (i: number) => Partial<Record<'time' | 'flux' | 'fluxError', number>>,
): Photometry {
  const curve = perfect()
  const column = (name: 'time' | 'flux' | 'fluxError'): number[] =>
    Array.from(curve[name], (value, i) => change(i)[name] ?? value)
  return { ...curve, time: column('time'), flux: column('flux'), fluxError: column('fluxError') }
}

/** Fit, see that nothing is thrown and little time passes, and say the reason. */
function reasonOf(photometry: Photometry, options: FitOptions = fixed): FitReason {
  const start = performance.now()
  const result = fitSalt2(photometry, model, options)
  assert.ok(performance.now() - start < 3000)
  assert.ok(result.message.length > 10)
  assert.equal(result.success, result.reason === 'ok')
  return result.reason
}

test('a light curve of the model itself gives back its parameters', () => {
  for (const modelCovariance of [false, true]) {
    const { fit, reason } = fitSalt2(perfect(), model, { ...fixed, modelCovariance })
    assert.equal(reason, 'ok')
    assert.ok(fit)
    assert.ok(fit.chisq < 1e-4)
    for (const name of ['t0', 'x0', 'x1', 'c'] as const) {
      assert.ok(Math.abs(fit.parameters[name] - truth[name]) < 0.01 * fit.errors[name], name)
    }
    assert.equal(fit.nData, 52)
    assert.deepEqual(fit.nDataByBand, { ztfg: 26, ztfr: 26 })
    assert.equal(fit.dof, 48)
    assert.ok(Math.abs(fit.peak.mB - 17.382) < 0.01)
  }
})

test('the order of points, and the zero points they are on, do not matter', () => {
  const curve = perfect()
  const order = Array.from(curve.time, (_, i) => i).sort(
    (a, b) => ((a * 31) % 17) - ((b * 31) % 17),
  )
  const pick = <T>(column: ArrayLike<T>): T[] => order.flatMap((i) => column[i] ?? [])
  const zeroPoint = order.map((i) => 20 + (i % 7))
  const scale = (column: ArrayLike<number>): number[] =>
    pick(column).map((value, i) => value * 10 ** (0.4 * ((zeroPoint[i] ?? 0) - 25)))
  const shuffled = {
    time: pick(curve.time),
    band: pick(curve.band),
    flux: scale(curve.flux),
    fluxError: scale(curve.fluxError),
    zeroPoint,
  }
  const one = fitSalt2(curve, model, fixed).fit
  const other = fitSalt2(shuffled, model, fixed).fit
  assert.ok(one && other)
  for (const name of ['t0', 'x0', 'x1', 'c'] as const) {
    assert.ok(Math.abs(one.parameters[name] - other.parameters[name]) < 1e-3 * one.errors[name])
  }
})

test('bad input has a reason, in bounded time', async (t) => {
  const cases: [string, FitReason, Photometry, FitOptions?][] = [
    ['no point', 'too_few_points', { ...perfect(0, 0) }],
    ['one point', 'too_few_points', { ...spoilt(() => ({})), ...first(1) }],
    ['all NaN', 'too_few_points', spoilt(() => ({ flux: NaN }))],
    ['times NaN', 'too_few_points', spoilt(() => ({ time: NaN }))],
    ['errors 0', 'too_few_points', spoilt(() => ({ fluxError: 0 }))],
    ['errors negative', 'too_few_points', spoilt(() => ({ fluxError: -1 }))],
    ['errors infinite', 'too_few_points', spoilt(() => ({ fluxError: Infinity }))],
    ['nothing but noise', 'no_signal', spoilt((i) => ({ flux: i % 2 === 0 ? 9 : -9 }))],
    ['negative fluxes', 'no_signal', spoilt(() => ({ flux: -500 }))],
    ['unknown bands', 'too_few_points', { ...perfect(), band: perfect().band.map(() => 'lsstq') }],
    ['columns of two lengths', 'input_invalid', { ...perfect(), flux: [1, 2, 3] }],
    ['a million points', 'input_invalid', many(1_000_000)],
    ['z below range', 'redshift_out_of_range', perfect(), { redshift: { kind: 'fixed', z: -0.1 } }],
    ['z above range', 'redshift_out_of_range', perfect(), { redshift: { kind: 'fixed', z: 0.9 } }],
    ['z NaN', 'redshift_out_of_range', perfect(), { redshift: { kind: 'fixed', z: NaN } }],
    ['bounds the wrong way round', 'input_invalid', perfect(), { ...fixed, x1: [3, -3] }],
    ['dust NaN', 'input_invalid', perfect(), { ...fixed, mwebv: NaN }],
    [
      'priors down to z 0',
      'input_invalid',
      perfect(),
      { redshift: { kind: 'priors', min: 0, max: 0.2 } },
    ],
    ['a date out of reach', 'at_bound', perfect(), { ...fixed, t0: [59005, 59010] }],
    ['all after the phases', 'too_few_points', perfect(), { ...fixed, phaseRange: [200, 300] }],
  ]
  for (const [name, reason, photometry, options] of cases) {
    await t.test(`${name}: ${reason}`, () => {
      assert.equal(reasonOf(photometry, options), reason)
    })
  }

  await t.test('one band alone leaves the colour open, and its error says so', () => {
    const { reason, fit } = fitSalt2(onlyOne(), model, fixed)
    assert.ok(['ok', 'undetermined', 'no_convergence', 'at_bound'].includes(reason))
    assert.ok(!((fit?.errors.c ?? NaN) < 0.3), `error of c: ${fit?.errors.c}`)
  })

  await t.test('twenty thousand points are fitted', () => {
    assert.equal(reasonOf(many(20_000)), 'ok')
  })

  await t.test('one epoch many times over is fitted or has a reason', () => {
    const same = spoilt(() => ({ time: 59000 }))
    assert.ok(['undetermined', 'no_convergence', 'at_bound', 'ok'].includes(reasonOf(same)))
  })

  await t.test('numbers beyond all measure have a reason or a fit, but no exception', () => {
    for (const flux of [1e300, 1e-300, Number.MAX_VALUE]) {
      for (const fluxError of [1e-300, 1e290, 1]) reasonOf(spoilt(() => ({ flux, fluxError })))
    }
    reasonOf(spoilt((i) => ({ time: i % 2 === 0 ? 1e300 : -1e300 })))
    reasonOf(spoilt((i) => ({ time: i * 1e6 })))
  })

  await t.test('a few bad points are counted, and the rest is fitted', () => {
    const curve = spoilt((i) => (i === 3 ? { flux: NaN } : i === 7 ? { fluxError: 0 } : {}))
    const band = curve.band.map((name, i) => (i === 11 ? 'lsstq' : name))
    const { reason, rejected, fit } = fitSalt2({ ...curve, band }, model, fixed)
    assert.equal(reason, 'ok')
    assert.deepEqual(rejected, { notANumber: 2, unknownBand: 1 })
    assert.deepEqual(
      [3, 7, 11, 12].map((i) => fit?.used[i]),
      [0, 0, 0, 1],
    )
  })
})

test('the curve of a fit goes through its points, and its error band is that of the fit', () => {
  const curve = perfect()
  const { fit } = fitSalt2(curve, model, fixed)
  assert.ok(fit)
  const g = curve.band.map((name, i) => (name === 'ztfg' ? i : -1)).filter((i) => i >= 0)
  const drawn = modelCurve(
    model,
    fit,
    'ztfg',
    g.map((i) => curve.time[i] ?? NaN),
    25,
  )
  for (const [k, i] of g.entries()) {
    assert.ok(Math.abs((drawn.flux[k] ?? NaN) - (curve.flux[i] ?? NaN)) < 0.1)
    assert.ok((drawn.parameterError[k] ?? NaN) < 40 && (drawn.modelError[k] ?? NaN) > 0)
  }
  const peak = fit.peak.bands['ztfg']
  assert.ok(peak)
  const [top = NaN, beside = NaN] = modelCurve(
    model,
    fit,
    'ztfg',
    [peak.time, peak.time + 1],
    25,
  ).flux
  assert.ok(top > beside)
  assert.ok(Math.abs(25 - 2.5 * Math.log10(top) - peak.mag) < 1e-6)
  assert.ok(peak.magError > 0 && peak.magError < 0.05)
  assert.ok(modelCurve(model, fit, 'lsstq', [59000], 25).flux.every(Number.isNaN))
  assert.deepEqual([...modelCurve(model, fit, 'ztfg', [58000, NaN], 25).flux], [0, 0])
})

test('derivatives are those of the model', () => {
  const table = model.table('ztfg', 0, 0.2)
  assert.ok(table)
  const slice = takeSlice(table, { law: 'f99', rv: 3.1, mwebv: 0.1 }, true)
  const at = (z: number, c: number, phase: number): Float64Array => {
    moveTo(slice, z)
    recolour(slice, c)
    const out = new Float64Array(8)
    pointAt(slice, phase, out)
    return out
  }
  for (const phase of [-19.5, -7.3, 0.4, 21.9, 49.2]) {
    const here = at(0.0611, 0.13, phase)
    const h = 1e-5
    const slopes = [
      difference(at(0.0611, 0.13, phase + h), at(0.0611, 0.13, phase - h), h),
      difference(at(0.0611, 0.13 + h, phase), at(0.0611, 0.13 - h, phase), h),
      difference(at(0.0611 + h, 0.13, phase), at(0.0611 - h, 0.13, phase), h),
    ].flat()
    const size = Math.abs(here[0] ?? 0) + Math.abs(here[1] ?? 0)
    for (const [k, slope] of slopes.entries()) {
      assert.ok(Math.abs(slope - (here[2 + k] ?? NaN)) < 2e-4 * size, `${phase}, derivative ${k}`)
    }
  }
})

const difference = (above: Float64Array, below: Float64Array, h: number): number[] =>
  [0, 1].map((k) => ((above[k] ?? NaN) - (below[k] ?? NaN)) / (2 * h))

function first(count: number): Photometry {
  const { time, band, flux, fluxError } = perfect()
  const cut = (column: ArrayLike<number>): number[] => Array.from(column).slice(0, count)
  return {
    time: cut(time),
    band: band.slice(0, count),
    flux: cut(flux),
    fluxError: cut(fluxError),
    zeroPoint: 25,
  }
}

function onlyOne(): Photometry {
  const curve = perfect()
  return first(curve.time.length / 2)
}

function many(count: number): Photometry {
  const { time, band, flux } = perfect()
  const pick = <T>(column: ArrayLike<T>): T[] =>
    Array.from({ length: count }, (_, i) => column[i % column.length] as T)
  return {
    time: pick(time),
    band: pick(band),
    flux: pick(flux),
    fluxError: pick(flux).map(() => 10),
    zeroPoint: 25,
  }
}
