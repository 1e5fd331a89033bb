import { NightjarError, sentenceOf } from '../core/errors.ts'
import { dustColumns, errorColumns, type Axis, type BandTable } from './band-table.ts'
import { tableModel, type Model } from './model.ts'

/**
 * Tables as a file: eight bytes of magic, the length of a JSON header as an unsigned 32-bit number
 * (little endian), the header, then numbers. Fluxes become moments, integrals of the Chebyshev polynomials
 * in CL, of which the higher matter less. Numbers are rounded; what is kept are their third differences
 * along redshift, differenced once more along phase, as integers of variable length: most take a byte,
 * and a general compressor does well on the rest. Rounding costs less than 1e-6 of a band's highest flux and 2e-4 of a variance.
 */
const magic = 'NJSALT01'

interface Header {
  readonly name: string
  readonly citation: string
  /** Where the numbers come from: sources with their checksums, and what made the tables. */
  readonly provenance: Readonly<Record<string, unknown>>
  readonly tables: readonly TableHeader[]
}

interface TableHeader {
  readonly band: string
  readonly family: 'salt2' | 'salt3'
  readonly redshifts: Axis
  readonly phases: Axis
  readonly errorPhases: Axis
  readonly terms: number
  readonly interval: BandTable['interval']
  /** The unit that flux is rounded to. */
  readonly fluxStep: number
}

/**
 * Fluxes are rounded to this part of the highest; moments from the fifth on ever more coarsely, as their
 * part in a flux falls faster still for |c| ≤ 1.
 */
const fluxPart = 1e-6
const coarser = (moment: number): number => 2.2 ** Math.max(0, moment - 4)
const dustStep = 1e-5
/** Bits of a 32-bit float that are dropped where the relative error counts: 12 of its digits stay. */
const droppedBits = 11
/** No table is larger than this many numbers. */
const mostValues = 20_000_000

/** Write tables. The same tables give the same bytes. */
export function encodeTables(
  name: string,
  citation: string,
  provenance: Header['provenance'],
  tables: readonly BandTable[],
): Uint8Array {
  const headers = tables.map((table): TableHeader => {
    const { band, family, redshifts, phases, errorPhases, terms, interval } = table
    const highest = table.flux.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
    const fluxStep = Number((highest * fluxPart).toPrecision(6))
    return { band, family, redshifts, phases, errorPhases, terms, interval, fluxStep }
  })
  const header: Header = { name, citation, provenance, tables: headers }
  const text = new TextEncoder().encode(JSON.stringify(header))
  const bytes: number[] = [...new TextEncoder().encode(magic)]
  for (let shift = 0; shift < 32; shift += 8) bytes.push((text.length >>> shift) & 255)
  for (const byte of text) bytes.push(byte)
  for (const [i, table] of tables.entries()) {
    const layouts = layoutsOf(headers[i] ?? (headers[0] as TableHeader))
    writeSeries(bytes, momentsOf(table.flux, table.terms), layouts.flux)
    for (const column of table.dust) writeSeries(bytes, column, layouts.dust)
    writeSeries(bytes, table.errors, layouts.errors)
    writeSeries(bytes, table.dispersion, layouts.single)
    writeSeries(bytes, table.least, layouts.single)
  }
  return Uint8Array.from(bytes)
}

/** Read tables into a model. Fails with `input_invalid` on anything but a whole file of ours. */
export function decodeTables(bytes: Uint8Array): Model {
  try {
    if (new TextDecoder().decode(bytes.subarray(0, 8)) !== magic) throw new Error('wrong magic')
    const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(8, true)
    if (length > bytes.length - 12) throw new Error('its header is cut off')
    const text = new TextDecoder().decode(bytes.subarray(12, 12 + length))
    const header = JSON.parse(text) as Header
    const reader = { bytes, at: 12 + length }
    const tables = header.tables.map((table) => readTable(reader, table))
    if (reader.at !== bytes.length) throw new Error(`${bytes.length - reader.at} bytes are left`)
    return tableModel(header.name, header.citation, tables)
  } catch (error) {
    throw new NightjarError(
      'input_invalid',
      `Cannot read model tables of ${bytes.length} bytes: ${sentenceOf(error)}`,
      { cause: error },
    )
  }
}

interface Reader {
  readonly bytes: Uint8Array
  at: number
}

function readTable(reader: Reader, header: TableHeader): BandTable {
  const { fluxStep: _, ...shape } = header
  const layouts = layoutsOf(header)
  return {
    ...shape,
    flux: weightsOf(readSeries(reader, layouts.flux), header.terms),
    dust: dustColumns.map(() => readSeries(reader, layouts.dust)),
    errors: readSeries(reader, layouts.errors),
    dispersion: readSeries(reader, layouts.single),
    least: readSeries(reader, layouts.single),
  }
}

function layoutsOf(header: TableHeader): Record<'flux' | 'dust' | 'errors' | 'single', Layout> {
  const { terms, phases, errorPhases, fluxStep } = header
  const of = (width: number, group: number, ...coders: Coder[]): Layout => ({
    redshifts: header.redshifts.count,
    width,
    group,
    coders,
  })
  const moments = Array.from({ length: terms }, (_, m) => stepCoder(fluxStep * coarser(m)))
  return {
    flux: of(phases.count * 2 * terms, 2 * terms, ...moments),
    dust: of(terms, terms, stepCoder(dustStep)),
    errors: of(errorPhases.count * errorColumns, errorColumns, floatCoder),
    single: of(1, 1, floatCoder),
  }
}

