import assert from 'node:assert/strict'
import { test } from 'node:test'

import { loadModel } from '../../functions/salt2/model-files.ts'
import { fitSalt2 } from '../../salt2/fit.ts'
import { sourceModel } from '../../salt2/model.ts'
import type { FitOptions } from '../../salt2/options.ts'
import type { Fit, FitResult } from '../../salt2/result.ts'
import {
  readBand,
  readReference,
  readReferences,
  readReferenceText,
  readSource,
  skipWithoutSalt2,
} from './model-data.ts'

/** Fits of others, and of real supernovae: with the tables of the repository, as they come. */

type Shape = 't0' | 'x0' | 'x1' | 'c'
const shape = ['t0', 'x0', 'x1', 'c'] as const

interface Published {
  params: Record<Shape | 'z', number>
  errors: Record<Shape, number>
  chisq: number
  success: boolean
}

interface Curve {
  time: number[]
  band: string[]
  flux: number[]
  err: number[]
}

interface Dr1 {
  name: string
  z: number
  mwebv: number
  reproducible: boolean
  fitdata: Curve
  published: Published
  sncosmo_nomodelcov: Published
  sncosmo_zfree_nomodelcov?: { bounds: Record<'z' | 'x1' | 'c', [number, number]> }
  best_known: { zfree_nomodelcov?: { chisq: number } }
}

interface Bts {
  name: string
  z: number
  mwebv: number
  lc: Curve
  fit_mc0: Published | null
  fit_mc1: Published | null
}

const model = await loadModel()
/** sncosmo fits without bounds; these are as wide as makes sense. */
const wide = { x1: [-30, 30], c: [-3, 5], minPoints: 4 } as const

const fit = (curve: Curve, options: FitOptions): FitResult =>
  fitSalt2({ ...curve, fluxError: curve.err, zeroPoint: 25 }, model, options)

/** The largest difference of a parameter, in deviations of the reference. */
const distance = (ours: Fit, theirs: Published): number =>
  Math.max(
    ...shape.map(
      (name) => Math.abs(ours.parameters[name] - theirs.params[name]) / theirs.errors[name],
    ),
  )

test(
  'ZTF SN Ia DR1: 97 % of the published results within 0.03 σ or at lower χ²',
  { skip: skipWithoutSalt2 },
  () => {
    const curves = readReferences<Dr1>('ztf_dr1.train.jsonl.gz').filter((one) => one.reproducible)
    assert.ok(curves.length > 150)
    const others = curves.filter(({ fitdata, z, mwebv, published }) => {
      const ours = fit(fitdata, {
        ...wide,
        redshift: { kind: 'fixed', z },
        mwebv,
        phaseRange: null,
      }).fit
      return !ours || !(distance(ours, published) <= 0.03 || ours.chisq < published.chisq - 0.01)
    })
    assert.ok(others.length <= 0.03 * curves.length, others.map(({ name }) => name).join())
  },
)

for (const kind of ['fit_mc0', 'fit_mc1'] as const) {
  const how = kind === 'fit_mc1' ? 'with' : 'without'
  test(
    `BTS alert photometry ${how} model covariance: sncosmo’s minimum or a lower one`,
    { skip: skipWithoutSalt2 },
    () => {
      const tally = { curves: 0, same: 0, lower: 0, higher: 0 }
      const ratios: number[] = []
      for (const { lc, z, mwebv, [kind]: theirs } of readReferences<Bts>(
        'bts_alertphot.train.jsonl.gz',
      )) {
        if (!theirs?.success) continue
        // Where the phase cut takes nothing away, both have fitted the same.
        const phases = lc.time.map((time) => (time - theirs.params.t0) / (1 + z))
        if (phases.some((phase) => phase < -15 || phase > 45)) continue
        tally.curves += 1
        const modelCovariance = kind === 'fit_mc1'
        const { fit: ours } = fit(lc, {
          ...wide,
          redshift: { kind: 'fixed', z },
          mwebv,
          modelCovariance,
        })
        if (ours === null) continue
        const same = distance(ours, theirs) <= 0.03 && Math.abs(ours.chisq - theirs.chisq) <= 0.02
        if (same) {
          tally.same += 1
          ratios.push(...shape.map((name) => ours.errors[name] / theirs.errors[name]))
        } else if (ours.chisq < theirs.chisq) tally.lower += 1
        else tally.higher += 1
      }
      const text = JSON.stringify(tally)
      assert.ok(tally.curves > 400, text)
      assert.ok(tally.same + tally.lower >= 0.97 * tally.curves, text)
      assert.ok(tally.higher <= 0.005 * tally.curves, text)
      const close = ratios.filter((ratio) => Math.abs(ratio - 1) <= 0.1).length
      assert.ok(close >= 0.9 * ratios.length, `errors within 10 %: ${close} of ${ratios.length}`)
    },
  )
}

test('z free: no minimum is higher than the lowest known', { skip: skipWithoutSalt2 }, () => {
  const tally = { curves: 0, same: 0, lower: 0, higher: 0 }
  for (const {
    fitdata,
    mwebv,
    sncosmo_zfree_nomodelcov: theirs,
    best_known,
  } of readReferences<Dr1>('ztf_dr1.train.jsonl.gz')) {
    const known = best_known.zfree_nomodelcov?.chisq
    if (known === undefined || theirs === undefined) continue
    const { z, x1, c } = theirs.bounds
    const { fit: ours } = fit(fitdata, {
      redshift: { kind: 'free', min: z[0], max: z[1] },
      x1,
      c,
      mwebv,
      modelCovariance: false,
      phaseRange: null,
    })
    const more = (ours?.chisq ?? Infinity) - known
    tally.curves += 1
    // The tables' own error shows where χ² is large.
    if (Math.abs(more) <= 0.02 + 1e-4 * known) tally.same += 1
    else if (more < 0) tally.lower += 1
    else tally.higher += 1
  }
  assert.ok(tally.curves > 80 && tally.higher <= 0.02 * tally.curves, JSON.stringify(tally))
})

