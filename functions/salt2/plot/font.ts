/**
 * Outlines of a TrueType font (Apple's TrueType Reference Manual: head, maxp, cmap 4, hmtx, loca, glyf), as
 * much of it as DejaVu needs. resvg would read the whole font anew for each picture and shape each text
 * with it, which takes longer than to draw all the rest.
 */

/** A font that gives outlines: y grows downward, as in SVG, and 1 is the size of the type. */
export interface Font {
  /** Width that a text takes, in sizes. */
  widthOf(text: string): number
  /** A text as path data that begins at (x, y), in the unit of `size`. */
  outline(text: string, x: number, y: number, size: number): string
}

interface Glyph {
  advance: number
  contours: readonly Contour[]
}

interface Point {
  x: number
  y: number
  on: boolean
}

type Contour = readonly Point[]

const compositeDepth = 4

/** Read a font file that is trusted: it comes with the packages. */
export function readFont(file: Uint8Array): Font {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  const tables = new Map<string, number>()
  for (let i = 0; i < view.getUint16(4); i++) {
    const at = 12 + 16 * i
    const tag = String.fromCharCode(...file.subarray(at, at + 4))
    tables.set(tag, view.getUint32(at + 8))
  }
  const table = (tag: string): number => {
    const at = tables.get(tag)
    if (at === undefined) throw new Error(`The font has no table "${tag}"`)
    return at
  }
  const head = table('head')
  const unit = view.getUint16(head + 18)
  const longOffsets = view.getInt16(head + 50) === 1
  const metrics = view.getUint16(table('hhea') + 34)
  const [loca, glyf, hmtx] = [table('loca'), table('glyf'), table('hmtx')]
  const indexOf = readCharacters(view, table('cmap'))
  const glyphs = new Map<number, Glyph>()

  function glyphOf(character: number): Glyph {
    const index = indexOf(character)
    let glyph = glyphs.get(index)
    if (glyph === undefined) {
      const advance = view.getUint16(hmtx + 4 * Math.min(index, metrics - 1)) / unit
      glyph = { advance, contours: contoursOf(index, compositeDepth) }
      glyphs.set(index, glyph)
    }
    return glyph
  }

  function offsetOf(index: number): number {
    return (
      glyf + (longOffsets ? view.getUint32(loca + 4 * index) : 2 * view.getUint16(loca + 2 * index))
    )
  }

  function contoursOf(index: number, depth: number): Contour[] {
    const at = offsetOf(index)
    if (offsetOf(index + 1) === at || depth === 0) return []
    const count = view.getInt16(at)
    return count >= 0 ? simple(at, count) : composite(at + 10, depth)
  }

  function simple(at: number, count: number): Contour[] {
    const ends = Array.from({ length: count }, (_, i) => view.getUint16(at + 10 + 2 * i))
    const total = (ends.at(-1) ?? -1) + 1
    let next = at + 10 + 2 * count
    next += 2 + view.getUint16(next)
    const flags: number[] = []
    while (flags.length < total) {
      const flag = view.getUint8(next++)
      const times = flag & 8 ? view.getUint8(next++) + 1 : 1
      for (let i = 0; i < times; i++) flags.push(flag)
    }
    const read = (short: number, same: number): number[] => {
      let value = 0
      return flags.map((flag) => {
        if (flag & short) value += flag & same ? view.getUint8(next++) : -view.getUint8(next++)
        else if (!(flag & same)) {
          value += view.getInt16(next)
          next += 2
        }
        return value
      })
    }
    const xs = read(2, 16)
    const ys = read(4, 32)
    const points = flags.map((flag, i): Point => ({
      x: (xs[i] ?? 0) / unit,
      y: -(ys[i] ?? 0) / unit,
      on: (flag & 1) === 1,
    }))
    return ends.map((end, i) => points.slice(i === 0 ? 0 : (ends[i - 1] ?? 0) + 1, end + 1))
  }

  function composite(start: number, depth: number): Contour[] {
    const contours: Contour[] = []
    for (let next = start, more = true; more;) {
      const flags = view.getUint16(next)
      const index = view.getUint16(next + 2)
      const words = (flags & 1) === 1
      const dx = (words ? view.getInt16(next + 4) : view.getInt8(next + 4)) / unit
      const dy = (words ? view.getInt16(next + 6) : view.getInt8(next + 5)) / unit
      next += words ? 8 : 6
      // Parts of the glyphs that are used here are shifted, never scaled.
      next += flags & 8 ? 2 : flags & 64 ? 4 : flags & 128 ? 8 : 0
      for (const contour of contoursOf(index, depth - 1)) {
        contours.push(contour.map(({ x, y, on }) => ({ x: x + dx, y: y - dy, on })))
      }
      more = (flags & 32) === 32
    }
    return contours
  }

  return {
    widthOf: (text) =>
      [...text].reduce((sum, c) => sum + glyphOf(c.codePointAt(0) ?? 0).advance, 0),
    outline(text, x, y, size) {
      let path = ''
      let left = x
      for (const character of text) {
        const { advance, contours } = glyphOf(character.codePointAt(0) ?? 0)
        for (const contour of contours) path += drawContour(contour, left, y, size)
        left += advance * size
      }
      return path
    },
  }
}

