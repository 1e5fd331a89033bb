/** Events by stage over the night, as an SVG of lines: one glance tells when what came and who lagged. */
import type { NightReport } from './gather.ts'
import { escape } from './markup.ts'

const width = 880
const height = 260
const margin = { left: 52, right: 12, top: 12, bottom: 26 }

/** Okabe and Ito's colours, told apart by colour-blind eyes, each legible on light and dark. */
export const stageColours = [
  '#0072b2',
  '#e69f00',
  '#009e73',
  '#cc79a7',
  '#d55e00',
  '#56b4e9',
  '#8c8c3c',
]

/** The chart, or a sentence where the ledger is empty. */
export function ratesChart({ from, stepSeconds, stages }: NightReport['rates']): string {
  const length = Math.max(0, ...stages.map(({ steps }) => steps.length))
  const perSecond = (n: number): number => n / stepSeconds
  const most = Math.max(...stages.flatMap(({ steps }) => steps.map(perSecond)), 0)
  if (length === 0 || most === 0)
    return '<p class="none">The ledger has no events of this night.</p>'
  const top = niceCeiling(most)
  const x = (step: number): number =>
    margin.left + (step / Math.max(1, length)) * (width - margin.left - margin.right)
  const y = (rate: number): number =>
    height - margin.bottom - (rate / top) * (height - margin.top - margin.bottom)

  let svg = `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="Events per second by stage">`
  for (const part of [0, 0.25, 0.5, 0.75, 1]) {
    const at = y(top * part).toFixed(1)
    svg += `<line class="grid" x1="${margin.left}" x2="${width - margin.right}" y1="${at}" y2="${at}"/>`
    svg += `<text x="${margin.left - 6}" y="${at}" text-anchor="end" dy="0.32em">${short(top * part)}</text>`
  }
  svg += `<text x="4" y="${margin.top}" dy="0.5em">/s</text>`
  const begin = Date.parse(from)
  for (let i = 0; i <= 6; i++) {
    const step = (length / 6) * i
    const time = new Date(begin + step * stepSeconds * 1000).toISOString().slice(11, 19)
    const anchor = i === 0 ? 'start' : i === 6 ? 'end' : 'middle'
    svg += `<text x="${x(step).toFixed(1)}" y="${height - 8}" text-anchor="${anchor}">${time}</text>`
  }
  for (const [index, { stage, steps }] of stages.entries()) {
    const points = steps.flatMap((n, step) => {
      const at = y(perSecond(n)).toFixed(1)
      return [`${x(step).toFixed(1)},${at}`, `${x(step + 1).toFixed(1)},${at}`]
    })
    const colour = stageColours[index % stageColours.length]
    svg += `<polyline points="${points.join(' ')}" fill="none" stroke="${colour}" stroke-width="1.6" stroke-linejoin="round"><title>${escape(stage)}</title></polyline>`
  }
  return `${svg}</svg>`
}

/** The next of 1, 2, 5 times a power of ten. */
export function niceCeiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value))
  return ([1, 2, 5, 10].find((factor) => factor * power >= value) ?? 10) * power
}

const short = (value: number): string =>
  value >= 1000 ? `${Number((value / 1000).toPrecision(3))}k` : String(Number(value.toPrecision(2)))
