/** A light curve in characters: magnitudes upward, days to the right, a letter for each band. */
import type { Band, LightCurvePoint } from '../core/light-curve.ts'

export interface PlotOptions {
  /** Characters, axis and labels included. */
  width: number
  height: number
  color?: boolean
}

/** Foreground colours of the 16 that every terminal has, nearest to how the filters look. */
const colors: Readonly<Record<Band, number>> = { u: 35, g: 32, r: 31, i: 33, z: 36, y: 34 }
const dim = 2
/** Characters left of the plot for the magnitudes and the axis. */
const gutter = 7

interface Mark {
  x: number
  y: number
  /** What covers what: limits below forced photometry below detections. */
  rank: number
  glyph: string
  style: number
}

/**
 * Draw points into lines of text. A capital letter is brighter than the reference image, a small one
 * fainter; ˅ is a limit, · forced photometry of 3 sigma or more. No points, no lines.
 */
export function plotLightCurve(
  points: readonly LightCurvePoint[],
  { width, height, color = false }: PlotOptions,
): string[] {
  const shown = points.filter((point) => magnitudeOf(point) !== undefined)
  if (shown.length === 0) return []
  const columns = Math.max(10, width - gutter - 1)
  const rows = Math.max(4, height - 2)
  const mags = shown.map((point) => magnitudeOf(point) as number)
  const bright = Math.floor(2 * Math.min(...mags)) / 2
  const faint = Math.max(bright + 1, Math.ceil(2 * Math.max(...mags)) / 2)
  const rowOf = (mag: number): number =>
    Math.round(((mag - bright) / (faint - bright)) * (rows - 1))
  const first = Math.min(...shown.map(({ jd }) => jd))
  const last = Math.max(...shown.map(({ jd }) => jd))
  const span = Math.max(last - first, 1 / 24)

  const marks = shown.map((point): Mark => {
    const x = Math.round(((point.jd - last + span) / span) * (columns - 1))
    return { x, y: rowOf(magnitudeOf(point) as number), ...glyphOf(point) }
  })
  const grid = Array.from({ length: rows }, () => new Array<string>(columns).fill(' '))
  for (const { x, y, glyph, style } of marks.sort((a, b) => a.rank - b.rank)) {
    const row = grid[y]
    if (row) row[x] = color ? `\x1b[${style}m${glyph}\x1b[0m` : glyph
  }

  const step = stepOf(faint - bright, rows / 2)
  const labels = new Map<number, string>()
  for (let mag = Math.ceil(bright / step) * step; mag <= faint; mag += step) {
    labels.set(rowOf(mag), mag.toFixed(step < 1 ? 1 : 0))
  }
  const lines = grid.map((row, y) => {
    const label = labels.get(y)
    const axis = `${(label ?? '').padStart(gutter - 2)} ${label === undefined ? '│' : '┤'}`
    return `${axis}${row.join('')}`.trimEnd()
  })
  return [...lines, ...timeAxis(span, columns)]
}

/** What the marks of a plot mean, for those that are in it. */
export function plotLegend(points: readonly LightCurvePoint[]): string {
  const detections = points.filter(({ kind }) => kind === 'detection')
  const bands = (positive: boolean): string => {
    const found = new Set(detections.filter((p) => p.positive === positive).map((p) => p.band))
    return [...found].map((band) => (positive ? band.toUpperCase() : band)).join(' ')
  }
  const parts = [
    ...(bands(true) === '' ? [] : [`${bands(true)} brighter than the reference`]),
    ...(bands(false) === '' ? [] : [`${bands(false)} fainter than the reference`]),
    ...(points.some(({ kind }) => kind === 'forced') ? ['· forced'] : []),
    ...(points.some(({ kind }) => kind === 'limit') ? ['˅ limit'] : []),
  ]
  return parts.join(', ')
}

function magnitudeOf(point: LightCurvePoint): number | undefined {
  if (point.kind === 'limit') return point.limit
  if (point.kind === 'detection') return point.mag
  const { mag, flux = 0, fluxErr = Infinity } = point
  return Math.abs(flux) >= 3 * fluxErr ? mag : undefined
}

function glyphOf({ kind, band, positive }: LightCurvePoint): Omit<Mark, 'x' | 'y'> {
  if (kind === 'limit') return { rank: 0, glyph: '˅', style: dim }
  if (kind === 'forced') return { rank: 1, glyph: '·', style: colors[band] }
  return { rank: 2, glyph: positive ? band.toUpperCase() : band, style: colors[band] }
}

/** The finest step of magnitudes that leaves no more labels than wanted. */
function stepOf(range: number, labels: number): number {
  return [0.5, 1, 2].find((step) => range / step <= labels) ?? 5
}

/** The axis of days before the last point, and its labels. */
function timeAxis(span: number, columns: number): string[] {
  const hours = span < 1
  const length = hours ? span * 24 : span
  const steps = [0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
  const step = steps.find((candidate) => (length / candidate) * 9 <= columns) ?? 5000
  const line = new Array<string>(columns).fill('─')
  const text = new Array<string>(columns + gutter).fill(' ')
  for (let back = 0; back <= length; back += step) {
    const x = Math.round((1 - back / length) * (columns - 1))
    line[x] = '┴'
    const label = back === 0 ? `0 ${hours ? 'h' : 'd'}` : String(-back)
    const start = Math.min(
      columns + gutter - label.length,
      Math.max(0, gutter + x - (back === 0 ? 0 : label.length - 1)),
    )
    if (text.slice(Math.max(0, start - 1), start + label.length + 1).every((c) => c === ' ')) {
      for (const [i, character] of [...label].entries()) text[start + i] = character
    }
  }
  return [`${' '.repeat(gutter - 1)}└${line.join('')}`, text.join('').trimEnd()]
}
