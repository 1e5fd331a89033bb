/** `nightjar signal`: say something to a running program, as eventdispatcher's ed-signal does. */
import { existsSync } from 'node:fs'
import { hostname } from 'node:os'

import { Command, Option } from 'commander'

import { converse } from '../control/conversation.ts'
import { sendDatagram } from '../control/datagram.ts'
import {
  controlMessage,
  formatMessage,
  parseMessage,
  type ControlMessage,
} from '../control/message.ts'
import { NightjarError } from '../core/errors.ts'
import { formatEndpoint, parseEndpoint, type Endpoint } from '../gateways/endpoint.ts'
import { connectTo } from '../gateways/link.ts'
import { controlPath } from '../local/door.ts'
import { secretVariable, usualControl } from './control.ts'
import { parseDuration } from './duration.ts'
import { withHome, type HomeOptions } from './embedded.ts'
import type { World } from './world.ts'

interface SignalOptions extends HomeOptions {
  host?: string
  type?: 'udp' | 'tcp'
  param?: string[]
  timeout: number
}

/** Commands that a program does not answer: with these there is nothing to wait for. */
const silent = new Set(['STOP', 'QUITTING', 'RESTART', 'READY', 'LOG_ROTATE', 'LEAK'])

const collect = (value: string, all: string[] = []): string[] => [...all, value]

/** The command. */
export function signalCommand(world: World): Command {
  const command = new Command('signal')
    .description('Send a control message to a running program, and print its answer.')
    .argument('<message>', '[[server:]service/]COMMAND')
    .option('--host <host:port>', `where it listens; port ${usualControl.port} if none is said`)
    .addOption(
      new Option('--type <type>', 'how, with --host').choices(['udp', 'tcp']).default('udp'),
    )
    .option('-p, --param <name=value>', 'a parameter of the message; repeatable', collect)
    .addOption(
      new Option('--timeout <time>', 'how long to wait for an answer')
        .argParser(parseDuration)
        .default(5000, '5s'),
    )
  return withHome(command, world)
    .addHelpText(
      'after',
      `
Without --host it goes to the broker that runs in the home. UDP has no answers. The secret, where one is
asked for, is ${secretVariable}. The exit status is 1 where nobody is there or no answer came.

Examples:
  $ nightjar signal ALIVE
  $ nightjar signal STOP
  $ nightjar signal --host 127.0.0.1:4041 --type tcp HELP`,
    )
    .action((text: string, options: SignalOptions) => signal(world, text, options))
}

async function signal(world: World, text: string, options: SignalOptions): Promise<void> {
  const message = messageOf(world, text, options.param ?? [])
  const target =
    options.host === undefined
      ? ({ kind: 'unix', path: controlPath(options.home) } as const)
      : parseEndpoint(options.host, usualControl)
  if (options.host !== undefined && options.type !== 'tcp' && target.kind === 'tcp') {
    return sendDatagram(message, target)
  }
  const answer = await say(world, target, message, options.timeout)
  if (answer === undefined) return
  world.out(`${formatMessage(answer)}\n`)
  if (answer.command === 'UNKNOWN' || answer.command === 'INVALID') world.exit(1)
}

function messageOf(world: World, text: string, params: readonly string[]): ControlMessage {
  const { to, command, parameters } = parseMessage(text)
  const secret = world.env[secretVariable]
  const named = params.map((param) => {
    const equals = param.indexOf('=')
    return equals < 0 ? [param, ''] : [param.slice(0, equals), param.slice(equals + 1)]
  })
  // A host's name may hold what a server's may not.
  const server = hostname()
    .replaceAll(/[^A-Za-z0-9_]/g, '_')
    .replace(/^(?=\d)/, '_')
  return controlMessage(command, {
    to,
    from: { server, service: 'nightjar_signal' },
    parameters: {
      ...Object.fromEntries(parameters),
      ...(Object.fromEntries(named) as Record<string, string>),
      ...(secret !== undefined && secret !== '' && { secret_code: secret }),
    },
  })
}

async function say(
  world: World,
  target: Endpoint,
  message: ControlMessage,
  timeoutMs: number,
): Promise<ControlMessage | undefined> {
  if (target.kind === 'unix' && !existsSync(target.path)) {
    throw new NightjarError(
      'source_failed',
      `Cannot reach a program at "${formatEndpoint(target)}": none runs there; see --home and --host`,
    )
  }
  const socket = await connectTo(target, world.signal)
  const conversation = converse({ socket, onMessage() {}, onInvalid() {} })
  try {
    if (!silent.has(message.command)) return await conversation.request(message, { timeoutMs })
    conversation.send(message)
    return undefined
  } finally {
    conversation.close()
    await conversation.closed
  }
}
