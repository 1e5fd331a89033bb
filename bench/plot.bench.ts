/**
 * The plot of a fit beside `sncosmo.plot_lc`: the same light curve and parameters, to a PNG in memory, CPU of
 * one process. Ours has the cutouts, the residuals and the numbers in it, too.
 *
 *     node bench/plot.bench.ts [repeats]        (default 20)
 */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { formatTable } from '../cli/text-table.ts'
import { analyse } from '../functions/salt2/analysis.ts'
import { openFitter } from '../functions/salt2/fitter.ts'
import { mergeHistory } from '../functions/salt2/history.ts'
import { measurementsOf, mjdOf, type Measurement } from '../functions/salt2/measurement.ts'
import { drawPicture } from '../functions/salt2/plot/draw.ts'
import { pictureOf } from '../functions/salt2/plot/picture-of.ts'
import { renderPng } from '../functions/salt2/plot/render.ts'
import { standard } from '../functions/salt2/settings.ts'
import { stampsIn } from '../functions/salt2/stamps.ts'
import { readAlert } from '../schemas/alert.ts'
import { bundledSchemas } from '../schemas/registry.ts'
import { dataDir } from '../test/data.ts'

const repeats = Number(process.argv[2] ?? 20)
const folder = join(dataDir, 'ztf/sn2021rhu-ZTF21abiuvdk-v3.3-pitt-google')
const packets = readdirSync(folder).map((name) => readFileSync(join(folder, name)))
const points = packets.reduce<Measurement[]>(
  (known, packet) => mergeHistory(known, measurementsOf(readAlert(packet).record)),
  [],
)
const fitter = await openFitter()
const around = { z: 0.003506, mwebv: 0, mwebvSource: 'none' }
const analysis = await analyse(points, around, async () => fitter, standard)
if (analysis.fit === null) throw new Error('There is no fit')
const record = { objectId: 'ZTF21abiuvdk', ra: 0.814293, dec: 16.1456989, analysis }
const newest = packets.at(-1) ?? new Uint8Array()

const work = {
  'cutouts to PNG': async () => void stampsIn(newest, bundledSchemas()),
  'picture to SVG': async () =>
    void drawPicture(pictureOf(record, fitter, stampsIn(newest, bundledSchemas()))),
  'all to PNG': async () =>
    void (await renderPng(
      drawPicture(pictureOf(record, fitter, stampsIn(newest, bundledSchemas()))),
    )),
}
const ours: [string, number][] = []
for (const [name, run] of Object.entries(work)) {
  await run()
  const times: number[] = []
  for (let i = 0; i < repeats; i++) {
    const before = process.cpuUsage()
    await run()
    const { user, system } = process.cpuUsage(before)
    times.push((user + system) / 1000)
  }
  ours.push([name, median(times)])
}
const whole = ours.at(-1)?.[1] ?? NaN
const peer = peerMs()
const rows = ours.map(([name, ms]) => [name, ms.toFixed(1), ''])
rows.push(['sncosmo.plot_lc to PNG', peer.toFixed(1), `${(peer / whole).toFixed(1)}×`])
process.stdout.write(formatTable(['work', 'CPU ms', 'ratio'], rows))

/** What sncosmo takes, ms; NaN where it is not there. */
function peerMs(): number {
  const { t0, x0, x1, c } = analysis.fit?.parameters ?? { t0: 0, x0: 0, x1: 0, c: 0 }
  const salt2 = join(dataDir, 'salt2')
  const job = {
    model: join(salt2, 'models/salt2-4'),
    bands: {
      ztfg: join(salt2, 'bandpasses/P48_g.dat'),
      ztfr: join(salt2, 'bandpasses/P48_R.dat'),
    },
    parameters: { z: 0.003506, t0, x0, x1, c },
    repeats,
    curve: {
      time: points.map(({ jd }) => mjdOf(jd)),
      band: points.map(({ band }) => `ztf${band}`),
      flux: points.map(({ flux }) => flux),
      err: points.map(({ fluxErr }) => fluxErr),
    },
  }
  const script = join(import.meta.dirname, 'plot_peer.py')
  const { status, stdout, stderr } = spawnSync('/usr/bin/python3', [script], {
    input: JSON.stringify(job),
    encoding: 'utf8',
    env: { ...process.env, OMP_NUM_THREADS: '1' },
  })
  if (status !== 0) {
    process.stderr.write(`sncosmo is not there (make peers installs it): ${stderr.slice(-300)}\n`)
    return NaN
  }
  return median(stdout.trim().split('\n').map(Number)) * 1000
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN
}
