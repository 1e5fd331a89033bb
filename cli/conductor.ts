/** `nightjar conductor`: the night from its dusk to its proof. */
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { join } from 'node:path'

import { Command } from 'commander'

import type { Action, NightRecord } from '../conductor/night-record.ts'
import type { ConductorSettings } from '../conductor/settings.ts'
import { isEnd, isOver } from '../conductor/step.ts'
import {
  dryRun,
  nightRecordName,
  readNightRecord,
  tick,
  type Hands,
  type Tick,
  type TickOptions,
} from '../conductor/tick.ts'
import { readSecret } from '../consumer/secret.ts'
import { NightjarError, sentenceOf } from '../core/errors.ts'
import { bucketName } from '../core/names.ts'
import { nightOfDate, type Night } from '../core/night.ts'
import type { Store } from '../core/ports.ts'
import { brokerSubscriptions, openGround, type Ground } from '../local/broker.ts'
import { openMachine } from '../local/machine.ts'
import { createHands } from './conductor-hands.ts'
import { loadConductor, withConfig } from './config.ts'
import { parseDuration } from './duration.ts'
import { instanceOf, nightArgument, withHome, type HomeOptions } from './embedded.ts'
import { chooseStream, surveyOf } from './kafka.ts'
import { createLog } from './log.ts'
import { newestReport } from './night-report.ts'
import { formatLine, formatView, type NightLook } from './night-view.ts'
import { formatTable } from './text-table.ts'
import type { World } from './world.ts'

interface NightOptions extends HomeOptions {
  config?: string
  stream?: string
  brokers?: string[]
  night?: Night
  json?: boolean
}

interface TickingOptions extends NightOptions {
  dryRun?: boolean
  every: number
  late?: boolean
}

/** The command, with its own verbs below it. */
export function conductorCommand(world: World): Command {
  const command = new Command('conductor').description(
    'Conduct a night: wait for its topic, start the consumer, know when the night is over, prove ' +
      'it, stop, report.',
  )
  command.addHelpText(
    'after',
    `
What it knows of a night is one object in the broker-files bucket. Any tick may be killed and the next
goes on; of two at once one acts. So either of these conducts a night:
  $ nightjar conductor start --night 20261121
  */5 * * * *  nightjar conductor tick        # a crontab, with or without a machine in between

Its times are those of [conductor] in the configuration; see docs/operations.md.

Examples:
  $ nightjar conductor tick --night 20261121 --dry-run
  $ nightjar conductor watch
  $ nightjar conductor report --night 20261121`,
  )
  const verb = (name: string, description: string): Command =>
    withNight(new Command(name).description(description), world)
  command.addCommand(
    withTicking(verb('tick', 'Do the one next step of the night.'))
      .option('--json', 'print what was decided and done as JSON')
      .action((options: TickingOptions) => tickOnce(world, options)),
  )
  command.addCommand(
    withEvery(
      withTicking(verb('start', 'Tick until the night has ended, and has been proven or not.')),
      '30s',
    )
      .option('--late', 'go on as long as Kafka keeps the topic: late alerts reopen the night')
      .addHelpText('after', startHelp)
      .action((options: TickingOptions) => tickOn(world, options, false)),
  )
  command.addCommand(
    withEvery(
      withTicking(verb('end', 'End the night now: wait neither for dawn nor for stillness.')),
      '5s',
    )
      .addHelpText('after', '\nWhat Kafka holds is taken in and proven all the same.')
      .action((options: TickingOptions) => tickOn(world, options, true)),
  )
  command.addCommand(
    withEvery(
      verb('watch', 'Show the night as it goes, until it has ended or Ctrl-C.'),
      '5s',
    ).action((options: TickingOptions) => watch(world, options)),
  )
  command.addCommand(
    verb('status', 'Show how the night stands. Decides and does nothing.')
      .option('--json', 'print it as JSON')
      .action((options: NightOptions) => showStatus(world, options)),
  )
  command.addCommand(
    verb('report', "Say where the night's report is: a page for a browser, and JSON.")
      .option('--json', 'print the report itself as JSON')
      .action((options: NightOptions) => showReport(world, options)),
  )
  command.addCommand(
    verb('history', 'Show how the night went: each transition, when and why.')
      .option('--json', 'print it as JSON')
      .action((options: NightOptions) => showHistory(world, options)),
  )
  return command
}

const startHelp = `
The consumer is a process of its own, which goes on if this one is ended; what it says is in machine.log
of the home. The exit status is 0 only if the night ended as complete or no_alerts.`

