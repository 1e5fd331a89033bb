/** An event as a line: for people, and as JSON for programs. */
import { logLevels, type ControlEvent } from '../control/event.ts'
import {
  propertyValue,
  type Property,
  type PropertySet,
  type PropertyValue,
} from '../control/payload.ts'
import { toJson } from './query.ts'
import { visible } from './visible.ts'

const kinds = new Map<unknown, string>([
  ['_E', 'event'],
  ['_S', 'status'],
  ['_C', 'command'],
])

const levelNames = new Map<unknown, string>(
  Object.entries(logLevels).map(([name, level]) => [level, name]),
)

/** What the line says in a place of its own, or what is the same for all that one listens to. */
const placed = new Set([
  ...['TYPE', 'EVENTTIME', 'PUBTIME', 'TOPIC', 'QUEUE'],
  ...['ORIG_HOSTNAME', 'ORIG_PROCESSID', 'ORIG_LOCALID'],
  ...['DEST_HOSTNAME', 'DEST_PROCESSID', 'DEST_LOCALID'],
])

/**
 * What an event says, to people: `2026-11-21T19:06:11.123Z status dome/42/0 STATUS=open doors=[1, 2]`;
 * a line of a log: `2026-11-21T19:06:11.123Z WARN dome/42/0 dome.motor: the current is high`.
 */
export function eventLine(event: ControlEvent): string {
  const { header } = event
  const log = propertyValue(header, 'TYPE') === '_L'
  const words = [
    time(propertyValue(header, 'EVENTTIME')),
    ...(log ? logWords(event) : eventWords(event)),
  ]
  return visible(words.filter((word) => word !== '').join(' '))
}

function logWords({ header, payload }: ControlEvent): string[] {
  const level = propertyValue(header, 'LEVEL')
  return [
    levelNames.get(level) ?? text(level),
    location(header, 'ORIG'),
    `${text(propertyValue(header, 'LOGGER'))}:`,
    String(propertyValue(payload, 'message') ?? ''),
  ]
}

function eventWords({ header, payload }: ControlEvent): string[] {
  const type = propertyValue(header, 'TYPE')
  const to = location(header, 'DEST')
  const told = [...header, ...payload].filter(
    ([name, { values }]) => !placed.has(name) && !(name === 'STATUS' && values[0] === 'unknown'),
  )
  return [
    kinds.get(type) ?? text(type),
    location(header, 'ORIG'),
    to === '' ? '' : `-> ${to}`,
    ...told.map(([name, { values }]) => `${name}=${listed(values.map(text))}`),
  ]
}

/** `{"header":{…},"payload":{…}}`: 64-bit integers as strings, arrays as lists. */
export function eventJson({ header, payload }: ControlEvent): string {
  return toJson({ header: plain(header), payload: plain(payload) })
}

const plain = (set: PropertySet): Record<string, unknown> =>
  Object.fromEntries([...set].map(([name, property]) => [name, single(property)]))

const single = ({ values }: Property): PropertyValue | readonly PropertyValue[] | undefined =>
  values.length === 1 ? values[0] : values

/** Nanoseconds since 1970; any that 64 bits hold are a date. */
const time = (ns: PropertyValue | undefined): string =>
  typeof ns === 'bigint' ? new Date(Number(ns / 1_000_000n)).toISOString() : ''

function location(header: PropertySet, which: 'ORIG' | 'DEST'): string {
  const host = propertyValue(header, `${which}_HOSTNAME`)
  if (host === undefined) return ''
  const numbers = [`${which}_PROCESSID`, `${which}_LOCALID`].map((name) =>
    text(propertyValue(header, name)),
  )
  return [text(host), ...numbers].join('/')
}

const listed = (values: readonly string[]): string =>
  values.length === 1 ? (values[0] ?? '') : `[${values.join(', ')}]`

/** A text in quotes where it would not stand as one word. */
function text(value: PropertyValue | undefined): string {
  if (typeof value !== 'string') return String(value ?? '')
  return /^[^\s"=,[\]]+$/.test(value) ? value : JSON.stringify(value)
}
