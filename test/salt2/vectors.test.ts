import assert from 'node:assert/strict'
import { test } from 'node:test'

import {
  abZeroPoint,
  effectiveWave,
  fluxStep,
  nodesOf,
  rangeOf,
  type Bandpass,
} from '../../salt2/bandpass.ts'
import { extinctionLaw } from '../../salt2/dust.ts'
import { bandFlux, fluxDensity, relativeCovariance } from '../../salt2/exact.ts'
import { gridAt, type Grid } from '../../salt2/grid.ts'
import { dispersionAt, type Source } from '../../salt2/source.ts'
import {
  readBand,
  readReference,
  readReferenceText,
  readSource,
  skipWithoutSalt2,
} from './model-data.ts'

/** What sncosmo 2.9.0 says of a model, number by number. */
interface Vectors {
  colorlaw: Sampled
  colordisp: Sampled
  grid: Record<'phase' | 'wave', number[]> & Record<string, number[]>
  extinction: { wave: number[] } & Record<'ccm89' | 'odonnell94' | 'fitzpatrick99', number[]>
  bands: Record<string, BandFacts>
  cases: Case[]
}

interface Sampled {
  wave: number[]
  value: number[]
}

interface BandFacts {
  minwave: number
  maxwave: number
  wave_eff: number
  zpbandflux_ab: number
  n5: number
  dwave5: number
}

interface Case extends Record<'z' | 't0' | 'x0' | 'x1' | 'c' | 'MWebv' | 'MWr_v', number> {
  time: number[]
  band: string[]
  bandflux_zp25_ab: number[]
  rcov: number[][]
}

const models = [
  { name: 'salt2-4', file: 'vectors_salt2_2.4.json.gz' },
  { name: 'salt3-f22', file: 'vectors_salt3_2.0.json.gz' },
]

for (const { name, file } of models) {
  test(`${name} is what sncosmo says, number by number`, { skip: skipWithoutSalt2 }, async (t) => {
    const source = readSource(name)
    const vectors = readReference<Vectors>(file)

    await t.test('grids to 1e-14', () => {
      const grids: Record<string, Grid | null> = {
        M0: source.m0,
        M1: source.m1,
        LCRV00: source.variance0,
        LCRV11: source.variance1,
        LCRV01: source.covariance,
        errscale: source.scaling,
      }
      const { phase, wave } = vectors.grid
      for (const [key, grid] of Object.entries(grids)) {
        if (grid === null) continue
        const ours = phase.map((at, i) => gridAt(grid, at, wave[i] ?? NaN))
        assert.ok(differs(ours, vectors.grid[key] ?? []) <= 1e-14, key)
      }
    })

    await t.test('colour law and colour dispersion to 1e-14', () => {
      const law = vectors.colorlaw.wave.map((wave) => source.law.at(wave))
      assert.ok(differs(law, vectors.colorlaw.value) <= 1e-14)
      const sigma = vectors.colordisp.wave.map((wave) => dispersionAt(source, wave))
      assert.ok(differs(sigma, vectors.colordisp.value) <= 1e-14)
    })

    await t.test('band fluxes to 1e-9 of the highest, relative covariances to 1e-9', () => {
      const bands = new Map<string, Bandpass>()
      const bandOf = (key: string): Bandpass => {
        const band = bands.get(key) ?? readBand(key)
        bands.set(key, band)
        return band
      }
      const dust = extinctionLaw('ccm89', 3.1)
      for (const one of vectors.cases) {
        const flux = one.time.map(
          (time, i) =>
            bandFlux(
              source,
              bandOf(one.band[i] ?? ''),
              one,
              [time],
              25,
              (wave) => one.MWebv * dust(wave),
            )[0] ?? NaN,
        )
        const highest = Math.max(...one.bandflux_zp25_ab.map(Math.abs))
        const worst = flux.map((value, i) => Math.abs(value - (one.bandflux_zp25_ab[i] ?? NaN)))
        assert.ok(Math.max(...worst) <= 1e-9 * highest, `z ${one.z} c ${one.c}: ${worst.join()}`)
        const covariance = relativeCovariance(source, one.band.map(bandOf), one, one.time)
        assert.ok(differs([...covariance], one.rcov.flat()) <= 1e-9, `covariance at z ${one.z}`)
      }
      assert.equal(vectors.cases.length, 40)
    })
  })
}