function withNight(command: Command, world: World): Command {
  return withConfig(withHome(command, world))
    .option('--stream <name>', 'a stream of the configuration; the survey’s if absent')
    .option('--brokers <address...>', 'host:port of Kafka brokers, without a configuration')
    .option('--night <date>', 'UTC date of the night; NIGHT, or tonight if absent', nightArgument)
}

const withTicking = (command: Command): Command =>
  command.option('--dry-run', 'say what would be done, and why; write nothing, do nothing')

const withEvery = (command: Command, usual: string): Command =>
  command.option('--every <time>', 'how often: 5s, 1m', parseDuration, parseDuration(usual))

/** A conductor of one night. */
interface Conductor {
  ground: Ground
  store: Store
  hands: Hands
  night: Night
  settings: ConductorSettings
  options: TickOptions
}

async function withConductor<T>(
  world: World,
  options: NightOptions,
  work: (conductor: Conductor) => Promise<T>,
): Promise<T> {
  const survey = surveyOf(options)
  const chosen = await chooseStream(world, survey, options)
  const settings = await loadConductor(world, options.config)
  const night = options.night ?? nightFrom(world)
  const log = createLog(world)
  const ground = await openGround(options.home, instanceOf(options))
  try {
    const { home } = ground
    const program = join(import.meta.dirname, '../bin/nightjar')
    const words = ['consume', '--home', home.path, '--survey', survey, '--night', night]
    const machine = openMachine({
      home,
      command: [program, ...words, ...streamWords(options)],
      env: world.env,
    })
    const { webhook } = settings
    const hands = await createHands({
      ...{ ground, chosen, machine, log, signal: world.signal, now: world.now },
      ...(webhook && {
        notify: async (text, facts) =>
          post(await readSecret(webhook, world.env), { text, ...facts }),
      }),
    })
    const store = await ground.bucket('broker_files')
    return await work({
      ...{ ground, store, hands, night, settings },
      options: {
        ...{ survey, night, store, hands, rules: settings.rules, log },
        owner: `${hostname()}-${process.pid}-${randomBytes(4).toString('hex')}`,
        now: () => world.now().getTime(),
      },
    })
  } finally {
    await ground.close()
  }
}

/** A machine is told its night by its metadata, as the variable NIGHT. */
function nightFrom(world: World): Night {
  const told = world.env['NIGHT']
  return told === undefined || told === '' ? nightOfDate(world.now()) : nightArgument(told)
}

function streamWords({ config, stream, brokers }: NightOptions): string[] {
  return [
    ...(config === undefined ? [] : ['--config', config]),
    ...(stream === undefined ? [] : ['--stream', stream]),
    ...(brokers === undefined ? [] : ['--brokers', ...brokers]),
  ]
}

const postMs = 15_000

async function post(url: string, facts: Record<string, string>): Promise<void> {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(facts),
    signal: AbortSignal.timeout(postMs),
    redirect: 'error',
  })
  if (answer.ok) return
  // The address is a secret: only what it answered is told.
  throw new NightjarError(
    'publish_failed',
    `Cannot post an alarm: the webhook answers ${answer.status}`,
  )
}

async function tickOnce(world: World, options: TickingOptions): Promise<void> {
  await withConductor(world, options, async (conductor) => {
    if (options.dryRun === true) return sayDryRun(world, conductor, options)
    const done = await tick(conductor.options)
    if (options.json === true) world.out(`${JSON.stringify(done, null, 2)}\n`)
    else world.out(formatTick(done))
    if (done.left.length > 0) world.exit(1)
  })
}

async function sayDryRun(
  world: World,
  conductor: Conductor,
  options: NightOptions,
  hasten = false,
): Promise<void> {
  const would = await dryRun({ ...conductor.options, hasten })
  if (options.json === true) return world.out(`${JSON.stringify(would, null, 2)}\n`)
  const { before, after, actions, why } = would
  const stays = before.state === after.state
  world.out(
    `${stays ? `It would stay ${before.state}` : `${before.state} → ${after.state}`}: ${why}\n`,
  )
  for (const action of actions) world.out(`  would ${actionText(action)}\n`)
}

function formatTick({ outcome, record, why, done, left }: Tick): string {
  if (outcome === 'lost') return `Nothing done: ${why}\n`
  const list = (title: string, actions: readonly Action[]): string =>
    actions.length === 0 ? '' : `  ${title}: ${actions.map(actionText).join(', ')}\n`
  return `${record.state}: ${why}\n${list('done', done)}${list('failed, tried again', left)}`
}

function actionText(action: Action): string {
  switch (action.do) {
    case 'announce':
      return `announce ${action.move.from} → ${action.move.to}`
    case 'alarm':
      return `alarm "${action.text}"`
    case 'close':
      return `close as ${action.state}`
    default:
      return action.do.replace('_', ' ')
  }
}