test(
  'z free with priors: redshift to 0.008, and the date of maximum to 0.9 d before it',
  { skip: skipWithoutSalt2 },
  () => {
    const redshifts: number[] = []
    const dates: number[] = []
    for (const { lc, z, mwebv, fit_mc0: theirs } of readReferences<Bts>(
      'bts_alertphot.train.jsonl.gz',
    )) {
      if (!theirs?.success || z > 0.2) continue
      const options: FitOptions = { redshift: { kind: 'priors', min: 0.001, max: 0.25 }, mwebv }
      const until = (last: number): FitResult => {
        const at = lc.time.flatMap((time, i) =>
          time < last && time > theirs.params.t0 - 25 * (1 + z) ? i : [],
        )
        const pick = <T>(column: T[]): T[] => at.flatMap((i) => column[i] ?? [])
        const cut = {
          time: pick(lc.time),
          band: pick(lc.band),
          flux: pick(lc.flux),
          err: pick(lc.err),
        }
        return fit(cut, options)
      }
      const whole = until(theirs.params.t0 + 60 * (1 + z)).fit
      if (whole !== null) redshifts.push(whole.parameters.z - z)
      const early = until(theirs.params.t0 - 3).fit
      if (early !== null) dates.push(Math.abs(early.peak.time - theirs.params.t0))
    }
    const middle = median(redshifts)
    const spread = 1.4826 * median(redshifts.map((value) => Math.abs(value - middle)))
    assert.ok(
      redshifts.length > 600 && spread <= 0.008,
      `NMAD of z: ${spread} of ${redshifts.length}`,
    )
    assert.ok(
      dates.length > 200 && median(dates) <= 0.9,
      `days: ${median(dates)} of ${dates.length}`,
    )
  },
)

test('SN 2021rhu, alert by alert, is where sncosmo has it', { skip: skipWithoutSalt2 }, () => {
  const { fits } = readReference<{ fits: { accumulated: Curve & Record<string, Published> }[] }>(
    'ztf21abiuvdk.json.gz',
  )
  assert.equal(fits.length, 34)
  let compared = 0
  for (const { accumulated } of fits) {
    const theirs = accumulated['zfixed_0.003506']
    if (accumulated.time.length < 6 || !theirs?.success) continue
    // Beyond 50 days the model knows nothing: it is cut there, lest late points pull at the date.
    const { fit: ours, reason } = fit(accumulated, {
      ...wide,
      redshift: { kind: 'fixed', z: 0.003506 },
      mwebv: 0.039,
      modelCovariance: false,
      phaseRange: [-20, 50],
    })
    assert.ok(ours, reason)
    assert.ok(
      distance(ours, theirs) <= 0.03,
      `after ${accumulated.time.length}: ${distance(ours, theirs)}`,
    )
    compared += 1
  }
  assert.ok(compared > 25)
})

test(
  'sncosmo’s example: SALT2 and SALT3, other bands, redshifts beyond the tables',
  { skip: skipWithoutSalt2 },
  () => {
    const lines = readReferenceText('sncosmo_example_photometric_data.dat').trim().split('\n')
    const rows = lines.filter((line) => /^\d/.test(line)).map((line) => line.split(/\s+/))
    const column = (i: number): number[] => rows.map((row) => Number(row[i]))
    const photometry = {
      time: column(0),
      band: rows.map((row) => row[1] ?? ''),
      flux: column(2),
      fluxError: column(3),
      zeroPoint: column(4),
    }
    const bands = ['sdssg', 'sdssr', 'sdssi', 'sdssz'].map(readBand)
    const models = {
      salt2: sourceModel(readSource('salt2-4'), '', bands),
      salt3: sourceModel(readSource('salt3-f22'), '', bands),
    }
    interface Example {
      source: ['salt2' | 'salt3', string]
      vparam: string[]
      kw: { modelcov?: boolean }
      result: {
        chisq: number
        param_names: string[]
        parameters: number[]
        errors: Record<string, number>
      }
    }
    const examples = readReference<Example[]>('sncosmo_example_fits.json.gz')
    assert.equal(examples.length, 6)
    for (const { source, vparam, kw, result } of examples) {
      const { fit: ours, reason } = fitSalt2(photometry, models[source[0]], {
        ...wide,
        redshift: vparam.includes('z')
          ? { kind: 'free', min: 0.3, max: 0.7 }
          : { kind: 'fixed', z: 0.5 },
        modelCovariance: kw.modelcov ?? false,
        phaseRange: null,
      })
      assert.equal(reason, 'ok')
      assert.ok(ours)
      const what = `${source.join(' ')} ${vparam.join()} ${JSON.stringify(kw)}`
      assert.ok(
        Math.abs(ours.chisq - result.chisq) < 0.02,
        `${what}: ${ours.chisq}, ${result.chisq}`,
      )
      for (const name of ['z', ...shape] as const) {
        const error = result.errors[name] ?? 1e-9
        const theirs = result.parameters[result.param_names.indexOf(name)] ?? NaN
        const off = Math.abs(ours.parameters[name] - theirs)
        assert.ok(off <= 0.03 * error, `${what}: ${name} ${off / error} σ`)
      }
    }
  },
)

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN
