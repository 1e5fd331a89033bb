/**
 * The light-curve fit beside sncosmo (iminuit's MIGRAD): real light curves with the redshift fixed, with
 * the model's covariance, and with the redshift free; then where our time goes. Both on one core, by CPU
 * time, so that what else the machine does hardly matters.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { gunzipSync } from 'node:zlib'

import { formatTable } from '../cli/text-table.ts'
import { loadModel } from '../functions/salt2/model-files.ts'
import { fitSalt2 } from '../salt2/fit.ts'
import { likelihoodOf } from '../salt2/likelihood.ts'
import { minimise } from '../salt2/minimise.ts'
import type { FitOptions } from '../salt2/options.ts'
import { pointsOf } from '../salt2/points.ts'
import type { FitResult } from '../salt2/result.ts'
import { takeSlice } from '../salt2/slice.ts'
import { guess, searchStarts } from '../salt2/starts.ts'

interface Curve {
  time: number[]
  band: string[]
  flux: number[]
  err: number[]
  z: number
  mwebv: number
}

interface PeerFit {
  mode: Mode
  curve: number
  cpu: number
  chisq?: number
}

type Mode = 'fixed' | 'covariance' | 'free'
const modes: Mode[] = ['fixed', 'covariance', 'free']
const perSet = 40
const repeats = 15

const data = resolve(
  process.env['NIGHTJAR_DATA'] ?? resolve(import.meta.dirname, '../../shared/data'),
  'salt2',
)
if (!existsSync(data)) {
  process.stdout.write(`salt2: skipped, there is no ${data}; set NIGHTJAR_DATA\n`)
  process.exit()
}

const model = await loadModel()
const sets = [
  { name: 'BTS alert photometry', curves: readBts() },
  { name: 'ZTF SN Ia DR1', curves: readDr1() },
]

const rows: string[][] = []
for (const { name, curves } of sets) {
  const theirs = runPeer(curves)
  for (const mode of modes) {
    const ours = best(() => fitAll(curves, mode))
    const peer = theirs.filter((one) => one.mode === mode)
    const cpu = (1000 * peer.reduce((sum, one) => sum + one.cpu, 0)) / curves.length
    const tally = compare(ours.results, peer)
    rows.push([
      name,
      String(median(curves.map(({ time }) => time.length))),
      mode,
      cpu.toFixed(1),
      ours.milliseconds.toFixed(3),
      `${(cpu / ours.milliseconds).toFixed(0)}×`,
      (1000 / ours.milliseconds).toFixed(0),
      `${tally.same} / ${tally.lower} / ${tally.higher}`,
    ])
  }
}
process.stdout.write(
  formatTable(
    [
      'light curves',
      'points',
      'z',
      'sncosmo ms',
      'ours ms',
      'ratio',
      'fits/s',
      'χ² same/lower/higher',
    ],
    rows,
  ),
)
process.stdout.write('\nWhere the time goes, BTS, z fixed, µs a fit:\n')
process.stdout.write(formatTable(['part', 'µs'], shares(sets[0]?.curves ?? [])))

function optionsOf({ z, mwebv }: Curve, mode: Mode): FitOptions {
  const plain = { mwebv, phaseRange: null, modelCovariance: mode === 'covariance' } as const
  if (mode !== 'free')
    return { ...plain, redshift: { kind: 'fixed', z }, x1: [-30, 30], c: [-3, 5] }
  return { ...plain, redshift: { kind: 'free', min: 0.01, max: 0.2 }, x1: [-5, 5], c: [-2, 2] }
}

function fitAll(curves: Curve[], mode: Mode): FitResult[] {
  return curves.map((curve) =>
    fitSalt2({ ...curve, fluxError: curve.err, zeroPoint: 25 }, model, optionsOf(curve, mode)),
  )
}

/** CPU milliseconds a fit, the best of some rounds. */
function best(work: () => FitResult[]): { milliseconds: number; results: FitResult[] } {
  let milliseconds = Infinity
  let results: FitResult[] = []
  for (let i = 0; i < repeats; i++) {
    const start = process.cpuUsage()
    results = work()
    const { user, system } = process.cpuUsage(start)
    milliseconds = Math.min(milliseconds, (user + system) / 1000 / results.length)
  }
  return { milliseconds, results }
}

function compare(
  ours: FitResult[],
  theirs: PeerFit[],
): Record<'same' | 'lower' | 'higher', number> {
  const tally = { same: 0, lower: 0, higher: 0 }
  for (const { curve, chisq = Infinity } of theirs) {
    const more = (ours[curve]?.fit?.chisq ?? Infinity) - chisq
    if (Math.abs(more) <= 0.02) tally.same += 1
    else if (more < 0) tally.lower += 1
    else tally.higher += 1
  }
  return tally
}

function runPeer(curves: Curve[]): PeerFit[] {
  const bands = Object.fromEntries(
    Object.entries({ ztfg: 'P48_g', ztfr: 'P48_R', ztfi: 'P48_I' }).map(([band, file]) => [
      band,
      join(data, 'bandpasses', `${file}.dat`),
    ]),
  )
  const job = { model: join(data, 'models/salt2-4'), bands, curves, modes }
  const peer = spawnSync('/usr/bin/python3', [join(import.meta.dirname, 'salt2_peer.py')], {
    input: JSON.stringify(job),
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    env: { ...process.env, OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1' },
  })
  if (peer.status !== 0) {
    throw new Error(`Cannot run sncosmo: ${peer.stderr.slice(-400)}; make peers installs it`)
  }
  const lines = peer.stdout.trim().split('\n')
  return lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as PeerFit)
}

/** Parts of the work done apart, over and over; what they leave of the whole is the last row. */
function shares(curves: Curve[]): string[][] {
  const options = (curve: Curve): FitOptions => optionsOf(curve, 'fixed')
  const parts = curves.map((curve) => {
    const photometry = { ...curve, fluxError: curve.err, zeroPoint: 25 }
    const points = pointsOf(photometry, () => true, 0)
    const { z, mwebv } = curve
    const slices = points.bands.flatMap(({ band }) => {
      const table = model.table(band, z, z)
      return table ? [takeSlice(table, { law: 'ccm89', rv: 3.1, mwebv }, false)] : []
    })
    const likelihood = likelihoodOf(points, slices, null)
    const guessed = guess(likelihood, z, 5)
    const bounds = { x1: [-30, 30], c: [-3, 5], t0: [-1e9, 1e9] } as const
    const starts = searchStarts(likelihood, guessed, [z], bounds, 4)
    const domain = {
      lower: Float64Array.of(z, -1e9, 0, -30, -3),
      upper: Float64Array.of(z, 1e9, Infinity, 30, 5),
      free: [1, 2, 3, 4],
    }
    return { photometry, likelihood, guessed, bounds, starts, domain, z, curve }
  })
  const time = (work: (part: (typeof parts)[number]) => unknown): number => {
    let least = Infinity
    for (let round = 0; round < repeats; round++) {
      const start = process.cpuUsage()
      for (let i = 0; i < 5; i++) for (const part of parts) work(part)
      const { user, system } = process.cpuUsage(start)
      least = Math.min(least, (user + system) / 5 / parts.length)
    }
    return least
  }
  const whole = time(({ photometry, curve }) => fitSalt2(photometry, model, options(curve)))
  const measured: [string, number][] = [
    ['points sorted out', time(({ photometry }) => pointsOf(photometry, () => true, 0))],
    [
      'starts: 19 dates, 4 colours',
      time(({ likelihood, guessed, bounds, z }) =>
        searchStarts(likelihood, guessed, [z], bounds, 4),
      ),
    ],
    [
      'descents to the end from each',
      time(({ likelihood, starts, guessed, domain }) => {
        for (const start of [...starts, guessed]) minimise(likelihood, start, domain)
      }),
    ],
  ]
  const rest = measured.reduce((left, [, part]) => left - part, whole)
  const rows: [string, number][] = [...measured, ['other, less what descents stop early', rest]]
  return [...rows, ['whole fit', whole] as const].map(([part, us]) => [part, us.toFixed(0)])
}

function readLines<T>(name: string): T[] {
  const text = gunzipSync(readFileSync(join(data, 'reference', name))).toString()
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as T)
}

/** Every so-manieth curve, what lies beyond the phases taken off, so that both fit the same points. */
function readBts(): Curve[] {
  interface Line {
    z: number
    mwebv: number
    lc: Omit<Curve, 'z' | 'mwebv'>
    fit_mc0: { params: { t0: number }; success: boolean } | null
  }
  const lines = readLines<Line>('bts_alertphot.train.jsonl.gz')
  const fitted = lines.filter(({ fit_mc0, z }) => fit_mc0?.success === true && z < 0.2)
  return every(fitted).map(({ z, mwebv, lc, fit_mc0 }) => {
    const kept = lc.time.flatMap((time, i) => {
      const phase = (time - (fit_mc0?.params.t0 ?? 0)) / (1 + z)
      return phase > -15 && phase < 45 ? i : []
    })
    const pick = <T>(column: T[]): T[] => kept.flatMap((i) => column[i] ?? [])
    return {
      time: pick(lc.time),
      band: pick(lc.band),
      flux: pick(lc.flux),
      err: pick(lc.err),
      z,
      mwebv,
    }
  })
}

function readDr1(): Curve[] {
  interface Line {
    z: number
    mwebv: number
    reproducible: boolean
    fitdata: Omit<Curve, 'z' | 'mwebv'>
  }
  const lines = readLines<Line>('ztf_dr1.train.jsonl.gz').filter(({ reproducible }) => reproducible)
  return every(lines).map(({ z, mwebv, fitdata }) => ({ ...fitdata, z, mwebv }))
}

function every<T>(list: T[]): T[] {
  const stride = Math.max(1, Math.floor(list.length / perSet))
  return list.filter((_, i) => i % stride === 0).slice(0, perSet)
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN
}
