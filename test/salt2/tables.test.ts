import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'

import { loadModel } from '../../functions/salt2/model-files.ts'
import { bandFlux, relativeCovariance } from '../../salt2/exact.ts'
import { extinctionLaw } from '../../salt2/dust.ts'
import { ownTables } from '../../salt2/tables/files.ts'
import { sourceModel, type Model } from '../../salt2/model.ts'
import type { Parameters } from '../../salt2/result.ts'
import { dispersionOf, relativeVariance } from '../../salt2/slice-error.ts'
import { pointAt, recolour } from '../../salt2/slice-point.ts'
import { moveTo, takeSlice } from '../../salt2/slice.ts'
import { decodeTables } from '../../salt2/table-codec.ts'
import { readBand, readSource, skipWithoutSalt2 } from './model-data.ts'

test(
  'the tables err by less than 1e-4 mag over z 0 to 0.25, |c| to 1',
  { skip: skipWithoutSalt2 },
  async () => {
    const source = readSource('salt2-4')
    const model = await loadModel()
    assert.deepEqual(model.bands, ['ztfg', 'ztfr', 'ztfi'])
    assert.deepEqual(model.redshiftRange, [0, 0.25])
    for (const { band, parameters, phase } of samples(model, 1, 150)) {
      const { z, x1 } = parameters
      const times = [phase * (1 + z), 0]
      const [exact = NaN, highest = NaN] = bandFlux(source, readBand(band), parameters, times, 25)
      const ours = fluxOf(model, band, parameters, phase, 0)
      const where = `${band} z ${z} x1 ${x1} c ${parameters.c} phase ${phase}`
      assert.ok(Math.abs(ours - exact) < 1e-5 * highest, `${where}: ${ours}, not ${exact}`)
      // Where a supernova is a hundred times fainter than at its maximum, 1e-5 of that is all there is.
      if (exact < 0.01 * highest) continue
      const error = Math.abs(2.5 * Math.log10(ours / exact))
      assert.ok(error < 1e-4, `${where}: ${error} mag`)
    }
  },
)

test('dust adds an error of 1e-3 of its own size at most', { skip: skipWithoutSalt2 }, async () => {
  const source = readSource('salt2-4')
  const model = await loadModel()
  const dust = extinctionLaw('ccm89', 3.1)
  for (const mwebv of [0.05, 0.3]) {
    for (const { band, parameters, phase } of samples(model, 0.5, 30)) {
      const times = [phase * (1 + parameters.z), 0]
      const extinction = (wave: number): number => mwebv * dust(wave)
      const [exact = NaN, highest = NaN] = bandFlux(
        source,
        readBand(band),
        parameters,
        times,
        25,
        extinction,
      )
      if (exact < 0.01 * highest) continue
      const ours = fluxOf(model, band, parameters, phase, mwebv)
      assert.ok(Math.abs(2.5 * Math.log10(ours / exact)) < 1e-4 + 1e-3 * mwebv, `${band} ${phase}`)
    }
  }
})

for (const name of ['salt2-4', 'salt3-f22']) {
  test(`tables of ${name} know its own errors`, { skip: skipWithoutSalt2 }, () => {
    const source = readSource(name)
    const bands = ['ztfg', 'ztfr', 'ztfi'].map(readBand)
    const model = sourceModel(source, '', bands)
    const off: number[] = []
    for (const { band, parameters, phase } of samples(model, 0.3, 60)) {
      const bandpass = readBand(band)
      const time = [phase * (1 + parameters.z)]
      const exact = relativeCovariance(source, [bandpass], parameters, time)[0] ?? NaN
      const table = model.table(band, 0, 0.25)
      assert.ok(table)
      const slice = takeSlice(table, { law: 'ccm89', rv: 3.1, mwebv: 0 }, false)
      moveTo(slice, parameters.z)
      recolour(slice, parameters.c)
      const ours = relativeVariance(slice, phase, parameters.x1) + dispersionOf(slice) ** 2
      off.push(Math.abs(ours / exact - 1))
    }
    off.sort((a, b) => a - b)
    assert.ok((off[Math.floor(off.length * 0.95)] ?? NaN) < 0.01, `95 %: ${off.at(-9)}`)
  })
}

test('tables that are cut off or altered are refused', async () => {
  const bytes = gunzipSync(await readFile(ownTables))
  assert.equal(decodeTables(bytes).name, 'salt2-4')
  const refused = /^Error: Cannot read model tables of \d+ bytes: |Cannot read model tables/
  assert.throws(() => decodeTables(bytes.subarray(0, 4000)), refused)
  assert.throws(() => decodeTables(bytes.subarray(0, bytes.length - 1)), refused)
  assert.throws(() => decodeTables(Buffer.concat([bytes, Buffer.alloc(1)])), refused)
  assert.throws(() => decodeTables(Buffer.from('NJSALT01')), refused)
  assert.throws(() => decodeTables(Buffer.alloc(0)), refused)
  const boastful = Buffer.from(
    bytes.toString('latin1').replace('"terms":12', '"terms":99'),
    'latin1',
  )
  assert.throws(() => decodeTables(boastful), refused)
})

interface Sample {
  band: string
  parameters: Parameters
  phase: number
}

/** Places all over the model, the same at every run. */
function samples(model: Model, colours: number, count: number): Sample[] {
  let seed = 20261121
  const random = (low: number, high: number): number => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31
    return low + ((high - low) * seed) / 2 ** 31
  }
  return model.bands.flatMap((band) =>
    Array.from({ length: count }, () => ({
      band,
      parameters: {
        z: random(0, 0.25),
        t0: 0,
        x0: 1,
        x1: random(-3, 3),
        c: random(-colours, colours),
      },
      phase: random(-15, 45),
    })),
  )
}

const point = new Float64Array(8)

function fluxOf(
  model: Model,
  band: string,
  parameters: Parameters,
  phase: number,
  mwebv: number,
): number {
  const table = model.table(band, 0, 0.25)
  assert.ok(table)
  const slice = takeSlice(table, { law: 'ccm89', rv: 3.1, mwebv }, false)
  moveTo(slice, parameters.z)
  recolour(slice, parameters.c)
  pointAt(slice, phase, point)
  return (point[0] ?? NaN) + parameters.x1 * (point[1] ?? NaN)
}
