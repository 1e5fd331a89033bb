/** `nightjar events listen` and `watch`: print events, and lines of logs, as they come. */
import { Command, Option } from 'commander'

import { logLevels, type ControlEvent } from '../control/event.ts'
import { propertySelector } from '../control/selector/properties.ts'
import { sentenceOf, type NightjarError } from '../core/errors.ts'
import { withCloud } from './cloud.ts'
import { parseDuration } from './duration.ts'
import { withHome } from './embedded.ts'
import { withEvents, type PlaceOptions } from './event-exchange.ts'
import { eventJson, eventLine } from './event-text.ts'
import { levelArgument, understood } from './event-words.ts'
import { visible } from './visible.ts'
import type { World } from './world.ts'

interface ListenOptions extends PlaceOptions {
  queue?: boolean
  select?: string
  level?: keyof typeof logLevels
  once?: boolean
  timeout?: number
  json?: boolean
}

const withListening = (command: Command, world: World): Command =>
  withCloud(
    withHome(
      command
        .option('--select <selector>', 'only events that a selector on the header selects')
        .option('--once', 'end after one event')
        .addOption(
          new Option('--timeout <time>', 'end when none came for so long').argParser((text) =>
            Math.ceil(parseDuration(text)),
          ),
        )
        .option('--json', 'print one JSON object an event'),
      world,
    ),
  )

/** The command `listen`. */
export function eventListenCommand(world: World): Command {
  const command = new Command('listen')
    .description('Print the events of a topic from now on, or take those of a queue.')
    .argument('<name>', 'the topic or queue')
    .option('--queue', 'the name is that of a queue: what is printed is taken from it')
  return withListening(command, world)
    .addHelpText(
      'after',
      `
Ctrl-C ends. Events that a selector does not select are dropped on a topic and stay on a queue. The
exit status is 1 where --once or --timeout ended without an event.

Examples:
  $ nightjar events listen dome
  $ nightjar events listen dome --select "TYPE = '_S' AND STATUS <> 'closed'"
  $ nightjar events listen exposures --queue --once --timeout 30s --json
  $ nightjar events listen dome --cloud --project mine`,
    )
    .action((name: string, options: ListenOptions) => listen(world, name, options))
}

/** The command `watch`. */
export function eventWatchCommand(world: World): Command {
  const command = new Command('watch')
    .description('Print the lines of logs that programs send as log events, as they come.')
    .argument('[topic]', 'where they are sent', 'Logging')
    .addOption(
      new Option(
        '--level <level>',
        'this level and above: trace debug info warn error fatal',
      ).argParser(levelArgument),
    )
  return withListening(command, world)
    .addHelpText(
      'after',
      `
Ctrl-C ends. The exit status is 1 where --once or --timeout ended without a line.

Examples:
  $ nightjar events watch --level warn
  $ nightjar events watch --select "LOGGER LIKE 'dome.%' AND ORIG_HOSTNAME = 'telescope'"`,
    )
    .action((name: string, options: ListenOptions) => {
      const select = logSelector(options)
      return listen(world, name, { ...options, select })
    })
}

function logSelector({ level, select = '' }: ListenOptions): string {
  // Read alone first: its faults have the columns that were typed, and it ends where it should.
  understood(() => propertySelector(select))
  const high = level === undefined ? '' : ` AND LEVEL >= ${logLevels[level]}`
  return `TYPE = '_L'${high}${select.trim() === '' ? '' : ` AND (${select})`}`
}

async function listen(world: World, name: string, options: ListenOptions): Promise<void> {
  const { queue = false, select = '', once = false, timeout, json = false } = options
  understood(() => propertySelector(select))
  let count = 0
  await withEvents(world, options, async ({ system, exchange }) => {
    if (queue) await system.createDequeuer(exchange, name, select)
    else await system.createReceiver(exchange, name, select)
    world.err(`listening on ${queue ? 'queue' : 'topic'} ${name}\n`)
    const enough = new AbortController()
    const idle = timeout === undefined ? undefined : setTimeout(() => enough.abort(), timeout)
    function onEvent(event: ControlEvent): void {
      count++
      world.out(`${(json ? eventJson : eventLine)(event)}\n`)
      if (once) enough.abort()
      idle?.refresh()
    }
    const onFault = (error: NightjarError): void =>
      world.err(`note: ${visible(sentenceOf(error))}\n`)
    try {
      const signal = AbortSignal.any([world.signal, enough.signal])
      await system.receiveEvents(name, { onEvent, onFault }, signal)
    } finally {
      clearTimeout(idle)
    }
  })
  if (count === 0 && (once || timeout !== undefined)) world.exit(1)
}