/** A number as a whole number, and back. */
interface Coder {
  encode(value: number): number
  decode(code: number): number
}

const stepCoder = (step: number): Coder => ({
  encode: (value) => Math.round(value / step),
  decode: (code) => code * step,
})

/** Values of the Chebyshev polynomials at the nodes: moment by node. */
const polynomialsOf = (terms: number): Float64Array =>
  Float64Array.from({ length: terms * terms }, (_, i) =>
    Math.cos((Math.PI * Math.floor(i / terms) * ((i % terms) + 0.5)) / terms),
  )

/** Moments from weights of nodes, group by group. */
function momentsOf(weights: Float64Array, terms: number): Float64Array {
  const polynomials = polynomialsOf(terms)
  return weights.map((_, at) => {
    const moment = at % terms
    let sum = 0
    for (let j = 0; j < terms; j++) {
      sum += (weights[at - moment + j] ?? 0) * (polynomials[moment * terms + j] ?? 0)
    }
    return sum
  })
}

/** Weights of nodes from moments: the inverse. */
function weightsOf(moments: Float64Array, terms: number): Float64Array {
  const polynomials = polynomialsOf(terms)
  return moments.map((_, at) => {
    const node = at % terms
    let sum = -(moments[at - node] ?? 0)
    for (let m = 0; m < terms; m++) {
      sum += 2 * (moments[at - node + m] ?? 0) * (polynomials[m * terms + node] ?? 0)
    }
    return sum / terms
  })
}

const floats = new Float32Array(1)
const bits = new Uint32Array(floats.buffer)

/** The leading bits of a float, with the sign apart: neighbouring numbers have neighbouring codes. */
const floatCoder: Coder = {
  encode(value) {
    floats[0] = Math.abs(value)
    const code = Math.round((bits[0] ?? 0) / 2 ** droppedBits)
    return value < 0 ? -code : code
  },
  decode(code) {
    bits[0] = Math.abs(code) * 2 ** droppedBits
    return code < 0 ? -(floats[0] ?? 0) : (floats[0] ?? 0)
  },
}

/** Values by redshift, then in groups of `group`, one a phase; the coders take turns within a group. */
interface Layout {
  readonly redshifts: number
  readonly width: number
  readonly group: number
  readonly coders: readonly Coder[]
}

/** How often codes are differenced along redshift. */
const order = 3

function writeSeries(bytes: number[], values: Float64Array, layout: Layout): void {
  const { redshifts, width, group, coders } = layout
  const codes = values.map((value, i) => (coders[i % coders.length] ?? floatCoder).encode(value))
  for (let pass = 0; pass < order; pass++) {
    for (let i = codes.length - 1; i >= width; i--)
      codes[i] = (codes[i] ?? 0) - (codes[i - width] ?? 0)
  }
  for (let i = codes.length - 1; i >= 0; i--) {
    if (i % width >= group) codes[i] = (codes[i] ?? 0) - (codes[i - group] ?? 0)
  }
  for (let column = 0; column < width; column++) {
    for (let row = 0; row < redshifts; row++) writeNumber(bytes, codes[row * width + column] ?? 0)
  }
}

function readSeries(reader: Reader, { redshifts, width, group, coders }: Layout): Float64Array {
  const size = width * redshifts
  // Every number takes a byte or more: what claims to be larger than the file is refused unallocated.
  if (!(size >= 0 && size <= Math.min(mostValues, reader.bytes.length - reader.at))) {
    throw new Error(`a series of ${size} numbers does not fit`)
  }
  const codes = new Float64Array(size)
  for (let column = 0; column < width; column++) {
    for (let row = 0; row < redshifts; row++) codes[row * width + column] = readNumber(reader)
  }
  for (let i = 0; i < size; i++) {
    if (i % width >= group) codes[i] = (codes[i] ?? 0) + (codes[i - group] ?? 0)
  }
  for (let pass = 0; pass < order; pass++) {
    for (let i = width; i < size; i++) codes[i] = (codes[i] ?? 0) + (codes[i - width] ?? 0)
  }
  return codes.map((code, i) => (coders[i % coders.length] ?? floatCoder).decode(code))
}

/** Whole numbers, small ones in a byte: the sign goes to the lowest bit. */
function writeNumber(bytes: number[], value: number): void {
  let rest = value < 0 ? -2 * value - 1 : 2 * value
  while (rest > 127) {
    bytes.push((rest % 128) + 128)
    rest = Math.floor(rest / 128)
  }
  bytes.push(rest)
}

function readNumber(reader: Reader): number {
  let value = 0
  for (let unit = 1; unit < 2 ** 49; unit *= 128) {
    const byte = reader.bytes[reader.at++]
    if (byte === undefined) throw new Error('it ends within a number')
    value += (byte & 127) * unit
    if (byte < 128) return value % 2 === 1 ? -(value + 1) / 2 : value / 2
  }
  throw new Error('a number is too long')
}
