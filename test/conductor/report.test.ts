import assert from 'node:assert/strict'
import { test } from 'node:test'

import { newNightRecord } from '../../conductor/night-record.ts'
import { duckdb } from '../../conductor/report/dialect.ts'
import { gatherReport, type NightReport } from '../../conductor/report/gather.ts'
import { duration } from '../../conductor/report/markup.ts'
import { reportPage } from '../../conductor/report/page.ts'
import type { PublicCount } from '../../conductor/public-count.ts'
import { histogramQuantile } from '../../conductor/report/quantile.ts'
import { packetSizes } from '../../conductor/report/sizes.ts'
import { project } from '../../conductor/report/sky-chart.ts'

const report: NightReport = {
  survey: 'ztf',
  night: '20261121',
  at: '2026-11-22T16:00:00.000Z',
  state: 'complete',
  dusk: '2026-11-21T02:08:00.000Z',
  dawn: '2026-11-21T12:58:00.000Z',
  history: [
    { at: '2026-11-21T02:30:00.000Z', from: 'waiting', to: 'running', why: 'the topic has data' },
  ],
  proof: {
    survey: 'ztf',
    night: '20261121',
    state: 'complete',
    at: '2026-11-22T16:00:00.000Z',
    digest: 'ab'.repeat(32),
    partitions: [{ topic: 'ztf_20261121_programid1', partition: 0, low: '0', high: '1000' }],
    stages: [
      {
        stage: 'intake',
        expected: 1000,
        received: 1000,
        outcomes: { published: 1000 },
        missing: [],
        lost: [],
        bitmaps: [],
      },
      {
        stage: 'archive',
        expected: 1000,
        received: 1000,
        outcomes: { stored: 1000 },
        missing: [],
        lost: [],
        bitmaps: [],
      },
    ],
    unfinished: [],
  },
  rates: {
    from: '2026-11-21T02:30:00.000Z',
    stepSeconds: 60,
    stages: [{ stage: 'intake', steps: [0, 60, 120, 30] }],
  },
  latencies: [{ stage: 'archive', count: 1000, p50: 240, p90: 900, p99: 4100, most: 61_000 }],
  sky: { order: 4, pixels: [{ pixel: 7, alerts: 1000, owed: 0 }] },
  deadLetters: [],
  candidates: [],
}

test('the page of a proven night says so, with its digest', () => {
  const page = reportPage(report)
  assert.match(page, /Complete: each of 1,000 occurrences is accounted for at every stage/)
  assert.ok(page.includes('ab'.repeat(32)))
  assert.doesNotMatch(page, /undefined|NaN|Infinity/)
})

test('the page of a night with a hole names it and does not say complete', () => {
  const [intake, archive] = report.proof.stages
  assert.ok(intake && archive)
  const hole = { ...archive, received: 999, missing: ['ztf_20261121_programid1[0]@12'] }
  const proof = { ...report.proof, state: 'incomplete' as const, stages: [intake, hole] }
  const page = reportPage({ ...report, state: 'incomplete', proof })
  assert.match(page, /Not complete/)
  assert.match(page, /archive ztf_20261121_programid1\[0\]@12/)
  assert.doesNotMatch(page, /Complete: each/)
})

