/** Words of a command line that speak of events: levels, properties with their types, places. */
import { logLevels, type LocationId } from '../control/event.ts'
import {
  isPropertyType,
  propertyTypes,
  readValue,
  type Property,
  type PropertySet,
} from '../control/payload.ts'
import { NightjarError, sentenceOf } from '../core/errors.ts'

type Level = keyof typeof logLevels

const isLevel = (text: string): text is Level => Object.hasOwn(logLevels, text)

/** A level of logs, in any case. */
export function levelArgument(text: string): Level {
  const level = text.toUpperCase()
  if (isLevel(level)) return level
  throw fault(`level "${text}"`, `there are ${Object.keys(logLevels).join(', ')}`)
}

/** `name:type=value`, the type being string where none is said; the same name again makes an array. */
export function readProperties(words: readonly string[]): PropertySet {
  const set = new Map<string, Property>()
  for (const word of words) {
    const [, name = '', type = 'string', text = ''] =
      /^([^:=]+)(?::([^=]*))?=([^]*)$/.exec(word) ?? []
    if (name === '') throw fault(`property "${word}"`, 'write it as name:type=value or name=text')
    if (!isPropertyType(type)) {
      throw fault(`property "${word}"`, `the types are ${propertyTypes.join(', ')}`)
    }
    const before = set.get(name)
    if (before !== undefined && before.type !== type) {
      throw fault(`property "${name}"`, `it is ${before.type} and ${type}`)
    }
    const value = understood(() => readValue(name, type, text))
    set.set(name, { type, values: [...(before?.values ?? []), value] })
  }
  return set
}

/** `host/process` or `host/process/number`. */
export function placeArgument(text: string): LocationId {
  const [, hostname = '', process = '', local = '0'] =
    /^([^/]+)\/(\d{1,9})(?:\/(\d{1,9}))?$/.exec(text) ?? []
  if (hostname !== '') return { hostname, processId: Number(process), localId: Number(local) }
  throw fault(`destination "${text}"`, 'write it as host/process or host/process/number')
}

/** What is read of the command line: where it is wrong, it is the command line that is not understood. */
export function understood<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (!(cause instanceof NightjarError && cause.code === 'input_invalid')) throw cause
    throw new NightjarError('config_invalid', sentenceOf(cause), { cause })
  }
}

function fault(what: string, why: string): NightjarError {
  return new NightjarError('config_invalid', `Cannot take ${what}: ${why}`)
}
