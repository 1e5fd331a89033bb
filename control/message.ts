/**
 * The message of the control plane: a command, who sent it, whom it is for, and named texts. On the wire
 * it is one line, as eventdispatcher writes it, so that a person can speak it through `nc`:
 *
 *     <sender:service server:service/COMMAND name=value;name="a;b"
 *
 * Its JSON form is read as well, and never written. What eventdispatcher's own parser takes and refuses
 * is measured, and this one agrees, but for a quoted value that ends in a backslash: theirs cannot read
 * back what it wrote, a reader from left to right can.
 */
import { NightjarError } from '../core/errors.ts'
import { parseJsonMessage } from './message-json.ts'

/** Empty texts stand for "not said". A name, or `.` this one, `*` all, `?` any one. */
export interface Address {
  server: string
  service: string
}

export interface ControlMessage {
  from: Address
  to: Address
  command: string
  parameters: ReadonlyMap<string, string>
}

/** Longest message on a stream, in bytes of UTF-8 without the line's end. */
export const maxMessageBytes = 65_536

export const nowhere: Address = { server: '', service: '' }

const parameterName = /^[A-Za-z_][A-Za-z0-9_]*$/
const commandName = /^[A-Z_][A-Z0-9_]*$/
const addressName = /^(?:[A-Za-z_][A-Za-z0-9_]*|[.*?])?$/

export interface MessageParts {
  from?: Partial<Address>
  to?: Partial<Address>
  parameters?: Readonly<Record<string, string | number | bigint | boolean>>
}

/** Make a message. Every name is checked here; what came from a peer keeps what the peer wrote. */
export function controlMessage(command: string, parts: MessageParts = {}): ControlMessage {
  const { from, to, parameters = {} } = parts
  const message = {
    from: { ...nowhere, ...from },
    to: { ...nowhere, ...to },
    command,
    parameters: new Map(Object.entries(parameters).map(([name, value]) => [name, String(value)])),
  }
  return checkNames(message)
}

/** Throw `input_invalid` where a name of the message is not one. */
export function checkNames(message: ControlMessage): ControlMessage {
  const { from, to, command, parameters } = message
  if (!commandName.test(command)) throw fault(command, 'a command is A-Z, 0-9 and _')
  for (const name of [from.server, from.service, to.server, to.service]) {
    if (!addressName.test(name)) throw fault(name, 'a server or service is a name, ".", "*" or "?"')
  }
  for (const name of parameters.keys()) {
    if (!parameterName.test(name)) throw fault(name, 'a parameter is named by A-Z, a-z, 0-9 and _')
  }
  return message
}

/** The answer to a message: whom it came from is whom this is for. */
export function replyTo(
  message: ControlMessage,
  command: string,
  parameters: Readonly<Record<string, string | number | bigint | boolean>> = {},
): ControlMessage {
  return controlMessage(command, { to: message.from, parameters })
}

/** Read a message, from its text or JSON form. Throws `input_invalid` with what is wrong. */
export function parseMessage(line: string): ControlMessage {
  const text = trimmed(line)
  if (text.length > maxMessageBytes) throw fault(text, `it is longer than ${maxMessageBytes} bytes`)
  if (text === '') throw fault(text, 'it is empty')
  if (text.includes('\n'))
    throw fault(text, `a second line begins at column ${text.indexOf('\n') + 2}`)
  if (text.startsWith('{')) return checkNames(parseJsonMessage(text))

  let at = 0
  let from = nowhere
  if (text.startsWith('<')) {
    const end = text.indexOf(' ')
    if (end < 0)
      throw fault(text, `a command has to follow its sender at column ${text.length + 1}`)
    const names = text.slice(1, end).split(':')
    const [server, service] = names
    if (server === undefined || service === undefined || names.length !== 2) {
      throw fault(text, 'its sender at column 1 is no <server:service')
    }
    from = { server, service }
    at = end + 1
  }
  const space = text.indexOf(' ', at)
  const head = text.slice(at, space < 0 ? undefined : space)
  const parameters = space < 0 ? new Map<string, string>() : parseParameters(text, space + 1)
  return { from, ...parseTarget(text, at, head), parameters }
}

