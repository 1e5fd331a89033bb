/**
 * The report as one page that stands alone: no script, no font, no picture from elsewhere, so that it
 * opens from a bucket, from a mail or in ten years.
 */
import { publicSentence } from '../public-count.ts'
import type { NightReport } from './gather.ts'
import { count, duration, escape, size, table } from './markup.ts'
import { ratesChart, stageColours } from './rates-chart.ts'
import { sizesChart } from './sizes.ts'
import { skyChart } from './sky-chart.ts'

export function reportPage(report: NightReport): string {
  const { survey, night, proof } = report
  const title = `${survey.toUpperCase()} ${night.slice(0, 4)}-${night.slice(4, 6)}-${night.slice(6)}`
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)} · ${escape(report.state)} · Nightjar</title>
<style>${style}</style>
</head>
<body>
<header>
<p class="kicker">Nightjar · the night of</p>
<h1>${escape(title)}</h1>
${verdict(report)}
</header>
<main>
${cards(report)}
<section><h2>Over the night</h2>${ratesChart(report.rates)}${legend(report)}
<p class="note">What each stage told the ledger, per second, in steps of ${duration(report.rates.stepSeconds * 1000)}, UTC.</p></section>
<section><h2>What became of them</h2>${outcomes(report)}</section>
<section><h2>How long it took</h2>${latencies(report)}</section>
<section><h2>How large they were</h2>${sizes(report)}</section>
<section><h2>Where they lie</h2>${skyChart(report.sky)}</section>
<section><h2>Candidates</h2>${candidates(report)}</section>
<section><h2>Dead letters</h2>${deadLetters(report)}</section>
<section><h2>The proof</h2>
<p>For every Kafka partition, the offsets from low to high, less those a stage accounts for, leave nothing.
Two audits of a night agree when their digests do.</p>
<p class="digest">${escape(proof.digest)}</p>
${table(
  ['partition', 'low', 'high', 'offsets'],
  proof.partitions.map(({ topic, partition, low, high }) => [
    `${topic}[${partition}]`,
    low,
    high,
    count(Number(BigInt(high) - BigInt(low))),
  ]),
)}
${publicCount(report)}
<details><summary>SHA-256 of every bitmap</summary>${hashes(report)}</details>
<details><summary>How the night went</summary>${history(report)}</details></section>
</main>
<footer>Made ${escape(report.at)} · dark from ${escape(report.dusk.slice(0, 16))} to ${escape(report.dawn.slice(0, 16))} UTC</footer>
</body>
</html>
`
}

function verdict({ proof, state }: NightReport): string {
  const expected = proof.stages[0]?.expected ?? 0
  const missing = proof.stages.flatMap((stage) => [
    ...stage.missing.map((run) => `${stage.stage} ${run}`),
    ...stage.lost.map((run) => `lost by Kafka's retention: ${run}`),
  ])
  if (state === 'no_alerts') return '<p class="verdict calm">No alerts came this night.</p>'
  if (missing.length === 0 && proof.state === 'complete') {
    return `<p class="verdict good">Complete: each of ${count(expected)} occurrences is accounted for at every stage.</p>`
  }
  const shown = missing.slice(0, 20).map((run) => `<li>${escape(run)}</li>`)
  const more = missing.length > 20 ? `<li>… and ${count(missing.length - 20)} runs more</li>` : ''
  const unread = proof.unfinished.map((source) => `<li>not read to its end: ${escape(source)}</li>`)
  return `<p class="verdict bad">Not complete.</p><ul class="missing">${shown.join('')}${more}${unread.join('')}</ul>`
}

