/** `nightjar events send`: send one event to a topic or a queue. */
import { Command, Option } from 'commander'

import {
  createCommandEvent,
  createEvent,
  createLogEvent,
  createStatusEvent,
  type ControlEvent,
  type EventOptions,
  type LocationId,
  type logLevels,
} from '../control/event.ts'
import { formatPayload } from '../control/payload.ts'
import { NightjarError } from '../core/errors.ts'
import { withCloud } from './cloud.ts'
import { withHome } from './embedded.ts'
import { withEvents, type PlaceOptions } from './event-exchange.ts'
import { levelArgument, placeArgument, readProperties, understood } from './event-words.ts'
import type { World } from './world.ts'

const types = ['event', 'status', 'command', 'log'] as const

interface SendOptions extends PlaceOptions {
  queue?: boolean
  type: (typeof types)[number]
  status?: string
  run?: string
  property?: string[]
  filterable?: string[]
  to?: LocationId
  level?: keyof typeof logLevels
  logger?: string
  message?: string
}

const collect = (value: string, all: string[] = []): string[] => [...all, value]

/** The command. */
export function eventSendCommand(world: World): Command {
  const command = new Command('send')
    .description('Send an event to a topic, or put one into a queue.')
    .argument('<name>', 'the topic or queue')
    .option('--queue', 'the name is that of a queue')
    .addOption(new Option('--type <type>', 'what it is').choices(types).default('event'))
    .option('-p, --property <name:type=value>', 'a property of the payload; repeatable', collect)
    .option(
      '-f, --filterable <name:type=value>',
      'a property of the header, by which selectors can choose; repeatable',
      collect,
    )
    .option('--status <text>', 'its STATUS; "unknown" if absent')
    .option('--run <id>', 'its RUNID')
    .addOption(
      new Option('--to <host/process[/number]>', 'of a command: whom it is for').argParser(
        placeArgument,
      ),
    )
    .addOption(
      new Option(
        '--level <level>',
        'of a log event: trace debug info warn error fatal; info if absent',
      ).argParser(levelArgument),
    )
    .option('--logger <name>', 'of a log event: what logs; "nightjar" if absent')
    .option('--message <text>', 'of a log event: the line')
  return withCloud(withHome(command, world))
    .addHelpText(
      'after',
      `
Types of properties: string bool int long "long long" float double datetime, the last in nanoseconds
since 1970; without one it is a string. The same name again makes an array, which only a payload may
hold; a dot in a name is a level. It ends when the event is durable.

Examples:
  $ nightjar events send dome -p note='seeing is good' -p shutters:int=1 -p shutters:int=2
  $ nightjar events send dome --type status --status open -f temperature:double=3.5
  $ nightjar events send exposures --queue --type command --to camera/4711 -p seconds:int=30
  $ nightjar events send Logging --type log --level error --message 'the dome is stuck'`,
    )
    .action((name: string, options: SendOptions) => send(world, name, options))
}

async function send(world: World, name: string, options: SendOptions): Promise<void> {
  const { property = [], filterable = [], run, status } = options
  checkType(options)
  const said = {
    payload: readProperties(property),
    filterable: readProperties(filterable),
    ...(run !== undefined && { runId: run }),
    ...(status !== undefined && { status }),
  }
  understood(() => formatPayload(said.payload))
  await withEvents(world, options, async ({ system, exchange, nowNs }) => {
    const made = { ...said, nowNs: nowNs() }
    const event = understood(() => eventOf(made, system.createOriginatorId(), options))
    if (options.queue === true) await system.createEnqueuer(exchange, name)
    else await system.createTransmitter(exchange, name)
    await system.publishEvent(name, event)
  })
}

/** Each option belongs to its type; one at another would be dropped in silence. */
function checkType({ type, to, level, logger, message }: SendOptions): void {
  const ofLogs = level ?? logger ?? message
  if (ofLogs !== undefined && type !== 'log') {
    throw fault('--level, --logger or --message', `they are of --type log, not ${type}`)
  }
  if (to !== undefined && type !== 'command')
    throw fault('--to', `it is of --type command, not ${type}`)
  if (to === undefined && type === 'command') throw fault('a command', 'say whom it is for by --to')
  if (message === undefined && type === 'log')
    throw fault('a log event', 'say its line by --message')
}

function eventOf(made: EventOptions, origin: LocationId, options: SendOptions): ControlEvent {
  const { type, to, level = 'INFO', logger = 'nightjar', message = '' } = options
  if (to !== undefined) return createCommandEvent({ ...made, origin, destination: to })
  if (type === 'log') return createLogEvent({ ...made, origin, level, logger, message })
  if (type === 'status') return createStatusEvent({ ...made, origin })
  return createEvent(made)
}

function fault(what: string, why: string): NightjarError {
  return new NightjarError('config_invalid', `Cannot take ${what}: ${why}`)
}