/** From code point to glyph by the Unicode subtable of format 4, which has all of the basic plane. */
function readCharacters(view: DataView, cmap: number): (character: number) => number {
  let at: number | undefined
  for (let i = 0; i < view.getUint16(cmap + 2); i++) {
    const subtable = cmap + view.getUint32(cmap + 4 + 8 * i + 4)
    if (view.getUint16(subtable) === 4) at = subtable
  }
  if (at === undefined) throw new Error('The font has no character map of format 4')
  const segments = view.getUint16(at + 6) / 2
  const [ends, starts] = [at + 14, at + 16 + 2 * segments]
  const [deltas, ranges] = [starts + 2 * segments, starts + 4 * segments]
  return (character) => {
    for (let i = 0; i < segments; i++) {
      if (character > view.getUint16(ends + 2 * i)) continue
      const start = view.getUint16(starts + 2 * i)
      if (character < start) return 0
      const delta = view.getUint16(deltas + 2 * i)
      const range = view.getUint16(ranges + 2 * i)
      if (range === 0) return (character + delta) & 0xffff
      const glyph = view.getUint16(ranges + 2 * i + range + 2 * (character - start))
      return glyph === 0 ? 0 : (glyph + delta) & 0xffff
    }
    return 0
  }
}

/** A contour of on-curve points and controls; between two controls lies a point on the curve. */
function drawContour(contour: Contour, left: number, base: number, size: number): string {
  const count = contour.length
  if (count < 2) return ''
  const place = ({ x, y }: { x: number; y: number }): string =>
    `${round(left + x * size)} ${round(base + y * size)}`
  const point = (i: number): Point => contour[((i % count) + count) % count] as Point
  const middle = (a: Point, b: Point): Point => ({
    x: (a.x + b.x) / 2,
    y: (a.y + b.y) / 2,
    on: true,
  })
  const first = contour.findIndex(({ on }) => on)
  const start = first < 0 ? middle(point(0), point(count - 1)) : point(first)
  let path = `M${place(start)}`
  const from = first < 0 ? 0 : first + 1
  const steps = first < 0 ? count : count - 1
  for (let i = from; i < from + steps; i++) {
    const here = point(i)
    if (here.on) {
      path += `L${place(here)}`
      continue
    }
    const following = i + 1 === from + steps ? start : point(i + 1)
    path += `Q${place(here)} ${place(following.on ? following : middle(here, following))}`
    if (following.on && following !== start) i++
  }
  return `${path}Z`
}

const round = (value: number): number => Math.round(value * 100) / 100
