/** `nightjar connections`: which programs of a home run, where they listen, and who is connected. */
import { Command } from 'commander'

import { controlMessage } from '../control/message.ts'
import { NightjarError, sentenceOf } from '../core/errors.ts'
import type { Endpoint } from '../gateways/endpoint.ts'
import { homeAt } from '../local/home.ts'
import { runningService, runningServices } from '../local/service.ts'
import {
  endpointOfHost,
  endpointOfService,
  keyParameters,
  senderOf,
  speakTo,
} from './control-client.ts'
import { withHome, type HomeOptions } from './embedded.ts'
import { formatTable } from './text-table.ts'
import type { World } from './world.ts'

interface ConnectionsOptions extends HomeOptions {
  host?: string
  json?: boolean
}

/** What a program says of itself. */
interface Seen {
  service: string
  pid: number | null
  listening: string[]
  connections: string[]
}

/** How long a program has to answer. */
const timeoutMs = 5000

/** The command. */
export function connectionsCommand(world: World): Command {
  const command = new Command('connections')
    .description('List the running programs of a home: where they take control, and from whom.')
    .argument('[service]', 'one alone, such as broker, hpfeeds, voevent or conductor')
    .option('-H, --host <host:port>', 'a program that listens there (TCP), or FILE@FIELD')
    .option('--json', 'print one JSON object a program')
  return withHome(command, world)
    .addHelpText(
      'after',
      `
A connection is named by its kind and a number that no other has; one of them is this question's own. The
exit status is 1 where no program runs, or one does not answer.

Examples:
  $ nightjar connections
  $ nightjar connections hpfeeds --json`,
    )
    .action((service: string | undefined, options: ConnectionsOptions) =>
      connections(world, service, options),
    )
}

async function connections(
  world: World,
  service: string | undefined,
  options: ConnectionsOptions,
): Promise<void> {
  const found: Seen[] = []
  for (const { name, pid, target } of targetsOf(service, options)) {
    try {
      found.push({ service: name, pid, ...(await ask(world, target)) })
    } catch (error) {
      world.err(`nightjar: ${name}: ${sentenceOf(error)}\n`)
      world.exit(1)
    }
  }
  if (options.json === true) {
    for (const one of found) world.out(`${JSON.stringify(one)}\n`)
    return
  }
  if (found.length === 0) return
  world.out(
    formatTable(
      ['service', 'pid', 'listening', 'connections'],
      found.map((one) => [
        ...[one.service, one.pid === null ? '' : String(one.pid)],
        ...[one.listening.join(' '), one.connections.join(' ')],
      ]),
    ),
  )
}

function targetsOf(
  service: string | undefined,
  { host, home }: ConnectionsOptions,
): { name: string; pid: number | null; target: Endpoint }[] {
  if (host !== undefined) {
    return [{ name: service ?? host, pid: null, target: endpointOfHost(host) }]
  }
  const at = homeAt(home)
  const running =
    service === undefined ? runningServices(at) : [runningService(at, service) ?? []].flat()
  if (running.length === 0) {
    throw new NightjarError(
      'source_failed',
      `Cannot find ${service ?? 'a program'} in "${home}": none runs there; see --home and --host`,
    )
  }
  return running.map(({ name, pid }) => ({ name, pid, target: endpointOfService(home, name) }))
}

async function ask(
  world: World,
  target: Endpoint,
): Promise<Pick<Seen, 'listening' | 'connections'>> {
  const message = controlMessage('CONNECTIONS', {
    from: senderOf('connections'),
    parameters: keyParameters(world),
  })
  const { parameters } = await speakTo(world, target, (conversation) =>
    conversation.request(message, { timeoutMs }),
  )
  const listOf = (name: string): string[] =>
    (parameters.get(name) ?? '').split(',').filter((one) => one !== '')
  return { listening: listOf('listening'), connections: listOf('list') }
}
