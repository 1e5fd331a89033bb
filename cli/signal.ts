/** `nightjar signal`: say something to a running program, as eventdispatcher's ed-signal does. */
import { Command, Option } from 'commander'

import { sendDatagram } from '../control/datagram.ts'
import {
  controlMessage,
  formatMessage,
  parseMessage,
  type Address,
  type ControlMessage,
} from '../control/message.ts'
import { NightjarError, sentenceOf } from '../core/errors.ts'
import type { Endpoint } from '../gateways/endpoint.ts'
import { homeAt } from '../local/home.ts'
import { runningServices } from '../local/service.ts'
import { identVariable, secretVariable, usualControl } from './control.ts'
import {
  endpointOfHost,
  endpointOfService,
  keyParameters,
  senderOf,
  speakTo,
} from './control-client.ts'
import { parseDuration } from './duration.ts'
import { withHome, type HomeOptions } from './embedded.ts'
import { visible } from './visible.ts'
import type { World } from './world.ts'

interface SignalOptions extends HomeOptions {
  host?: string
  type?: 'udp' | 'tcp'
  message?: string
  server?: string
  service?: string
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
    .argument('[message]', '[[server:]service/]COMMAND')
    .option('-m, --message <message>', 'the message, if it is not the argument')
    .option(
      '-H, --host <host:port>',
      `where it listens, port ${usualControl.port} if none is said; or FILE@FIELD, a field of a ` +
        'configuration file that says it',
    )
    .addOption(
      new Option('-t, --type <type>', 'how, with --host').choices(['udp', 'tcp']).default('udp'),
    )
    .option('-s, --server <name>', 'the server it is for, if the message does not say')
    .option('-S, --service <name>', 'the service it is for, if the message does not say')
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
Without --host it goes to a program of the home: the broker, or the service that the message names, such
as hpfeeds, voevent or conductor; "*" is all of them. UDP has no answers. The secret, where one is asked
for, is ${secretVariable}, and whose key it is ${identVariable}. The exit status is 1 where
nobody is there or no answer came.

Examples:
  $ nightjar signal ALIVE
  $ nightjar signal hpfeeds/STOP
  $ nightjar signal '*/QUITTING'
  $ nightjar signal --host 127.0.0.1 STOP
  $ nightjar signal --host 127.0.0.1:4041 --type tcp HELP
  $ nightjar signal --host /etc/nightjar/control.conf@listen LOG_ROTATE`,
    )
    .action((text: string | undefined, options: SignalOptions) => signal(world, text, options))
}

async function signal(
  world: World,
  text: string | undefined,
  options: SignalOptions,
): Promise<void> {
  const message = messageOf(world, text, options)
  if (options.host !== undefined) {
    const target = endpointOfHost(options.host)
    if (options.type !== 'tcp' && target.kind === 'tcp') return sendDatagram(message, target)
    return ask(world, target, message, options)
  }
  if (message.to.service !== '*') {
    return ask(world, endpointOfService(options.home, message.to.service), message, options)
  }
  const services = runningServices(homeAt(options.home))
  if (services.length === 0) {
    throw new NightjarError(
      'source_failed',
      `Cannot reach a program in "${options.home}": none runs there; see --home and --host`,
    )
  }
  // Told to all, whoever of them cannot be reached.
  for (const { name } of services) {
    try {
      await ask(world, endpointOfService(options.home, name), message, options, `${name}: `)
    } catch (error) {
      world.err(`nightjar: ${sentenceOf(error)}\n`)
      world.exit(1)
    }
  }
}

async function ask(
  world: World,
  target: Endpoint,
  message: ControlMessage,
  { timeout }: SignalOptions,
  label = '',
): Promise<void> {
  const answer = await speakTo(world, target, async (conversation) => {
    if (!silent.has(message.command)) {
      return conversation.request(message, { timeoutMs: timeout })
    }
    conversation.send(message)
    return undefined
  })
  if (answer === undefined) return
  world.out(`${label}${visible(formatMessage(answer))}\n`)
  if (['UNKNOWN', 'INVALID', 'SERVICE_UNAVAILABLE'].includes(answer.command)) world.exit(1)
}

function messageOf(
  world: World,
  argument: string | undefined,
  options: SignalOptions,
): ControlMessage {
  const text = argument ?? options.message
  if (text === undefined || (argument !== undefined && options.message !== undefined)) {
    throw new NightjarError(
      'config_invalid',
      `Cannot signal: ${text === undefined ? 'no message is given' : 'two messages are given'}`,
    )
  }
  const { to, command, parameters } = parseMessage(text)
  const named = (options.param ?? []).map((param): [string, string] => {
    const equals = param.indexOf('=')
    return equals < 0 ? [param, ''] : [param.slice(0, equals), param.slice(equals + 1)]
  })
  return controlMessage(command, {
    to: addressOf(to, options),
    from: senderOf('signal'),
    parameters: {
      ...Object.fromEntries(parameters),
      ...Object.fromEntries(named),
      ...keyParameters(world),
    },
  })
}

/** Whom it is for: said in the message or by the options, and not twice. */
function addressOf(said: Address, { server, service }: SignalOptions): Address {
  const twice =
    (server !== undefined && said.server !== '' && 'server') ||
    (service !== undefined && said.service !== '' && 'service')
  if (twice === false) {
    return { server: server ?? said.server, service: service ?? said.service }
  }
  throw new NightjarError(
    'config_invalid',
    `Cannot signal: the ${twice} is said by the message and by --${twice}`,
  )
}
