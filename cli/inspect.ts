import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'

import { readCutout, stampsOf } from '../core/cutout.ts'
import { sentenceOf } from '../core/errors.ts'
import { lightCurveOf, type LightCurvePoint } from '../core/light-curve.ts'
import { cutoutPng } from '../core/png.ts'
import { projectAlert, readAlert, type Packet } from '../schemas/alert.ts'
import { isContainer, openContainer, splitContainer } from '../schemas/container.ts'
import { fixPacket } from '../schemas/fix.ts'
import { plotLegend, plotLightCurve } from './plot.ts'
import { formatBytes } from './text-table.ts'
import type { World } from './world.ts'

const help = `
A file is an Avro container of one or more alerts, or one alert in Confluent wire format (LSST).
The plot shows brightness upward: capital letters are brighter than the reference image, small
ones fainter, ˅ is a limit of what could have been seen, · is forced photometry.

Examples:
  $ nightjar inspect alert.avro                    one alert on one screen
  $ nightjar inspect --cutouts png *.avro          and its images as png/OBJECT-CANDID-science.png, ...
  $ nightjar inspect --json alert.avro | jq .candidate.rb
`

interface Options {
  cutouts?: string
  json?: true
}

/** `nightjar inspect`: show what is in packets. */
export function inspectCommand(world: World): Command {
  return new Command('inspect')
    .description('show what is in alert packets: who, when, how bright, its past, its images')
    .argument('<file...>', 'Avro files, or LSST packets in wire format')
    .option('--cutouts <dir>', 'write science, template and difference images as PNG')
    .option('--json', 'print packets as JSON, one a line; long numbers as text, no cutouts')
    .addHelpText('after', help)
    .action((files: string[], options: Options) => {
      for (const file of files) {
        if (!inspectFile(world, file, options)) world.exit(1)
      }
    })
}

function inspectFile(world: World, file: string, { cutouts, json }: Options): boolean {
  try {
    const bytes = readFileSync(file)
    const packets = isContainer(bytes) ? splitContainer(bytes) : [bytes]
    for (const [i, data] of packets.entries()) {
      const packet = readAlert(data)
      if (json) world.out(`${JSON.stringify(withoutCutouts(packet.record))}\n`)
      else {
        const title = packets.length > 1 ? `${file} (${i + 1} of ${packets.length})` : file
        world.out(`${describe(world, title, data, packet)}\n`)
      }
      if (cutouts !== undefined) writeCutouts(cutouts, data, packet)
    }
    if (packets.length === 0) world.out(`${file}\n  a container without records\n`)
    return true
  } catch (error) {
    world.err(`nightjar: ${file}: ${reasonOf(error)}\n`)
    return false
  }
}

/** The system's own words name the call and the file again; the code is enough. */
function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOENT') return 'Cannot read file: it is not there'
  if (code === 'EISDIR') return 'Cannot read file: it is a folder'
  return sentenceOf(error)
}

function describe(world: World, title: string, data: Uint8Array, packet: Packet): string {
  const points = lightCurveOf(packet.record)
  const width = Math.min(world.columns, 100)
  const plot =
    points.length > 1 ? plotLightCurve(points, { width, height: 17, color: world.tty }) : []
  const lines = [
    ['packet', packetLine(data, packet)],
    ['schema', schemaLine(data)],
    ...alertLines(packet.record, points),
  ].flatMap(([name = '', text]) => (text === undefined ? [] : [`  ${name.padEnd(9)}${text}`]))
  const legend = plot.length > 0 ? [`       ${plotLegend(points)}`] : []
  return [title, `  ${identity(data)}`, ...lines, ...plot, ...legend, ''].join('\n')
}

function identity(data: Uint8Array): string {
  const { objectId, candid } = projectAlert(data)
  return `${objectId} ${candid}`
}

function packetLine(data: Uint8Array, { version, record }: Packet): string {
  const cutouts = Object.entries(stampsOf(record)).map(([name, stamp]) => {
    return `${name} ${formatBytes(stamp.length)}`
  })
  const parts = [`version ${version ?? 'unknown'}`, formatBytes(data.length), ...cutouts]
  return parts.join(', ')
}

function schemaLine(data: Uint8Array): string {
  if (!isContainer(data)) return 'in wire format, the schema is known by its id'
  const { schema, codec } = openContainer(data)
  const size = `${formatBytes(schema.text.length)} in the packet, codec ${codec}`
  try {
    const { changed } = fixPacket(data)
    return changed === 0 ? `${size}, legal` : `${size}, ${changed} illegal defaults to be mended`
  } catch (error) {
    // What cannot be mended can still be looked at.
    return `${size}, illegal: ${sentenceOf(error)}`
  }
}