/** Tick until the night has ended, or has been forgotten by Kafka. */
async function tickOn(world: World, options: TickingOptions, hasten: boolean): Promise<void> {
  await withConductor(world, options, async (conductor) => {
    if (options.dryRun === true) return sayDryRun(world, conductor, options, hasten)
    const { rules } = conductor.settings
    let state = ''
    while (!world.signal.aborted) {
      const done = await tickOrSay(world, { ...conductor.options, hasten })
      if (done !== undefined) {
        const { record, why, left } = done
        if (record.state !== state) world.out(`${record.state}: ${why}\n`)
        state = record.state
        const rests =
          options.late === true
            ? isOver(record, conductor.options.now(), rules)
            : isEnd(record.state)
        if (rests && left.length === 0 && done.outcome === 'done') break
      }
      await pause(options.every, world.signal)
    }
    if (state !== 'complete' && state !== 'no_alerts') world.exit(1)
  })
}

/** A tick that fails, since the bucket is away or full, is followed by another. */
async function tickOrSay(world: World, options: TickOptions): Promise<Tick | undefined> {
  try {
    return await tick(options)
  } catch (error) {
    world.err(`nightjar: ${sentenceOf(error)}\n`)
    return undefined
  }
}

async function look({ ground, store, hands, night, options }: Conductor): Promise<NightLook> {
  const at = options.now()
  const { record } = await readNightRecord(store, options.survey, night, at)
  const seen = await hands.observe(record, { audit: true })
  const backlog: Record<string, number> = {}
  for (const { name, subscription } of await brokerSubscriptions(ground)) {
    backlog[name] = (await subscription.backlog()).messages
  }
  return { at, record, seen, backlog }
}

async function watch(world: World, options: TickingOptions): Promise<void> {
  await withConductor(world, options, async (conductor) => {
    let before: NightLook | undefined
    while (!world.signal.aborted) {
      const now = await look(conductor)
      // Home, each line to its end, and what is left below.
      const redraw = (text: string): string => `\x1b[H${text.replaceAll('\n', '\x1b[K\n')}\x1b[J`
      if (world.tty) world.out(redraw(formatView(now, before)))
      else world.out(formatLine(now, before))
      before = now
      if (isEnd(now.record.state) && now.record.pending.length === 0) break
      await pause(options.every, world.signal)
    }
  })
}

async function showStatus(world: World, options: NightOptions): Promise<void> {
  await withConductor(world, options, async (conductor) => {
    const now = await look(conductor)
    world.out(options.json === true ? `${JSON.stringify(now, null, 2)}\n` : formatView(now))
  })
}

async function showReport(world: World, options: NightOptions): Promise<void> {
  await withRecord(world, options, async (ground, record) => {
    const store = await ground.bucket('broker_files')
    const names = await newestReport(store, record)
    if (names === undefined) {
      throw new NightjarError(
        'store_failed',
        `Cannot show the report of ${record.night}: there is none yet, the night is ${record.state}`,
      )
    }
    if (options.json === true) {
      const found = await store.read(names.json)
      return world.out(Buffer.from(found?.data ?? []).toString())
    }
    const folder = join(ground.home.buckets, bucketName(ground.at, 'broker_files'))
    world.out(`${join(folder, names.page)}\n${join(folder, names.json)}\n`)
  })
}

async function showHistory(world: World, options: NightOptions): Promise<void> {
  await withRecord(world, options, async (_, { history }) => {
    if (options.json === true) return world.out(`${JSON.stringify(history, null, 2)}\n`)
    const rows = history.map(({ at, from, to, why }) => [
      new Date(at).toISOString().slice(0, 19).replace('T', ' '),
      `${from} → ${to}`,
      why,
    ])
    world.out(formatTable(['UTC', 'state', 'why'], rows))
  })
}

/** For what needs no Kafka: the record of a night that was ever conducted. */
async function withRecord(
  world: World,
  options: NightOptions,
  work: (ground: Ground, record: NightRecord) => Promise<void>,
): Promise<void> {
  const survey = surveyOf(options)
  const night = options.night ?? nightFrom(world)
  const ground = await openGround(options.home, instanceOf(options))
  try {
    const store = await ground.bucket('broker_files')
    const found = await readNightRecord(store, survey, night, world.now().getTime())
    if (found.generation !== null) return await work(ground, found.record)
    throw new NightjarError(
      'config_invalid',
      `Cannot find the night ${night} in "${ground.home.path}": no ${nightRecordName(survey, night)} there`,
    )
  } finally {
    await ground.close()
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
    if (signal.aborted) done()
  })
}