test('the page loads nothing and runs nothing: what came over the network stays text', () => {
  const evil = '<script>alert(1)</script><img src=x onerror=alert(1)>'
  const page = reportPage({
    ...report,
    deadLetters: [{ stage: evil, reason: evil, count: 1, example: evil }],
    candidates: [
      { objectId: evil, candid: evil, ra: 1, dec: 2, fit: evil, plot: 'javascript:alert(1)' },
    ],
  })
  assert.doesNotMatch(page, /<script|<img|javascript:/)
  assert.doesNotMatch(page, /(src|href)="https?:/)
})

test('sizes are exact, and a few giants do not press the others into one bar', () => {
  const sizes = Uint32Array.from({ length: 1000 }, (_, i) => 70_000 + ((i * 37) % 1000))
  sizes[500] = 9_000_000
  const found = packetSizes(sizes, true)
  assert.ok(found)
  assert.deepEqual([found.packets, found.min, found.max], [1000, 70_000, 9_000_000])
  assert.ok(found.median >= 70_498 && found.median <= 70_501, String(found.median))
  assert.ok(found.p99 >= 70_988 && found.p99 <= 70_991, String(found.p99))
  const { counts, step } = found.histogram
  assert.ok(counts.length > 10 && counts.length <= 31, String(counts.length))
  assert.equal(step, 50)
  assert.equal(
    counts.reduce((sum, n) => sum + n, 0),
    1000,
  )
  assert.equal(packetSizes(new Uint32Array(0), true), undefined)
  const one = packetSizes(Uint32Array.of(5), true)
  assert.deepEqual([one?.min, one?.median, one?.p99, one?.max], [5, 5, 5, 5])
  const page = reportPage({ ...report, sizes: found })
  assert.match(page, /<td class="n">70 kB<\/td><td class="n">70.5 kB<\/td>/)
  assert.match(page, /<td class="n">9 MB<\/td>/)
  assert.match(reportPage({ ...report, sizes: { ...found, all: false } }), /The first 1,000 of/)
  assert.match(reportPage(report), /No packet of this night is in the archive/)
})

test('the page tells what the public archive has and we have not, as text', () => {
  const publicCount: PublicCount = {
    ...{ archive: 'https://example.org/<b>.tar.gz', of: 'ab', state: 'compared' },
    ...{ at: report.at, tries: 1, reads: 1 },
    difference: {
      ...{ archived: 1001, ours: 1000, extra: { count: 0, candids: [] } },
      missing: { count: 90, candids: ['2752190653015010019'] },
      unreadable: { count: 0, names: [] },
    },
  }
  const page = reportPage({ ...report, publicCount })
  assert.match(
    page,
    /1,001 alerts in https:\/\/example.org\/&lt;b&gt;.tar.gz, 1,000 with us: 90 there/,
  )
  assert.match(page, /There and not with us: 2752190653015010019, and 89 more</)
  assert.doesNotMatch(page, /With us and not there/)
  assert.match(page, /Complete: each of/, 'it decides nothing')
})

test('a quantile of logarithmic bins is within 2 % of the true one', () => {
  const bins = new Map<number, number>()
  for (let value = 1; value <= 10_000; value++) {
    const bin = Math.floor(Math.log(value) * 25)
    bins.set(bin, (bins.get(bin) ?? 0) + 1)
  }
  for (const q of [0.1, 0.5, 0.9, 0.99]) {
    const ratio = histogramQuantile(bins, q, 25) / (q * 10_000)
    assert.ok(Math.abs(ratio - 1) < 0.021, `${q}: ${ratio}`)
  }
})

test('the sky is Mollweide: poles on the axis, equator linear, east to the left', () => {
  const [x0, y0] = project(180, 0)
  const [xPole, yPole] = project(37, 90)
  assert.equal(Math.round(xPole), Math.round(x0))
  assert.ok(Math.abs(y0 - yPole - 150) < 0.5)
  assert.ok(project(270, 0)[0] < x0)
  assert.ok(Math.abs(x0 - project(270, 0)[0] - 150) < 0.5)
})

test('durations read as a person says them', () => {
  assert.deepEqual([12, 3200, 246_000, 9e6, 2.7e8].map(duration), [
    '12 ms',
    '3.2 s',
    '4.1 min',
    '2.5 h',
    '3.1 d',
  ])
})

test('a night of which no packet could be read has a report all the same', async () => {
  const gathered = await gatherReport({
    async *query(sql) {
      if (/\balerts\b/.test(sql)) throw new Error('Table with name alerts does not exist')
    },
    dialect: duckdb,
    hasAlerts: false,
    record: newNightRecord(
      'ztf',
      '20261121',
      { dusk: new Date(report.dusk), dawn: new Date(report.dawn) },
      Date.parse(report.at),
    ),
    proof: report.proof,
    candidates: async () => [],
    sizes: async () => undefined,
    now: new Date(report.at),
  })
  assert.deepEqual([gathered.latencies, gathered.sky.pixels], [[], []])
  assert.doesNotMatch(reportPage(gathered), /undefined|NaN|Infinity/)
})
