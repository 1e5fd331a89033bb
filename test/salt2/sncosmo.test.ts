import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join, resolve } from 'node:path'
import { test } from 'node:test'

import { loadModel } from '../../functions/salt2/model-files.ts'
import { fitSalt2 } from '../../salt2/fit.ts'
import { skipWithout } from '../data.ts'
import { readReferences, salt2Dir, skipWithoutSalt2 } from './model-data.ts'

const peer = resolve(import.meta.dirname, '../../bench/salt2_peer.py')
const package_ = '/usr/lib/python3/dist-packages/sncosmo'
const skip = skipWithoutSalt2 || skipWithout(package_, 'make peers installs it on Debian')

interface Bts {
  z: number
  mwebv: number
  lc: { time: number[]; band: string[]; flux: number[]; err: number[] }
  fit_mc0: { params: { t0: number }; success: boolean } | null
}

interface PeerFit {
  curve: number
  chisq?: number
  ndof: number
  parameters: Record<string, number>
  errors: Record<string, number>
}

test('the phase cut and the model covariance go round as sncosmo’s do', { skip }, async () => {
  const model = await loadModel()
  // Curves that go on after the model has ended: where it matters what is cut, and when.
  const curves = readReferences<Bts>('bts_alertphot.train.jsonl.gz')
    .filter(({ lc, z, fit_mc0 }) => {
      const days = Math.max(...lc.time) - (fit_mc0?.params.t0 ?? NaN)
      return fit_mc0?.success === true && days > 46 * (1 + z) && lc.time.length > 12
    })
    .filter((_, i) => i % 6 === 0)
    .slice(0, 24)
    .map(({ lc, z, mwebv }) => ({ ...lc, z, mwebv }))
  assert.ok(curves.length >= 20)
  const theirs = fitThere(curves)
  let agree = 0
  const others: string[] = []
  for (const { curve, chisq = NaN, ndof, parameters, errors } of theirs) {
    const one = curves[curve]
    if (one === undefined) continue
    const photometry = { ...one, fluxError: one.err, zeroPoint: 25 }
    const { fit, reason } = fitSalt2(photometry, model, {
      redshift: { kind: 'fixed', z: one.z },
      mwebv: one.mwebv,
      x1: [-30, 30],
      c: [-3, 5],
    })
    const off = (['t0', 'x0', 'x1', 'c'] as const).map(
      (name) =>
        Math.abs((fit?.parameters[name] ?? NaN) - (parameters[name] ?? NaN)) /
        (errors[name] ?? NaN),
    )
    // Rounds of cutting may end at other points: then their χ² a degree of freedom must not be higher.
    const better = fit !== null && fit.chisq / fit.dof <= chisq / ndof
    if (Math.max(...off) <= 0.05 || better) agree += 1
    else others.push(`${curve}: ${reason}, ${off.map((value) => value.toFixed(3)).join()} σ`)
  }
  assert.ok(agree >= 0.95 * theirs.length, others.join('; '))
})

function fitThere(curves: object[]): PeerFit[] {
  const bands = { ztfg: 'P48_g.dat', ztfr: 'P48_R.dat', ztfi: 'P48_I.dat' }
  const paths = Object.entries(bands).map(([band, file]) => [
    band,
    join(salt2Dir, 'bandpasses', file),
  ])
  const job = {
    model: join(salt2Dir, 'models/salt2-4'),
    bands: Object.fromEntries(paths) as Record<string, string>,
    curves,
    modes: ['phases'],
  }
  const { stdout, stderr, status } = spawnSync('/usr/bin/python3', [peer], {
    input: JSON.stringify(job),
    encoding: 'utf8',
  })
  assert.equal(status, 0, stderr)
  const lines = stdout.split('\n').filter((line) => line.startsWith('{'))
  return lines.map((line) => JSON.parse(line) as PeerFit).filter(({ chisq }) => chisq !== undefined)
}