function cards(report: NightReport): string {
  const of = (stage: string, outcome: string): number =>
    report.proof.stages.find((one) => one.stage === stage)?.outcomes[outcome] ?? 0
  const total = (outcome: string): number =>
    report.proof.stages.reduce((sum, stage) => sum + (stage.outcomes[outcome] ?? 0), 0)
  const slowest = Math.max(...report.latencies.map(({ p99 }) => p99))
  const facts: [string, string][] = [
    [count(report.proof.stages[0]?.expected ?? 0), 'occurrences'],
    [count(of('intake', 'published')), 'taken in'],
    [count(of('archive', 'stored')), 'archived'],
    [count(of('exgalac', 'published')), 'candidates'],
    [count(total('dead_lettered')), 'dead letters'],
    [duration(slowest), 'slowest p99'],
  ]
  if (report.cost) facts.push([`$${report.cost.dollars.toFixed(2)}`, report.cost.text])
  const items = facts.map(([value, name]) => `<li><b>${escape(value)}</b>${escape(name)}</li>`)
  return `<ul class="cards">${items.join('')}</ul>`
}

function legend({ rates }: NightReport): string {
  const items = rates.stages.map(
    ({ stage }, index) =>
      `<li><i style="background:${stageColours[index % stageColours.length]}"></i>${escape(stage)}</li>`,
  )
  return `<ul class="legend">${items.join('')}</ul>`
}

const outcomeNames = [
  'stored',
  'published',
  'duplicate',
  'filtered',
  'rejected',
  'dead_lettered',
  'gap',
  'lost',
]

function outcomes({ proof }: NightReport): string {
  return table(
    ['stage', 'expected', ...outcomeNames.map((name) => name.replace('_', ' ')), 'missing'],
    proof.stages.map(({ stage, expected, received, outcomes: found, missing }) => [
      stage,
      count(expected),
      ...outcomeNames.map((name) => (found[name] ? count(found[name]) : '–')),
      missing.length === 0 ? '–' : count(Math.max(expected - received, missing.length)),
    ]),
  )
}

function latencies({ latencies: found }: NightReport): string {
  if (found.length === 0)
    return '<p class="none">No alert of this night has a row and a ledger event.</p>'
  return `${table(
    ['stage', 'alerts', 'half within', '90 % within', '99 % within', 'slowest'],
    found.map(({ stage, count: n, p50, p90, p99, most }) => [
      stage,
      count(n),
      ...[p50, p90, p99, most].map(duration),
    ]),
  )}<p class="note">From Kafka's timestamp of an alert to the stage's entry in the ledger.</p>`
}

function sizes({ sizes: found }: NightReport): string {
  if (found === undefined) return '<p class="none">No packet of this night is in the archive.</p>'
  const { packets, all, min, median, p99, max, bytes } = found
  return `${sizesChart(found)}${table(
    ['packets', 'smallest', 'median', '99 % up to', 'largest', 'together'],
    [[count(packets), ...[min, median, p99, max, bytes].map(size)]],
  )}<p class="note">${
    all ? 'As they lie in the archive.' : `The first ${count(packets)} of the archive, by name.`
  }</p>`
}

/** Where candids are many, the JSON has more of them. */
const candidsShown = 40

function publicCount({ publicCount: found }: NightReport): string {
  if (found === undefined) return ''
  const list = (title: string, of: { count: number; candids: string[] } | undefined): string => {
    if (of === undefined || of.count === 0) return ''
    const more = of.count - Math.min(of.candids.length, candidsShown)
    const shown = of.candids.slice(0, candidsShown).join(', ')
    return `<p class="missing">${title}: ${escape(shown)}${more > 0 ? `, and ${count(more)} more` : ''}</p>`
  }
  return `<h3>What the survey published</h3><p>${escape(publicSentence(found))}</p>
${list('There and not with us', found.difference?.missing)}${list('With us and not there', found.difference?.extra)}`
}

function candidates({ candidates: found }: NightReport): string {
  if (found.length === 0) return '<p class="none">None passed the filter.</p>'
  const items = found.map(({ objectId, candid, ra, dec, fit, plot }) => {
    // A plot is a picture or nothing: no other kind of address gets into the page.
    const picture = plot?.startsWith('data:image/png;base64,')
      ? `<img src="${escape(plot)}" alt="Light curve of ${escape(objectId)}" loading="lazy">`
      : ''
    return `<figure>${picture}<figcaption><b>${escape(objectId)}</b> ${escape(candid)}<br>
RA ${ra.toFixed(5)}° Dec ${dec.toFixed(5)}°${fit === undefined ? '' : `<br>${escape(fit)}`}</figcaption></figure>`
  })
  return `<div class="candidates">${items.join('\n')}</div>`
}

