/** `nightjar trace`: see each control message that a running program takes. */
import { Command } from 'commander'

import { controlMessage, formatMessage } from '../control/message.ts'
import { NightjarError } from '../core/errors.ts'
import {
  endpointOfHost,
  endpointOfService,
  keyParameters,
  senderOf,
  speakTo,
} from './control-client.ts'
import { positive, withHome, type HomeOptions } from './embedded.ts'
import { visible } from './visible.ts'
import type { World } from './world.ts'

interface TraceOptions extends HomeOptions {
  host?: string
  json?: boolean
  max?: number
}

/** How long a program has to answer. */
const timeoutMs = 5000

/** The command. */
export function traceCommand(world: World): Command {
  const command = new Command('trace')
    .description('Print each control message that a running program takes, until Ctrl-C.')
    .argument('[service]', 'which program of the home, such as hpfeeds', 'broker')
    .option('-H, --host <host:port>', 'a program that listens there (TCP), or FILE@FIELD')
    .option('--max <n>', 'end after this many', positive('max'))
    .option('--json', 'print one JSON object a message')
  return withHome(command, world)
    .addHelpText(
      'after',
      `
What is said by UDP is seen, too; secrets are not. It ends with the program.

Examples:
  $ nightjar trace
  $ nightjar trace hpfeeds --json --max 1`,
    )
    .action((service: string, options: TraceOptions) => trace(world, service, options))
}

async function trace(world: World, service: string, options: TraceOptions): Promise<void> {
  const { host, home, json, max = Infinity } = options
  const target = host === undefined ? endpointOfService(home, service) : endpointOfHost(host)
  let count = 0
  const enough = Promise.withResolvers<void>()
  const stop = (): void => enough.resolve()
  world.signal.addEventListener('abort', stop, { once: true })
  try {
    await speakTo(
      world,
      target,
      async (conversation) => {
        const message = controlMessage('TRACE', {
          from: senderOf('trace'),
          parameters: keyParameters(world),
        })
        const answer = await conversation.request(message, {
          timeoutMs,
          isReply: ({ command }) => command !== 'TRACED',
        })
        if (answer.command !== 'TRACING') {
          throw new NightjarError('source_failed', `Cannot trace: ${formatMessage(answer)}`)
        }
        world.err(`tracing ${host ?? service}\n`)
        await Promise.race([enough.promise, conversation.closed])
      },
      ({ command, parameters }) => {
        if (command !== 'TRACED' || count >= max) return
        const peer = parameters.get('peer') ?? ''
        const text = parameters.get('message') ?? ''
        const at = world.now().toISOString()
        world.out(
          json === true
            ? `${JSON.stringify({ at, peer, message: text })}\n`
            : `${at.slice(11, 23)} ${peer} ${visible(text)}\n`,
        )
        if (++count >= max) stop()
      },
    )
  } finally {
    world.signal.removeEventListener('abort', stop)
  }
}
