/**
 * Fuzzing of VTP and VOEvent by their structure: documents with elements, attributes, lengths and
 * characters put wrong, framed, cut into pieces of any size, and asked everything that a gateway asks.
 *
 *     node test/gateways/voevent/fuzz.ts --inputs 1000000 [--seed 1]
 */
import assert from 'node:assert/strict'
import { parseArgs } from 'node:util'

import { NightjarError } from '../../../core/errors.ts'
import { createFrameReader } from '../../../gateways/frames.ts'
import { parseDocument } from '../../../gateways/voevent/document.ts'
import { createFilters } from '../../../gateways/voevent/filters.ts'
import { formatFrame, mostDocumentBytes, vtpFrames } from '../../../gateways/voevent/frame.ts'
import { identityOf } from '../../../gateways/voevent/identity.ts'
import { parseIvoid } from '../../../gateways/voevent/ivoid.ts'
import { voeventRow } from '../../../gateways/voevent/row.ts'
import { testEvent } from '../../../gateways/voevent/test-event.ts'
import { formatTransport } from '../../../gateways/voevent/transport.ts'
import { random } from '../hpfeeds/fuzz.ts'
import { made } from './events.ts'

export interface FuzzReport {
  inputs: number
  /** Documents that were read whole, and of these the valid ones among those that were asked. */
  documents: number
  valid: number
  /** Frames and documents that were refused. */
  refused: number
  seconds: number
  /** Resident memory that the last four fifths of the inputs added, MB. */
  grownMb: number
}

type Random = (below: number) => number

const at = new Date('2026-11-21T04:05:06Z')
const ivorns = [
  'ivo://org.example/stream#ev1',
  'ivo://a',
  '',
  'ivo://x.y/z#\u2603',
  'http://a',
  '&#0;',
]
const bodies = [
  '',
  '<Who><AuthorIVORN>ivo://a.b/c</AuthorIVORN><Date>2026-11-21T00:00:00</Date></Who>',
  '<What><Param name="mag" value="18" dataType="float"/><Group name="g"><Param/></Group></What>',
  '<WhereWhen><ObsDataLocation><ObservatoryLocation/><ObservationLocation><AstroCoordSystem/><AstroCoords><Time><TimeInstant><ISOTime>x</ISOTime></TimeInstant></Time><Position2D unit="deg"><Value2><C1>1e400</C1><C2>-0</C2></Value2><Error2Radius>NaN</Error2Radius></Position2D></AstroCoords></ObservationLocation></ObsDataLocation></WhereWhen>',
  '<Citations><EventIVORN cite="followup">ivo://a.b/c#d</EventIVORN></Citations>',
  '<Why importance="2" expires="never"><Inference probability="7"/></Why>',
  '<Description><![CDATA[<&]]></Description><!-- a --><?b c?>',
]
const expressions = [
  '//Who',
  '//Param[@name="mag" and @value>18]',
  '//[',
  'foo()',
  '$x',
  '//voe:VOEvent',
  '1 div 0',
  'count(//*)',
  'string(/*/@ivorn)',
  '//*[//*[//*]]',
  '',
  'substring("a", -1 div 0)',
  '/'.repeat(50),
  '('.repeat(200),
  `"${'x'.repeat(5000)}"`,
  'id("a")|//Who/..',
  'concat(//C1, //C2)',
]

function pick<T>(next: Random, from: readonly T[], otherwise: T): T {
  return from[next(from.length)] ?? otherwise
}

/** One document that is right, or nearly. */
function anyDocument(next: Random): Buffer {
  switch (next(8)) {
    case 0:
      return testEvent(pick(next, ivorns, ''), at)
    case 1: {
      const filters = Array.from({ length: next(4) }, () => pick(next, expressions, ''))
      return formatTransport({ role: 'authenticate', origin: pick(next, ivorns, ''), filters, at })
    }
    case 2: {
      const role = pick(next, ['iamalive', 'ack', 'nak'] as const, 'ack')
      return formatTransport({ role, origin: pick(next, ivorns, ''), result: '<&"\0', at })
    }
    default: {
      const body = Array.from({ length: next(5) }, () => pick(next, bodies, '')).join('')
      const version = pick(next, ['2.0', '2.1', '1.1', ''], '2.0')
      const role = pick(next, ['observation', 'test', 'ack', ''], '')
      return made({ ivorn: pick(next, ivorns, ''), role, version, body })
    }
  }
}

const inserts = [
  '<!DOCTYPE a [<!ENTITY b "c">]>',
  '&b;',
  '&amp;',
  '&#x41;',
  '<a>',
  '</a>',
  '<',
  '>',
  '"',
  '\0',
  '\uFFFE',
  ' xmlns="b"',
  ' role="test"',
  '<a '.repeat(40),
  '<a>'.repeat(300),
  '<!--',
  '-->',
  ']]>',
  '<?xml version="1.0"?>',
  '<?xml version="1.0" encoding="UTF-16"?>',
  '\xEF\xBB\xBF',
  ' a="1" a="2"',
]