function deadLetters({ deadLetters: found }: NightReport): string {
  if (found.length === 0) return '<p class="none">None.</p>'
  return table(
    ['stage', 'how many', 'why', 'for example'],
    found.map(({ stage, count: n, reason, example }) => [stage, count(n), reason, example]),
  )
}

function hashes({ proof }: NightReport): string {
  const rows = proof.stages.flatMap(({ stage, bitmaps }) =>
    bitmaps.map(({ topic, partition, outcome, sha256 }) => [
      stage,
      outcome,
      `${topic}[${partition}]`,
      `sha256 ${sha256}`,
    ]),
  )
  return table(['stage', 'outcome', 'partition', 'hash'], rows)
}

function history({ history: moves }: NightReport): string {
  const rows = moves.map(({ at, from, to, why }) => [
    at.slice(0, 19).replace('T', ' '),
    `${from} → ${to}`,
    why,
  ])
  return rows.length === 0
    ? '<p class="none">It was audited by hand.</p>'
    : table(['UTC', 'state', 'why'], rows)
}

const style = `
:root{--paper:#fbfaf7;--ink:#1c1d21;--soft:#6b6d75;--line:#dcd9d0;--card:#fff;--good:#0b6e4f;--bad:#b3261e;--calm:#3c5a7d;--blue:#0072b2}
@media(prefers-color-scheme:dark){:root{--paper:#14161b;--ink:#e8e6e1;--soft:#9a9ca5;--line:#33363f;--card:#1c1f26;--good:#4fc08d;--bad:#ff7a70;--calm:#8fb4dd;--blue:#56b4e9}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:60rem;padding:1.5rem;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
h1{margin:0;font-size:2.6rem;letter-spacing:-.02em;font-weight:650}h2{margin:2.2rem 0 .7rem;font-size:1.15rem}
.kicker{margin:0;color:var(--soft)}.verdict{font-size:1.15rem;margin:.4rem 0;font-weight:600}
.good{color:var(--good)}.bad{color:var(--bad)}.calm{color:var(--calm)}
.missing{font:13px/1.5 ui-monospace,monospace;color:var(--bad)}
.cards{list-style:none;display:grid;grid-template-columns:repeat(auto-fit,minmax(8rem,1fr));gap:.7rem;padding:0;margin:1.4rem 0}
.cards li{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.7rem .9rem;color:var(--soft);font-size:.85rem}
.cards b{display:block;font-size:1.5rem;color:var(--ink);font-variant-numeric:tabular-nums}
svg{width:100%;height:auto;background:var(--card);border:1px solid var(--line);border-radius:.6rem}
svg text{fill:var(--soft);font-size:11px}.grid{stroke:var(--line);stroke-width:1}.sky{fill:none;stroke:var(--line)}
h3{margin:1.4rem 0 .3rem;font-size:1rem}rect{fill:var(--blue)}
circle{fill:var(--blue)}circle.owed{stroke:var(--bad);stroke-width:2}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.3rem 1.1rem;padding:0;margin:.5rem 0;font-size:.9rem}
.legend i{display:inline-block;width:1.1em;height:.25em;margin-right:.4em;vertical-align:middle}
.note,.none,footer{color:var(--soft);font-size:.9rem}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.9rem}
th{text-align:left;color:var(--soft);font-weight:500}th,td{padding:.3rem .7rem .3rem 0;border-bottom:1px solid var(--line);vertical-align:top}
.n{font-variant-numeric:tabular-nums;white-space:nowrap}
.digest{font:600 14px ui-monospace,monospace;overflow-wrap:anywhere;background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.7rem .9rem}
.candidates{display:grid;grid-template-columns:repeat(auto-fill,minmax(17rem,1fr));gap:.9rem}
figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.7rem;font-size:.85rem}
figure img{width:100%;height:auto;border-radius:.3rem}
details{margin:.8rem 0}summary{cursor:pointer}details table{font-size:.8rem}footer{margin-top:3rem}
`
