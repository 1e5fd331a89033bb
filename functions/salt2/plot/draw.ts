/**
 * The light curve as SVG, written by hand: 1120 x 630, legible at a fifth of that, the same bytes for the
 * same picture. Cutouts are PNG inside.
 */
import { stampNames } from '../../../core/cutout.ts'
import { bands, type ZtfBand } from '../measurement.ts'
import { createAxis, decimalsOf, ticksOf, within, type Axis } from './axis.ts'
import type { Picture, PictureCurve, PicturePoint } from './picture.ts'
import { styleSheet, type Theme } from './style.ts'

const width = 1120
const height = 630

/** Where the parts lie: the light curve, its residuals under it, pictures and numbers to the right. */
const left = 82
const right = 716
const curveTop = 84
const curveBottom = 424
const pullTop = 442
const pullBottom = 556
const side = 800
const stampSize = 92
const stampGap = 10

/** Pulls beyond are drawn at the edge. */
const mostPull = 6

/** Draw the picture. */
export function drawPicture(picture: Picture, theme: Theme = 'light'): string {
  const zero = picture.maximum?.mjd ?? 0
  const days = createAxis(picture.days.from, picture.days.to, left, right)
  const shown = picture.points.filter(({ mjd }) => within(days, mjd - zero))
  const flux = fluxAxis(shown, picture.curves)
  const pulls = createAxis(-pullRange(shown), pullRange(shown), pullBottom, pullTop)
  const name = escape(picture.objectId)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="Light curve of ${name}">`,
    `<title>Light curve of ${name}</title>`,
    `<style>${styleSheet(theme)}</style>`,
    `<rect class="paper" width="${width}" height="${height}"/>`,
    heading(picture),
    curvePanel(picture, shown, zero, days, flux),
    pullPanel(shown, zero, days, pulls),
    daysScale(picture, days),
    stampPanel(picture),
    parameterPanel(picture),
    '</svg>\n',
  ].join('\n')
}

function fluxAxis(points: readonly PicturePoint[], curves: readonly PictureCurve[]): Axis {
  let low = 0
  let high = 0
  for (const { flux, fluxErr, used } of points) {
    // An error bar as large as the supernova must not make it small.
    const reach = Math.min(fluxErr, Math.abs(flux))
    if (!used && curves.length > 0) continue
    low = Math.min(low, flux - reach)
    high = Math.max(high, flux + reach)
  }
  for (const { flux } of curves) for (const value of Array.from(flux)) high = Math.max(high, value)
  const room = 0.07 * (high - low) || 1
  return createAxis(low - room, high + room, curveBottom, curveTop)
}

function pullRange(points: readonly PicturePoint[]): number {
  const largest = Math.max(
    0,
    ...points.flatMap(({ pull, used }) => (used ? Math.abs(pull ?? 0) : [])),
  )
  return Math.min(mostPull, Math.max(3, Math.ceil(largest))) + 0.5
}

function heading({ objectId, captions }: Picture): string {
  const lines = captions.map(
    (caption, i) =>
      `<text class="quiet" x="${right}" y="${i * 23 + 36}" text-anchor="end" font-size="16">${escape(caption)}</text>`,
  )
  return `<text class="ink" x="${left - 4}" y="56" font-size="38" font-weight="bold">${escape(objectId)}</text>${lines.join('')}`
}

function curvePanel(
  { curves, maximum, notice, points }: Picture,
  shown: readonly PicturePoint[],
  zero: number,
  days: Axis,
  flux: Axis,
): string {
  const drawn = bands.filter((band) => points.some((point) => point.band === band))
  return [
    grid(days, flux, curveTop, curveBottom),
    fluxScale(flux),
    magScale(flux),
    maximum === undefined ? '' : maximumMark(maximum, days),
    ...curves.map((curve) => spread(curve, zero, days, flux)),
    ...curves.map((curve) => line(curve, zero, days, flux)),
    ...drawn.map((band) => {
      const own = shown.filter((point) => within(flux, point.flux))
      return marks(own, band, zero, days, (point) => flux.at(point.flux), flux)
    }),
    frame(curveTop, curveBottom),
    legend(drawn),
    notice === undefined
      ? ''
      : `<text class="quiet" x="${(left + right) / 2}" y="${curveTop + 40}" text-anchor="middle" font-size="18">${escape(notice)}</text>`,
  ].join('\n')
}

function maximumMark({ error }: NonNullable<Picture['maximum']>, days: Axis): string {
  const at = days.at(0)
  const from = days.at(-error)
  const to = days.at(error)
  return (
    `<rect class="shade" x="${fix(from)}" y="${curveTop}" width="${fix(to - from)}" height="${curveBottom - curveTop}" fill-opacity="0.7"/>` +
    `<path class="mark" d="M${fix(at)} ${curveTop}V${curveBottom}" stroke-width="1.2" stroke-dasharray="6 5"/>`
  )
}

function spread({ band, mjd, flux, fluxErr }: PictureCurve, zero: number, days: Axis, axis: Axis) {
  const upper: string[] = []
  const lower: string[] = []
  for (let i = 0; i < mjd.length; i++) {
    const day = (mjd[i] as number) - zero
    if (!within(days, day)) continue
    const x = fix(days.at(day))
    const value = flux[i] as number
    const error = fluxErr[i] as number
    upper.push(`${x} ${fix(axis.at(value + error))}`)
    lower.push(`${x} ${fix(axis.at(value - error))}`)
  }
  if (upper.length === 0) return ''
  return `<path class="spread ${band}" fill-opacity="0.22" d="M${upper.join('L')}L${lower.reverse().join('L')}Z"/>`
}

function line({ band, mjd, flux }: PictureCurve, zero: number, days: Axis, axis: Axis): string {
  const places = Array.from(flux).flatMap((value, i) => {
    const day = (mjd[i] as number) - zero
    return within(days, day) ? [`${fix(days.at(day))} ${fix(axis.at(value))}`] : []
  })
  if (places.length === 0) return ''
  return `<path class="curve ${band}" stroke-width="3.2" stroke-linejoin="round" d="M${places.join('L')}"/>`
}

/** The points of a band: error bars first, so that no bar crosses a mark. */
function marks(
  points: readonly PicturePoint[],
  band: ZtfBand,
  zero: number,
  days: Axis,
  y: (point: PicturePoint) => number,
  bars?: Axis,
): string {
  const own = points.filter((point) => point.band === band)
  const errors = own.map(({ mjd, flux, fluxErr }) =>
    bars === undefined
      ? ''
      : `M${fix(days.at(mjd - zero))} ${fix(bars.at(flux - fluxErr))}V${fix(bars.at(flux + fluxErr))}`,
  )
  const shapes = own.map((point) =>
    mark(
      band,
      days.at(point.mjd - zero),
      y(point),
      point.kind === 'forced' ? 4.2 : 5.6,
      point.used,
    ),
  )
  const lines = errors.join('')
  return (
    `<g class="${band}">` +
    (lines === '' ? '' : `<path d="${lines}" stroke-width="1.6"/>`) +
    `${shapes.join('')}</g>`
  )
}

/** A circle for g, a square for r, a diamond for i; hollow where it took no part in the fit. */
function mark(band: ZtfBand, x: number, y: number, size: number, used: boolean): string {
  const look = used ? 'class="solid" stroke-width="1"' : 'class="hollow" stroke-width="1.8"'
  const [cx, cy] = [fix(x), fix(y)]
  switch (band) {
    case 'g':
      return `<circle ${look} cx="${cx}" cy="${cy}" r="${fix(size)}"/>`
    case 'r':
      return `<rect ${look} x="${fix(x - 0.9 * size)}" y="${fix(y - 0.9 * size)}" width="${fix(1.8 * size)}" height="${fix(1.8 * size)}"/>`
    case 'i': {
      const reach = 1.3 * size
      return `<path ${look} d="M${cx} ${fix(y - reach)}L${fix(x + reach)} ${cy}L${cx} ${fix(y + reach)}L${fix(x - reach)} ${cy}Z"/>`
    }
  }
}

function legend(drawn: readonly ZtfBand[]): string {
  const entries = drawn.map((band, i) => {
    const x = right - 24 - 62 * (drawn.length - 1 - i)
    return (
      `<g class="${band}">${mark(band, x - 24, curveTop + 25, 7.5, true)}</g>` +
      `<text class="${band}" x="${x - 8}" y="${curveTop + 33}" font-size="26" font-weight="bold">${band}</text>`
    )
  })
  return entries.join('')
}

function pullPanel(points: readonly PicturePoint[], zero: number, days: Axis, pulls: Axis): string {
  const ticks = ticksOf(pulls.low, pulls.high, 4)
  const parts = [
    `<rect class="shade" x="${left}" y="${fix(pulls.at(1))}" width="${right - left}" height="${fix(pulls.at(-1) - pulls.at(1))}" fill-opacity="0.45"/>`,
    `<path class="mark" d="M${left} ${fix(pulls.at(0))}H${right}" stroke-width="1"/>`,
    ...ticks.map((tick) => tickLeft(pulls.at(tick), signed(tick))),
    axisTitle('residual / σ', (pullTop + pullBottom) / 2, left - 58),
    frame(pullTop, pullBottom),
    ...bands.map((band) =>
      marks(
        points.filter(({ pull }) => pull !== undefined),
        band,
        zero,
        days,
        ({ pull = 0 }) => pulls.at(pull),
      ),
    ),
  ]
  return parts.join('\n')
}

function daysScale({ maximum }: Picture, days: Axis): string {
  const ticks = ticksOf(days.low, days.high, 8)
  const labels = ticks.map(
    (tick) =>
      `<path class="frame" stroke-width="1.2" d="M${fix(days.at(tick))} ${pullBottom}v6"/>` +
      `<text class="ink" x="${fix(days.at(tick))}" y="${pullBottom + 25}" text-anchor="middle" font-size="17">${number(tick, maximum === undefined ? 0 : decimalsOf(ticks))}</text>`,
  )
  const title =
    maximum === undefined
      ? 'MJD'
      : `days from maximum, MJD ${maximum.mjd.toFixed(2)} ± ${maximum.error.toFixed(2)}`
  return `${labels.join('')}<text class="ink" x="${(left + right) / 2}" y="${pullBottom + 54}" text-anchor="middle" font-size="19">${title}</text>`
}

function fluxScale(flux: Axis): string {
  const ticks = ticksOf(flux.low, flux.high, 6)
  const decimals = decimalsOf(ticks)
  const largest = Math.max(...ticks.map(Math.abs), 0)
  // Five digits and more are told in mJy.
  const [scale, unit] = largest >= 10_000 ? [1e-3, 'mJy'] : [1, 'µJy']
  const shown = Math.max(0, scale === 1 ? decimals : decimalsOf(ticks.map((tick) => tick * scale)))
  return (
    ticks.map((tick) => tickLeft(flux.at(tick), number(tick * scale, shown))).join('') +
    axisTitle(`flux / ${unit}`, (curveTop + curveBottom) / 2, left - 58)
  )
}

/** Magnitudes on the right, where flux is far enough above nothing for them to stand apart. */
function magScale(flux: Axis): string {
  if (flux.high <= 0) return ''
  const brightest = Math.ceil(magOf(flux.high) * 2) / 2
  const labels: string[] = []
  let last = -Infinity
  for (let mag = brightest; mag < brightest + 8; mag += 0.5) {
    const y = flux.at(fluxOf(mag))
    if (y - last < 26 || y > flux.at(0) - 20) continue
    last = y
    labels.push(
      `<path class="frame" stroke-width="1.2" d="M${right} ${fix(y)}h6"/>` +
        `<text class="quiet" x="${right + 11}" y="${fix(y + 6)}" font-size="16">${mag.toFixed(1)}</text>`,
    )
  }
  return `${labels.join('')}<text class="quiet" x="${right + 11}" y="${curveBottom + 4}" font-size="16">mag</text>`
}

const magOf = (microjansky: number): number => 23.9 - 2.5 * Math.log10(microjansky)
const fluxOf = (mag: number): number => 10 ** (0.4 * (23.9 - mag))

function grid(days: Axis, flux: Axis, top: number, bottom: number): string {
  const down = ticksOf(days.low, days.high, 8).map(
    (tick) => `M${fix(days.at(tick))} ${top}V${bottom}`,
  )
  const across = ticksOf(flux.low, flux.high, 6).map(
    (tick) => `M${left} ${fix(flux.at(tick))}H${right}`,
  )
  return `<path class="grid" stroke-width="1" d="${[...down, ...across].join('')}"/>`
}

const frame = (top: number, bottom: number): string =>
  `<rect class="frame" stroke-width="1.4" x="${left}" y="${top}" width="${right - left}" height="${bottom - top}"/>`

const tickLeft = (y: number, label: string): string =>
  `<path class="frame" stroke-width="1.2" d="M${left} ${fix(y)}h-6"/>` +
  `<text class="ink" x="${left - 11}" y="${fix(y + 6)}" text-anchor="end" font-size="17">${label}</text>`

const axisTitle = (text: string, y: number, x: number): string =>
  `<text class="ink" font-size="19" text-anchor="middle" transform="translate(${x} ${y}) rotate(-90)">${text}</text>`

function stampPanel({ stamps }: Picture): string {
  if (Object.keys(stamps).length === 0) return ''
  const parts = stampNames.map((name, i) => {
    const x = side + i * (stampSize + stampGap)
    const png = stamps[name]
    const image =
      png === undefined
        ? ''
        : `<image x="${x}" y="28" width="${stampSize}" height="${stampSize}" href="data:image/png;base64,${Buffer.from(png).toString('base64')}"/>`
    return (
      image +
      `<rect class="frame" stroke-width="1" x="${x}" y="28" width="${stampSize}" height="${stampSize}"/>` +
      `<text class="quiet" x="${x + stampSize / 2}" y="${stampSize + 46}" text-anchor="middle" font-size="14">${name}</text>`
    )
  })
  return parts.join('\n')
}

function parameterPanel({ parameters, stamps }: Picture): string {
  const top = Object.keys(stamps).length === 0 ? 84 : 180
  const end = side + 3 * stampSize + 2 * stampGap
  const pitch = Math.min(36, (pullBottom - top) / Math.max(1, parameters.length - 1))
  const rows = parameters.map(({ name, value, error }, i) => {
    const y = fix(top + i * pitch)
    const tail = error === undefined ? '' : `<tspan class="quiet" dx="7">± ${escape(error)}</tspan>`
    return (
      `<text class="quiet" x="${side}" y="${y}" font-size="19">${escape(name)}</text>` +
      `<text class="ink" x="${end}" y="${y}" text-anchor="end" font-size="20">${escape(value)}${tail}</text>`
    )
  })
  return rows.join('\n')
}

/** Two decimals are a fiftieth of a millimetre. */
const fix = (value: number): string => String(Math.round(value * 100) / 100)

const number = (value: number, decimals: number): string =>
  (Math.abs(value) < 1e-12 ? 0 : value).toFixed(decimals).replace('-', '−')

const signed = (value: number): string => (value > 0 ? `+${value}` : number(value, 0))

const escape = (text: string): string =>
  text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    // What XML cannot say at all.
    .replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd')