test('Milky Way extinction follows its three laws to 1e-14', { skip: skipWithoutSalt2 }, () => {
  const { extinction } = readReference<Vectors>('vectors_salt2_2.4.json.gz')
  const laws = { ccm89: 'ccm89', odonnell94: 'odonnell94', f99: 'fitzpatrick99' } as const
  for (const [ours, theirs] of Object.entries(laws)) {
    const law = extinctionLaw(ours as keyof typeof laws, 3.1)
    const values = extinction.wave.map((wave) => law(wave) / 3.1)
    assert.ok(differs(values, extinction[theirs]) <= 1e-14, ours)
  }
})

test('bandpasses are trimmed, and have sncosmo’s zero points', { skip: skipWithoutSalt2 }, () => {
  const { bands } = readReference<Vectors>('vectors_salt2_2.4.json.gz')
  for (const [name, facts] of Object.entries(bands)) {
    // sncosmo smooths Bessell's curves, which only matters to its peak magnitudes.
    if (name.startsWith('bessell')) continue
    const band = readBand(name)
    const [low, high] = rangeOf(band)
    const nodes = nodesOf(band, fluxStep)
    const ours = [low, high, nodes.wave.length, nodes.step, effectiveWave(band), abZeroPoint(band)]
    const { minwave, maxwave, n5, dwave5, wave_eff, zpbandflux_ab } = facts
    const theirs = [minwave, maxwave, n5, dwave5, wave_eff, zpbandflux_ab]
    assert.ok(differs(ours, theirs) <= 1e-12, `${name}: ${ours.join()} and ${theirs.join()}`)
  }
})

test('grids are interpolated as the original snfit does', { skip: skipWithoutSalt2 }, () => {
  const rows = (part: string): number[][] => numbers(`snfit/interpolation_test_${part}.dat`)
  const input = rows('input')
  const phase = Float64Array.from(new Set(input.map((row) => row[0] ?? NaN)))
  const wave = Float64Array.from(new Set(input.map((row) => row[1] ?? NaN)))
  const grid = { phase, wave, values: Float64Array.from(input, (row) => row[2] ?? NaN) }
  const expected = rows('result')
  for (const [i, [x]] of rows('evalx').entries()) {
    for (const [j, [y]] of rows('evaly').entries()) {
      const value = gridAt(grid, x ?? NaN, y ?? NaN)
      assert.ok(Math.abs(value - (expected[i]?.[j] ?? NaN)) < 2e-6, `at ${x}, ${y}: ${value}`)
    }
  }
})

test('spectra are those of the original snfit', { skip: skipWithoutSalt2 }, () => {
  const source: Source = readSource('salt2-4')
  for (const number of [1, 2, 3, 4]) {
    const file = `snfit/salt2_timeseries_${number}.dat`
    const at = settings(file)
    const lines = numbers(file).filter((row) => row.length === 3)
    const ours: number[] = []
    const theirs: number[] = []
    for (const [time = NaN, wave = NaN, flux = NaN] of lines) {
      ours.push(fluxDensity(source, at, time, wave))
      // snfit means energy where sncosmo means photons arriving.
      theirs.push(flux / (1 + at.z) ** 2)
    }
    const highest = Math.max(...theirs)
    assert.ok(lines.length > 50)
    assert.ok(
      Math.max(...ours.map((value, i) => Math.abs(value - (theirs[i] ?? 0)))) < 1e-9 * highest,
      file,
    )
  }
})

const numbers = (file: string): number[][] =>
  readReferenceText(file)
    .split('\n')
    .filter((line) => /^\s*[-\d]/.test(line))
    .map((line) => line.trim().split(/\s+/).map(Number))

function settings(file: string): Record<'z' | 't0' | 'x0' | 'x1' | 'c', number> {
  const text = readReferenceText(file)
  const of = (name: string): number => Number(text.match(new RegExp(`@${name} +(\\S+)`))?.[1])
  return { z: of('Redshift'), t0: of('DayMax'), x0: of('X0'), x1: of('X1'), c: of('Color') }
}

/** The largest relative difference; infinite where lengths differ. */
function differs(ours: readonly number[], theirs: readonly number[]): number {
  if (ours.length !== theirs.length) return Infinity
  return ours.reduce((worst, value, i) => {
    const other = theirs[i] ?? NaN
    const difference = value === other ? 0 : Math.abs(value - other) / Math.abs(other)
    return difference > worst || Number.isNaN(difference) ? difference : worst
  }, 0)
}