function alertLines(
  record: Packet['record'],
  points: readonly LightCurvePoint[],
): (readonly [string, string | undefined])[] {
  const source = (record['candidate'] ?? record['diaSource']) as Record<string, unknown> | undefined
  if (!source) return []
  const latest = points.findLast(({ kind }) => kind === 'detection')
  return [
    ['time', latest && timeText(latest, record['candidate'] !== undefined)],
    ['place', placeText(source)],
    ['light', latest && lightText(latest)],
    ['scores', numbers(source, { rb: 'rb', drb: 'drb', reliability: 'reliability' })],
    ['PS1', nearText(source)],
    ['moving', movingText(source)],
    ['past', pastText(points)],
  ]
}

function timeText({ jd }: LightCurvePoint, utc: boolean): string {
  const date = new Date(Math.round((jd - 2440587.5) * 86_400_000)).toISOString()
  return `${date.slice(0, 10)} ${date.slice(11, 19)} ${utc ? 'UTC' : 'TAI'}, jd ${jd.toFixed(7)}`
}

function placeText(source: Readonly<Record<string, unknown>>): string | undefined {
  const { ra, dec, field, rcid } = source
  if (typeof ra !== 'number' || typeof dec !== 'number') return undefined
  const at = `ra ${ra.toFixed(6)}, dec ${dec.toFixed(6)} (${sexagesimal(ra / 15, 2)} ${dec < 0 ? '-' : '+'}${sexagesimal(Math.abs(dec), 1)})`
  return typeof field === 'number' ? `${at}, field ${field}, quadrant ${String(rcid)}` : at
}

/** `03:14:15.93`, of hours or degrees. */
function sexagesimal(value: number, digits: number): string {
  const unit = 10 ** digits
  const total = Math.round(value * 3600 * unit)
  const seconds = ((total / unit) % 60).toFixed(digits).padStart(digits + 3, '0')
  const minutes = Math.floor(total / unit / 60)
  return `${pair(Math.floor(minutes / 60))}:${pair(minutes % 60)}:${seconds}`
}

const pair = (value: number): string => String(value).padStart(2, '0')

function lightText(point: LightCurvePoint): string {
  const { band, mag, magErr, limit, positive } = point
  const parts = [
    `${band} ${mag?.toFixed(3) ?? 'unknown'}${magErr === undefined ? '' : ` ± ${magErr.toFixed(3)}`}`,
    positive ? 'brighter than the reference' : 'fainter than the reference',
    ...(limit === undefined ? [] : [`limit ${limit.toFixed(2)}`]),
  ]
  return parts.join(', ')
}

function nearText(source: Readonly<Record<string, unknown>>): string | undefined {
  const { distpsnr1: distance, sgscore1: score } = source
  if (typeof distance !== 'number') return undefined
  if (distance < 0) return 'nothing within 30 arcsec'
  const known = typeof score === 'number' && score >= 0
  const kind = !known
    ? 'unknown'
    : score > 0.6
      ? 'a star'
      : score < 0.4
        ? 'a galaxy'
        : 'star or galaxy'
  return `${distance.toFixed(2)} arcsec away, ${kind}${known ? ` (score ${score.toFixed(2)})` : ''}`
}

function movingText(source: Readonly<Record<string, unknown>>): string | undefined {
  const { ssnamenr: name, ssdistnr: distance } = source
  if (typeof name !== 'string' || name === 'null') return undefined
  return `${name}, ${String(distance)} arcsec away`
}

function pastText(points: readonly LightCurvePoint[]): string {
  const count = (kind: LightCurvePoint['kind']): number =>
    points.filter((point) => point.kind === kind).length
  const first = points[0]?.jd ?? 0
  const days = ((points.at(-1)?.jd ?? first) - first).toFixed(1)
  const forced = count('forced')
  return (
    `${count('detection')} detections and ${count('limit')} limits` +
    `${forced > 0 ? `, ${forced} forced` : ''} in ${days} days`
  )
}

function numbers(
  source: Readonly<Record<string, unknown>>,
  names: Readonly<Record<string, string>>,
): string | undefined {
  const parts = Object.entries(names).flatMap(([field, name]) => {
    const value = source[field]
    return typeof value === 'number' ? [`${name} ${value.toFixed(3)}`] : []
  })
  return parts.length > 0 ? parts.join(', ') : undefined
}

function writeCutouts(dir: string, data: Uint8Array, { record }: Packet): void {
  mkdirSync(dir, { recursive: true })
  const { objectId, candid } = projectAlert(data)
  for (const [name, stamp] of Object.entries(stampsOf(record))) {
    writeFileSync(join(dir, `${objectId}-${candid}-${name}.png`), cutoutPng(readCutout(stamp)))
  }
}

function withoutCutouts(record: Packet['record']): unknown {
  const kept = Object.entries(record).filter(([name]) => !name.startsWith('cutout'))
  return plain(Object.fromEntries(kept))
}

/** JSON has neither 64-bit numbers nor NaN: both become text. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return String(value)
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value)
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, plain(entry)]))
}