/** `server:service/COMMAND`, `service/COMMAND`, `server:COMMAND` or `COMMAND`. */
function parseTarget(text: string, at: number, head: string): { to: Address; command: string } {
  const [, server, service, command] =
    /^(?:([^:/]+):)?(?:([^:/]+)\/)?([^:/<{][^:/]*)$/.exec(head) ?? []
  if (command === undefined)
    throw fault(text, `"${head.slice(0, 80)}" at column ${at + 1} is no service/COMMAND`)
  return { to: { server: server ?? '', service: service ?? '' }, command }
}

function parseParameters(text: string, from: number): Map<string, string> {
  const parameters = new Map<string, string>()
  let at = from
  while (at < text.length) {
    const equals = text.indexOf('=', at)
    const name = text.slice(at, equals < 0 ? undefined : equals)
    if (equals < 0 || !parameterName.test(name)) {
      throw fault(text, `"${name.slice(0, 80)}" at column ${at + 1} is no name=value`)
    }
    const { value, end } =
      text[equals + 1] === '"' ? quotedValue(text, equals + 2) : plainValue(text, equals + 1)
    parameters.set(name, value)
    at = end + 1
  }
  return parameters
}

function plainValue(text: string, from: number): { value: string; end: number } {
  const semicolon = text.indexOf(';', from)
  const end = semicolon < 0 ? text.length : semicolon
  return { value: unescaped(text.slice(from, end)), end }
}

function quotedValue(text: string, from: number): { value: string; end: number } {
  let end = from
  while (end < text.length && text[end] !== '"') end += text[end] === '\\' ? 2 : 1
  if (end >= text.length) throw fault(text, `the quote at column ${from} does not end`)
  if (end + 1 < text.length && text[end + 1] !== ';') {
    throw fault(text, `";" has to follow the quote at column ${end + 1}`)
  }
  return { value: unescaped(text.slice(from, end)), end: end + 1 }
}

const escapes: Readonly<Record<string, string>> = {
  '\\\\': '\\',
  '\\n': '\n',
  '\\r': '\r',
  '\\"': '"',
}

/** Escapes that are not known stay as they are. */
const unescaped = (text: string): string =>
  text.replaceAll(/\\[\\nr"]/g, (pair) => escapes[pair] ?? pair)

const escaped = (text: string): string =>
  text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r')

/**
 * Write a message as one line, without the line's end. Parameters come in the order of their names. A
 * server is written only with a service, and white space at the end of the last value is lost to the
 * reader: both as in the original.
 */
export function formatMessage({ from, to, command, parameters }: ControlMessage): string {
  const sender = from.server || from.service ? `<${from.server}:${from.service} ` : ''
  const target = to.service ? `${to.server ? `${to.server}:` : ''}${to.service}/` : ''
  const words = [...parameters.keys()]
    .sort()
    .map((name) => `${name}=${formatValue(parameters.get(name) ?? '')}`)
  return `${sender}${target}${command}${words.length === 0 ? '' : ` ${words.join(';')}`}`
}

function formatValue(value: string): string {
  if (!value.includes(';') && !value.startsWith('"')) return escaped(value)
  return `"${escaped(value).replaceAll('"', '\\"')}"`
}

/** White space as C knows it; a telnet's CR is harmless. */
function trimmed(text: string): string {
  const isSpace = (at: number): boolean => {
    const unit = text.charCodeAt(at)
    return unit === 32 || (unit >= 9 && unit <= 13)
  }
  let from = 0
  let end = text.length
  while (from < end && isSpace(from)) from++
  while (end > from && isSpace(end - 1)) end--
  return text.slice(from, end)
}

function fault(text: string, why: string): NightjarError {
  return new NightjarError(
    'input_invalid',
    `Cannot take message "${text.slice(0, 80).replaceAll('\n', '\\n')}": ${why}`,
  )
}
