/** How a verb speaks to a running program: where that is, and with which secret. */
import { existsSync, readFileSync } from 'node:fs'
import { hostname } from 'node:os'

import { converse, type Conversation } from '../control/conversation.ts'
import type { Address, ControlMessage } from '../control/message.ts'
import { NightjarError, sentenceOf } from '../core/errors.ts'
import { formatEndpoint, parseEndpoint, type Endpoint } from '../gateways/endpoint.ts'
import { connectTo } from '../gateways/link.ts'
import { controlPath } from '../local/door.ts'
import { brokerService } from '../local/service.ts'
import { identVariable, secretVariable, usualControl } from './control.ts'
import type { World } from './world.ts'

/** Names that stand for the broker of a home where a service is to be said. */
const brokerNames = new Set(['', '.', '?', brokerService])

/** Where a program of a home takes messages. */
export function endpointOfService(home: string, service: string): Endpoint {
  const name = brokerNames.has(service) ? brokerService : service
  return { kind: 'unix', path: controlPath(home, name) }
}

/**
 * `--host`: an endpoint, or FILE@FIELD, which reads it from a configuration file. Throws `input_invalid`
 * where the file or its field is not there.
 */
export function endpointOfHost(text: string): Endpoint {
  const at = text.lastIndexOf('@')
  if (at < 1) return parseEndpoint(text, usualControl)
  const [file, field] = [text.slice(0, at), text.slice(at + 1)]
  const found = fieldOf(readConfig(file), field)
  if (found !== undefined && found !== '') return parseEndpoint(found, usualControl)
  throw new NightjarError(
    'input_invalid',
    `Cannot find the address in "${file}": it has no field "${field}"`,
  )
}

function readConfig(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new NightjarError('input_invalid', `Cannot read "${file}": ${sentenceOf(cause)}`, {
      cause,
    })
  }
}

/** A field of lines `name = value` or `name: value`, below a `[section]` as `section.name`. */
function fieldOf(text: string, field: string): string | undefined {
  const wanted = field.replaceAll('::', '.')
  let section = ''
  let found: string | undefined
  for (const raw of text.split('\n')) {
    const line = raw.trim()
    const [, head] = /^\[([^\]]+)\]$/.exec(line) ?? []
    if (head !== undefined) section = `${head.trim()}.`
    const [, name, value = ''] = /^([\w.:-]+?)\s*[=:]\s*(.*)$/.exec(line) ?? []
    if (name === undefined || section + name.replaceAll('::', '.') !== wanted) continue
    // The last one counts, as where a file is read over another.
    found = /^(["'])(.*)\1$/.exec(value)?.[2] ?? value.replace(/\s+[#;].*$/, '')
  }
  return found
}

/** Who speaks. A host's name may hold what a server's may not. */
export function senderOf(verb: string): Address {
  const server = hostname()
    .replaceAll(/[^A-Za-z0-9_]/g, '_')
    .replace(/^(?=\d)/, '_')
  return { server, service: `nightjar_${verb}` }
}

/** What lets a message in, from the environment. */
export function keyParameters(world: World): Record<string, string> {
  const secret = world.env[secretVariable] ?? ''
  const ident = world.env[identVariable] ?? ''
  return { ...(secret !== '' && { secret_code: secret }), ...(ident !== '' && { ident }) }
}

/** Converse with a program. Rejects with `source_failed` where nobody is there. */
export async function speakTo<T>(
  world: World,
  target: Endpoint,
  use: (conversation: Conversation) => Promise<T>,
  onMessage: (message: ControlMessage) => void = () => {},
): Promise<T> {
  if (target.kind === 'unix' && !existsSync(target.path)) {
    throw new NightjarError(
      'source_failed',
      `Cannot reach a program at "${formatEndpoint(target)}": none runs there; see --home and --host`,
    )
  }
  const socket = await connectTo(target, world.signal)
  const conversation = converse({ socket, onMessage, onInvalid() {} })
  try {
    return await use(conversation)
  } finally {
    conversation.close()
    await conversation.closed
  }
}
