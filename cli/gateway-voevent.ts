/** `nightjar gateway voevent`: a VOEvent broker, with the options of Comet by their names. */
import { tmpdir } from 'node:os'
import { resolve } from 'node:path'

import { Command, Option } from 'commander'

import { NightjarError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import { channelTopicName } from '../core/names.ts'
import { parseEndpoint, type Endpoint } from '../gateways/endpoint.ts'
import type { Handler } from '../gateways/voevent/handlers/handler.ts'
import type { Plugin } from '../gateways/voevent/handlers/plugins.ts'
import { openGround, startSweeping } from '../local/broker.ts'
import { openSeenEvents } from '../local/seen.ts'
import { openSubscription } from '../local/subscription.ts'
import { openTopic } from '../local/topic.ts'
import { controlled, withControl, type ControlOptions } from './control.ts'
import { instanceOf, withHome, type HomeOptions } from './embedded.ts'
import { createLog } from './log.ts'
import { tableSubscription, voeventTopic } from './voevent-table.ts'
import type { World } from './world.ts'

interface VoeventOptions extends HomeOptions, ControlOptions {
  localIvo?: string
  eventdb: string
  receive: string[]
  receiveWhitelist?: string[] | true
  broadcast: string[]
  broadcastWhitelist?: string[] | true
  broadcastTestInterval: number
  subscribe: string[]
  filter: string[]
  serverFilter: string[]
  allow: string[]
  duplicates: 'nak' | 'ack'
  identity: 'event' | 'payload'
  cmd: string[]
  printEvent?: boolean
  saveEvent?: boolean
  saveEventDirectory: string
  topic: string
  name: string
  alerts: string[]
  config?: string
  fromKafka: string[]
  toKafka: string[]
  verbose: number
}

/** As in the field: authors send to 8098, subscribers listen at 8099. */
const receivePort = 8098
const broadcastPort = 8099

const collect = (value: string, all: string[]): string[] => [...all, value]
const repeatable = (flags: string, description: string, preset?: string): Option => {
  const option = new Option(flags, description).argParser(collect).default([], 'none')
  return preset === undefined ? option : option.preset(preset)
}

/** The command. */
export function voeventCommand(world: World): Command {
  const command = new Command('voevent')
    .description(
      'Run a VOEvent broker (VTP 2.0): receive events from authors, subscribe to other brokers, ' +
        'broadcast to subscribers. What is accepted is on the topic first.',
    )
    .option('--local-ivo <ivoid>', 'our identifier; needed to receive and to broadcast')
    .option('--eventdb <folder>', 'where seen events are remembered', tmpdir())
    .addOption(
      repeatable(
        '-r, --receive [endpoint]',
        `receive events; port ${receivePort} where none is named`,
        String(receivePort),
      ),
    )
    .option('--receive-whitelist [network...]', 'who may send: CIDR or netmask; none: nobody')
    .addOption(
      repeatable(
        '-b, --broadcast [endpoint]',
        `broadcast events; port ${broadcastPort} where none is named`,
        String(broadcastPort),
      ),
    )
    .option('--broadcast-whitelist [network...]', 'who may subscribe')
    .addOption(
      new Option('--broadcast-test-interval <seconds>', 'between two test events; 0: none')
        .argParser(wholeSeconds)
        .default(3600),
    )
    .addOption(repeatable('--subscribe <endpoint>', `subscribe to a broker; port ${broadcastPort}`))
    .addOption(repeatable('--filter <xpath>', 'ask those brokers for what matches; repeatable'))
    .addOption(repeatable('--server-filter <xpath>', 'send our subscribers only what matches'))
    .addOption(repeatable('--allow <prefix>', 'take from authors only IVORNs that begin so'))
    .addOption(
      new Option('--duplicates <receipt>', 'what an author is told who sends an event again')
        .choices(['nak', 'ack'])
        .default('nak', 'nak, as Comet; VTP 2.0 asks for ack'),
    )
    .addOption(
      new Option('--identity <bytes>', 'by which bytes an event is known again')
        .choices(['event', 'payload'])
        .default('event', 'event, as VTP 2.0; payload, as Comet'),
    )
    .addOption(repeatable('--cmd <path>', 'run a program for each event, which is its input'))
    .option('--print-event', 'print each event')
    .option('--save-event', 'save each event as a file')
    .option('--save-event-directory <folder>', 'where to', '.')
    .option('--topic <name>', 'the topic that events are on', voeventTopic)
    .option('--name <word>', 'tells gateways at the same topic apart', 'gateway')
    .addOption(
      repeatable(
        '--alerts <topic>',
        'write the alerts of this topic, or of a named filter, as VOEvents',
      ),
    )
    .addOption(repeatable('--from-kafka <stream>', 'take in the VOEvents of a configured stream'))
    .addOption(repeatable('--to-kafka <stream>', 'write every event to the topics of a stream'))
    .option('--config <file>', 'the configuration of streams (nightjar.toml, or NIGHTJAR_CONFIG)')
    .addOption(
      new Option('-v, --verbose', 'say more; twice: everything')
        .argParser((_: string, before: number) => before + 1)
        .default(0, 'warnings')
        .preset(''),
    )
    .allowUnknownOption()
    .allowExcessArguments()
  return withControl(withHome(command, world))
    .addHelpText(
      'after',
      `
Endpoints are 8098, tcp:8098:interface=127.0.0.1, tls:port=8098:key=F:cert=F or unix:/path to listen,
and host, host:port, tcp:host:port or unix:/path to connect. Plugins are ES modules in the folders of
COMET_PLUGINPATH: --NAME turns one on, --NAME-OPTION=value sets an option of it.

Examples:
  $ nightjar gateway voevent --local-ivo ivo://org.example/broker --receive --broadcast
  $ nightjar gateway voevent --subscribe voevent.example.org --filter '//Who' --save-event
  $ nightjar gateway voevent --local-ivo ivo://org.example/ztf --broadcast --alerts ztf_exgalac_trans`,
    )
    .action((options: VoeventOptions, self: Command) => run(world, options, self))
}

async function run(world: World, options: VoeventOptions, self: Command): Promise<void> {
  const { parseIvoid } = await import('../gateways/voevent/ivoid.ts')
  const { compileFilter } = await import('../gateways/voevent/filters.ts')
  const { createWhitelist, everybody } = await import('../gateways/voevent/whitelist.ts')
  const { openGateway } = await import('../gateways/voevent/gateway.ts')
  const { rememberedMs } = await import('../gateways/voevent/seen.ts')

  const doors = options.receive.length + options.broadcast.length
  const links = [options.subscribe, options.fromKafka, options.toKafka, options.alerts]
  if (doors + links.flat().length === 0) {
    world.err('nightjar: No services requested; stopping.\n')
    return
  }
  if (doors > 0 && options.localIvo === undefined) {
    self.error('IVOA identifier required (--local-ivo).', { exitCode: 2 })
  }
  if (options.localIvo !== undefined) parseIvoid(options.localIvo)
  for (const expression of [...options.filter, ...options.serverFilter])
    compileFilter(expression).dispose()
  const listenAt = (port: number) => (text: string) =>
    parseEndpoint(text, { host: '0.0.0.0', port })
  const receive = options.receive.map(listenAt(receivePort))
  const broadcast = options.broadcast.map(listenAt(broadcastPort))
  const subscribe = options.subscribe.map((text): Endpoint =>
    parseEndpoint(text, { host: 'localhost', port: broadcastPort }),
  )
  const listOf = (given: string[] | true | undefined) =>
    createWhitelist(given === undefined ? everybody : given === true ? [] : given)
  const receiveWhitelist = listOf(options.receiveWhitelist)
  const broadcastWhitelist = listOf(options.broadcastWhitelist)
  await controlled(world, { ...options, service: 'voevent' }, async (world) => {
    const log = logOf(world, options.verbose)
    const handlers = await handlersOf(world, options, self.args, log)

    const opened: { close(): unknown }[] = []
    try {
      const seen = openSeenEvents(resolve(options.eventdb), rememberedMs)
      opened.unshift(seen)
      const ground = await openGround(options.home, instanceOf(options))
      opened.unshift(ground)
      opened.unshift({ close: startSweeping(ground) })
      const { journal, messages } = ground
      const topicName = channelTopicName(ground.at, '', options.topic)
      const topic = await openTopic(messages, topicName)
      // What is accepted from now on is for the table, though its broker be started later.
      if (options.topic === voeventTopic) await tableSubscription(ground)
      const subscribeAs = (name: string, to: string) =>
        openSubscription({ journal, messages, topic: to, name, filter: '' })
      const { config } = options
      const kafka = { world, log, ...(config !== undefined && { config }) }
      const failures: Promise<never>[] = []
      if (options.toKafka.length > 0) {
        const { startKafkaOut } = await import('./voevent-kafka.ts')
        const writing = await startKafkaOut({
          ...kafka,
          streams: options.toKafka,
          subscribe: (reader) =>
            subscribeAs(`${topicName}-${options.name}-kafka-${reader}`, topicName),
        })
        opened.unshift(writing)
        failures.push(writing.failed)
      }
      const gateway = await openGateway({
        ...(options.localIvo !== undefined && { localIvo: options.localIvo }),
        receive,
        receiveWhitelist,
        broadcast,
        broadcastWhitelist,
        testInterval: options.broadcastTestInterval,
        subscribe,
        filters: options.filter,
        serverFilters: options.serverFilter,
        allowedPrefixes: options.allow,
        onDuplicate: options.duplicates,
        identity: options.identity,
        topic,
        subscription: await subscribeAs(`${topicName}-${options.name}`, topicName),
        handlers,
        seen,
        log,
      })
      opened.unshift(gateway)
      if (options.alerts.length > 0) {
        const { startBridges } = await import('./voevent-bridges.ts')
        const { alerts, name } = options
        const localIvo = options.localIvo ?? ''
        opened.unshift(
          await startBridges({ ground, alerts, name, localIvo, gateway, subscribeAs, log }),
        )
      }
      if (options.fromKafka.length > 0) {
        const { startKafkaIn } = await import('./voevent-kafka.ts')
        const taking = await startKafkaIn({ ...kafka, streams: options.fromKafka, ground, gateway })
        opened.unshift(taking)
        failures.push(taking.failed)
      }
      createLog(world)('gateway_started', { gateway: 'voevent', listening: [...gateway.listening] })
      await Promise.race([aborted(world.signal), gateway.failed, ...failures])
    } finally {
      for (const one of opened) await one.close()
    }
  })
}

/** Comet's levels: warnings, with -v what happens, with -vv everything. */
function logOf(world: World, verbose: number): Log {
  const all = createLog(world)
  const quiet = new Set(['subscriber_came', 'subscriber_left', 'upstream_linked'])
  const debug = new Set(['handler_said'])
  return (name, facts) => {
    if (verbose < 2 && debug.has(name)) return
    if (verbose < 1 && quiet.has(name)) return
    all(name, facts)
  }
}

async function handlersOf(
  world: World,
  options: VoeventOptions,
  left: readonly string[],
  log: Log,
): Promise<Handler[]> {
  const { printHandler } = await import('../gateways/voevent/handlers/print.ts')
  const { saveHandler } = await import('../gateways/voevent/handlers/save.ts')
  const { commandHandler } = await import('../gateways/voevent/handlers/command.ts')
  const { foldersOf, loadPlugins } = await import('../gateways/voevent/handlers/plugins.ts')
  const handlers: Handler[] = []
  if (options.printEvent === true) handlers.push(printHandler(world.out))
  if (options.saveEvent === true) handlers.push(saveHandler(options.saveEventDirectory))
  for (const path of options.cmd) {
    const said = (text: string): void =>
      log('handler_said', { handler: path, text: text.trimEnd() })
    handlers.push(commandHandler({ path: resolve(path), said }))
  }
  const plugins = await loadPlugins(foldersOf(world.env['COMET_PLUGINPATH']))
  return [...handlers, ...chosen(plugins, left)]
}

/** The plugins that the rest of the command line turns on. Options of the others are taken, and do nothing. */
function chosen(plugins: readonly Plugin[], words: readonly string[]): Handler[] {
  const on = new Set<string>()
  const values = new Map<string, Record<string, string>>()
  for (const word of words) {
    const [, key = '', , value] = /^--([a-z0-9-]+)(=([\s\S]*))?$/.exec(word) ?? []
    const plugin = plugins.find(({ name }) => key === name || key.startsWith(`${name}-`))
    const option = plugin?.options?.find(({ name }) => key === `${plugin.name}-${name}`)
    if (plugin !== undefined && key === plugin.name && value === undefined) on.add(plugin.name)
    else if (plugin !== undefined && option !== undefined && value !== undefined) {
      values.set(plugin.name, { ...values.get(plugin.name), [option.name]: value })
    } else {
      const names = plugins.map(({ name }) => `--${name}`).join(', ') || 'none'
      throw new NightjarError(
        'config_invalid',
        `Cannot take "${word}": plugins that were found: ${names}`,
      )
    }
  }
  return plugins
    .filter(({ name }) => on.has(name))
    .map(({ name, options = [], create }) => {
      const usual = Object.fromEntries(options.map((one) => [one.name, one.default ?? '']))
      return create({ ...usual, ...values.get(name) })
    })
}

function wholeSeconds(text: string): number {
  if (/^\d{1,7}$/.test(text)) return Number(text)
  throw new NightjarError(
    'config_invalid',
    `Cannot take "${text}": it must be a whole number of seconds`,
  )
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (signal.aborted) done()
    else signal.addEventListener('abort', () => done(), { once: true })
  })
}
