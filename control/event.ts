/**
 * Events of the control plane as ctrl_events has them: a header of typed primitives, by which selectors
 * choose, and a payload, which may hold arrays and nested names. On a topic the header's properties are
 * the message's attributes; which of them are no texts stands in the attribute `_types`.
 */
import { NightjarError } from '../core/errors.ts'
import type { Message } from '../core/ports.ts'
import {
  formatPayload,
  parsePayload,
  propertySet,
  propertyValue,
  readValue,
  type Property,
  type PropertySet,
  type PropertyType,
  type PropertyValue,
} from './payload.ts'

export type EventType = '_E' | '_S' | '_C' | '_L'

export interface ControlEvent {
  header: PropertySet
  payload: PropertySet
}

/** A process, and which of its makers of events: the third counts from 0 in each process. */
export interface LocationId {
  hostname: string
  processId: number
  localId: number
}

export interface EventOptions {
  payload?: PropertySet
  /** Properties of one's own by which selectors may choose: primitives only. */
  filterable?: PropertySet
  runId?: string
  status?: string
  /** Nanoseconds since 1970. */
  nowNs: bigint
}

/** Levels of log4cxx, as `LEVEL` has them. */
export const logLevels = {
  ...{ TRACE: 5000, DEBUG: 10_000, INFO: 20_000 },
  ...{ WARN: 30_000, ERROR: 40_000, FATAL: 50_000 },
} as const

const uninitialized = 'uninitialized'

const keywords: ReadonlySet<string> = new Set([
  ...['TYPE', 'EVENTTIME', 'STATUS', 'TOPIC', 'QUEUE', 'PUBTIME', 'RUNID', '_types'],
  ...['ORIG_HOSTNAME', 'ORIG_PROCESSID', 'ORIG_LOCALID'],
  ...['DEST_HOSTNAME', 'DEST_PROCESSID', 'DEST_LOCALID', 'LEVEL', 'LOGGER'],
])

const long = (value: bigint): Property => ({ type: 'long long', values: [value] })

/** A plain event. */
export function createEvent(options: EventOptions): ControlEvent {
  return eventOf('_E', options, new Map())
}

/** An event that tells of the state of what sends it. */
export function createStatusEvent(options: EventOptions & { origin: LocationId }): ControlEvent {
  return eventOf('_S', options, located('ORIG', options.origin))
}

/** An event that asks a process to do something. */
export function createCommandEvent(
  options: EventOptions & { origin: LocationId; destination: LocationId },
): ControlEvent {
  const more = [...located('ORIG', options.origin), ...located('DEST', options.destination)]
  return eventOf('_C', options, new Map(more))
}

/** A line of a log. */
export function createLogEvent(
  options: EventOptions & {
    origin: LocationId
    level: keyof typeof logLevels
    logger: string
    message: string
  },
): ControlEvent {
  const more = propertySet({ LEVEL: logLevels[options.level], LOGGER: options.logger })
  const said = propertySet({
    message: options.message,
    timestamp: { type: 'datetime', values: [options.nowNs] },
  })
  const payload = new Map([...(options.payload ?? []), ...said])
  const header = new Map([...located('ORIG', options.origin), ...more])
  return eventOf('_L', { ...options, payload }, header)
}

function eventOf(type: EventType, options: EventOptions, more: PropertySet): ControlEvent {
  const { payload = new Map(), filterable = new Map(), runId, status = 'unknown', nowNs } = options
  for (const name of [...payload.keys(), ...filterable.keys()]) {
    if (keywords.has(name)) throw fault(`property "${name}"`, 'the name is one of the header’s own')
  }
  const own = propertySet({
    TYPE: type,
    EVENTTIME: long(nowNs),
    STATUS: status,
    TOPIC: uninitialized,
    PUBTIME: long(0n),
    ...(runId !== undefined && { RUNID: runId }),
  })
  return { header: new Map([...own, ...more, ...filterable]), payload }
}

function located(
  which: 'ORIG' | 'DEST',
  { hostname, processId, localId }: LocationId,
): PropertySet {
  return propertySet({
    [`${which}_HOSTNAME`]: hostname,
    [`${which}_PROCESSID`]: processId,
    [`${which}_LOCALID`]: localId,
  })
}

/** The run that an event belongs to. Throws `input_invalid` where it names none. */
export function runIdOf({ header }: ControlEvent): string {
  const runId = propertyValue(header, 'RUNID')
  if (typeof runId === 'string') return runId
  throw fault('the run of an event', 'it names none')
}

/** The event as it is when published to a topic or queue. Throws `input_invalid` for an illegal header. */
export function publishedEvent(
  event: ControlEvent,
  where: { topic: string } | { queue: string },
  nowNs: bigint,
): ControlEvent {
  for (const [name, { values }] of event.header) {
    if (values.length !== 1 || name.includes('.')) {
      throw fault(
        `filterable property "${name}"`,
        'only single values of one level can be filtered',
      )
    }
  }
  const place = 'topic' in where ? { TOPIC: where.topic } : { QUEUE: where.queue }
  const now = propertySet({ ...place, PUBTIME: long(nowNs) })
  return { header: new Map([...event.header, ...now]), payload: event.payload }
}

const letters: Readonly<Record<Exclude<PropertyType, 'string'>, string>> = {
  ...{ bool: 'b', int: 'i', long: 'j', 'long long': 'l', float: 'f', double: 'd', datetime: 't' },
}

const typeOfLetter = new Map(Object.entries(letters).map(([type, letter]) => [letter, type]))

/** An event as a message of a topic. */
export function messageOfEvent({ header, payload }: ControlEvent): Message {
  const attributes: Record<string, string> = {}
  const typed: string[] = []
  for (const [name, { type, values }] of header) {
    const [value] = values
    if (value === undefined) continue
    attributes[name] = String(value)
    if (type !== 'string') typed.push(`${name}:${letters[type]}`)
  }
  // Several, since a value has 1,024 bytes at most.
  typed.sort().forEach((entry, i) => {
    const key = `_types${i < 20 ? '' : Math.floor(i / 20)}`
    attributes[key] = attributes[key] === undefined ? entry : `${attributes[key]},${entry}`
  })
  return { data: Buffer.from(formatPayload(payload)), attributes }
}

/** Read an event. Throws `input_invalid` for a message that is none. */
export function eventOfMessage({ data, attributes }: Message): ControlEvent {
  const header = headerOf(attributes)
  return { header, payload: parsePayload(Buffer.from(data).toString('utf8')) }
}

const typesKey = /^_types\d*$/

/** The typed properties of a message's attributes. */
function headerOf(attributes: Message['attributes']): PropertySet {
  const typed = new Map<string, PropertyType>()
  for (const [key, value] of Object.entries(attributes)) {
    if (!typesKey.test(key)) continue
    for (const entry of value.split(',')) {
      const colon = entry.lastIndexOf(':')
      const type = typeOfLetter.get(entry.slice(colon + 1))
      if (colon < 1 || type === undefined) throw fault('the types of an event', `"${entry}"`)
      typed.set(entry.slice(0, colon), type as PropertyType)
    }
  }
  const header = new Map<string, Property>()
  for (const [name, text] of Object.entries(attributes)) {
    if (typesKey.test(name)) continue
    const type = typed.get(name) ?? 'string'
    header.set(name, { type, values: [readValue(name, type, spelled(text))] })
  }
  return header
}

/** Infinity and NaN as JavaScript spells them, in the payload's spelling. */
const spelled = (text: string): string =>
  text === 'Infinity' ? 'inf' : text === '-Infinity' ? '-inf' : text === 'NaN' ? 'nan' : text

/** The header as selectors see it: plain values by name. */
export function filterableOf({ header }: ControlEvent): Readonly<Record<string, PropertyValue>> {
  // Without a prototype, so that no name finds what nobody set.
  const values: Record<string, PropertyValue> = Object.create(null) as Record<string, PropertyValue>
  for (const [name, property] of header) {
    const [value] = property.values
    if (value !== undefined) values[name] = value
  }
  return values
}

function fault(what: string, why: string): NightjarError {
  return new NightjarError('input_invalid', `Cannot take ${what}: ${why}`)
}
