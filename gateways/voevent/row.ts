/** The table `voevents`: a row for each event on the topic, with what most of its readers ask for. */
import { NightjarError } from '../../core/errors.ts'
import type { Message } from '../../core/ports.ts'
import type { Column, Row, RowShape } from '../../core/row.ts'
import { parseDocument, type Document } from './document.ts'
import { identityOf } from './identity.ts'

const columns: readonly Column[] = [
  column('identity', 'STRING', 'By which the event is known again; a row each'),
  column('ivorn', 'STRING', 'IVOA identifier of the event'),
  column('role', 'STRING', 'observation, prediction, utility or test'),
  column('version', 'STRING', 'Of VOEvent, as the root says it'),
  column('author_ivorn', 'STRING', 'Who/AuthorIVORN'),
  column('date', 'TIMESTAMP', 'Who/Date: when it was written; UTC where it has no zone'),
  column('received_at', 'TIMESTAMP', 'When the gateway took it, UTC'),
  column('source', 'STRING', 'receive, subscribe, kafka or author'),
  column('peer', 'STRING', 'Where it came from'),
  column('coord_system', 'STRING', 'AstroCoordSystem of the observation, such as UTC-ICRS-TOPO'),
  column('ra', 'FLOAT64', 'First coordinate of the position, degrees'),
  column('dec', 'FLOAT64', 'Second coordinate of the position, degrees'),
  column('error', 'FLOAT64', 'Radius of the position’s error, degrees'),
  column('isotime', 'STRING', 'Time of the observation as written; the system says its scale'),
  column('description', 'STRING', 'Description of the event, or else of its What'),
  {
    name: 'citations',
    type: 'RECORD',
    mode: 'REPEATED',
    description: 'Events that it follows up, supersedes or retracts',
    fields: [
      column('ivorn', 'STRING', 'The event that is cited'),
      column('cite', 'STRING', 'followup, supersedes or retraction'),
    ],
  },
  column('xml', 'BYTES', 'The document as it came'),
]

/** An event is delivered at least once, and is one row. */
export const voeventShape: RowShape = { table: 'voevents', columns, key: ['identity'] }

/** A message of the topic as a row. Throws `input_invalid` for what is no VOEvent. */
export function voeventRow({ data, attributes }: Message): Row {
  using document = parseDocument(data)
  const { head } = document
  if (head.kind !== 'event') {
    throw new NightjarError('input_invalid', `Cannot store a message "${head.role}" as a VOEvent`)
  }
  const { received_at: receivedAt, identity = identityOf(data, 'event') } = attributes
  return {
    shape: voeventShape,
    values: {
      identity,
      ivorn: head.ivorn ?? null,
      role: head.role,
      version: first(document, '/*/@version'),
      author_ivorn: first(document, path('Who', 'AuthorIVORN')),
      date: microseconds(first(document, path('Who', 'Date'))),
      received_at: microseconds(receivedAt ?? null),
      source: attributes['source'] ?? null,
      peer: attributes['peer'] ?? null,
      ...whereWhen(document),
      description:
        first(document, path('Description')) ?? first(document, path('What', 'Description')),
      citations: document
        .elements(path('Citations', 'EventIVORN'), 'cite')
        .map(({ text, attribute }) => ({ ivorn: text.trim(), cite: attribute ?? null })),
      xml: data,
    },
  }
}

function whereWhen(document: Document): Record<string, unknown> {
  const observed = `${path('WhereWhen', 'ObsDataLocation', 'ObservationLocation')}`
  const coords = `${observed}${below('AstroCoords')}`
  const position = `${coords}${below('Position2D')}`
  const unit = first(document, `${position}/@unit`)
  // Nearly all write "deg", and those who write nothing mean it; what is in radians is left to the reader.
  const inDegrees = unit === null || /^deg/i.test(unit)
  const number = (at: string): number | null =>
    inDegrees ? finite(first(document, `${position}${at}`)) : null
  return {
    coord_system: first(document, `${coords}/@coord_system_id`),
    ra: number(below('Value2') + below('C1')),
    dec: number(below('Value2') + below('C2')),
    error: number(below('Error2Radius')),
    isotime: first(document, `${coords}${below('Time')}${below('TimeInstant')}${below('ISOTime')}`),
  }
}

/** By local names: versions and authors differ in what they put into the namespace. */
const below = (name: string): string => `/*[local-name()='${name}']`
const path = (...names: readonly string[]): string => `/*${names.map(below).join('')}`

function first(document: Document, expression: string): string | null {
  const text = document.elements(expression)[0]?.text.trim()
  return text === undefined || text === '' ? null : text
}

function finite(text: string | null): number | null {
  const value = text === null ? NaN : Number(text)
  return Number.isFinite(value) ? value : null
}

function microseconds(text: string | null): bigint | null {
  if (text === null) return null
  const hasZone = /(?:Z|[+-]\d\d:?\d\d)$/i.test(text)
  const ms = Date.parse(hasZone ? text : `${text}Z`)
  return Number.isNaN(ms) ? null : BigInt(ms) * 1000n
}

function column(name: string, type: Column['type'], description: string): Column {
  return { name, type, mode: 'NULLABLE', description }
}