/** Put something wrong into a document. */
function spoil(document: Buffer, next: Random): Buffer {
  const place = next(document.length + 1)
  switch (next(5)) {
    case 0:
      return document.subarray(0, place)
    case 1:
      return Buffer.concat([
        document.subarray(0, place),
        Buffer.from(pick(next, inserts, ''), 'latin1'),
        document.subarray(place),
      ])
    case 2: {
      // A piece twice, or one less.
      const size = next(40)
      return Buffer.concat([
        document.subarray(0, place),
        document.subarray(Math.max(0, place - size)),
      ])
    }
    case 3: {
      const text = document.toString('latin1')
      const tags = [...text.matchAll(/<[^>]*>/g)]
      const tag = tags[next(tags.length || 1)]
      if (tag === undefined) return document
      const rest = text.slice(tag.index + tag[0].length)
      return Buffer.from(text.slice(0, tag.index) + rest, 'latin1')
    }
    default: {
      const copy = Buffer.from(document)
      if (copy.length > 0) copy[next(copy.length)] = next(256)
      return copy
    }
  }
}

const lengths = [0, 1, mostDocumentBytes, mostDocumentBytes + 1, 0x7fffffff, 0xffffffff, 0x10000000]

/** A conversation, of which now and then something is wrong. */
export function anyConversation(next: Random): Buffer {
  const frames = Array.from({ length: 1 + next(2) }, () => {
    let document = anyDocument(next)
    while (next(2) === 0) document = spoil(document, next)
    const frame = formatFrame(document)
    if (next(20) === 0) frame.writeUInt32BE(pick(next, lengths, 0), 0)
    return frame
  })
  return Buffer.concat(frames)
}

/** Whatever is thrown must be a refusal. */
function refusalOf(work: () => void): boolean {
  try {
    work()
    return false
  } catch (error) {
    if (error instanceof NightjarError) return true
    throw error
  }
}

/** Ask of a document what a gateway asks. */
function ask(bytes: Buffer, thorough: boolean, report: FuzzReport, next: Random): void {
  using document = parseDocument(bytes)
  report.documents++
  const { head } = document
  const asked = head.kind === 'transport' ? head.filters : [pick(next, expressions, '')]
  const { filters } = createFilters(asked)
  using _ = filters
  filters.match(document, new Map())
  if (head.kind === 'transport') return
  identityOf(bytes, 'event')
  refusalOf(() => parseIvoid(head.ivorn ?? ''))
  if (!thorough) return
  if (document.fault() === undefined) report.valid++
  voeventRow({ data: bytes, attributes: {} })
}

/** Feed this many inputs; each frame must come out the same whole and in pieces. */
export function fuzz({ inputs, seed }: { inputs: number; seed: number }): FuzzReport {
  const next = random(seed)
  const report: FuzzReport = { inputs, documents: 0, valid: 0, refused: 0, seconds: 0, grownMb: 0 }
  const began = performance.now()
  let early = 0
  for (let i = 0; i < inputs; i++) {
    if (i === Math.floor(inputs / 5)) early = process.memoryUsage().rss
    const input = anyConversation(next)
    try {
      const frames = createFrameReader(vtpFrames)
      const most = pick(next, [1, 100, 5000, 5000, 5000], 1)
      for (let from = 0; from < input.length;) {
        const size = most === 1 && input.length > 2000 ? 64 : 1 + next(most)
        frames.feed(input.subarray(from, from + size))
        from += size
        const broken = refusalOf(() => {
          for (let frame = frames.next(); frame; frame = frames.next()) {
            const body = Buffer.from(frame.body)
            if (refusalOf(() => ask(body, i % 16 === 0, report, next))) report.refused++
          }
        })
        assert.ok(frames.held() <= 2 * Math.min(from, input.length) + 64)
        if (!broken) continue
        report.refused++
        break
      }
    } catch (cause) {
      throw new Error(`Input ${i} of seed ${seed} fails: ${input.toString('hex')}`, { cause })
    }
  }
  report.seconds = (performance.now() - began) / 1000
  report.grownMb = (process.memoryUsage().rss - early) / 1e6
  return report
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      inputs: { type: 'string', default: '1000000' },
      seed: { type: 'string', default: '1' },
    },
  })
  const { inputs, documents, valid, refused, seconds, grownMb } = fuzz({
    inputs: Number(values.inputs),
    seed: Number(values.seed),
  })
  process.stdout.write(
    `VOEvent: ${inputs} inputs in ${seconds.toFixed(1)} s, ${documents} documents read ` +
      `(${valid} found valid), ${refused} refused, none crashed; memory grew by ${grownMb.toFixed(0)} MB\n`,
  )
}
