/** `nightjar conductor`: the night from its dusk to its proof. */
import { join } from 'node:path'

import { Command, Option } from 'commander'

import type { Action, NightRecord } from '../conductor/night-record.ts'
import { archiveOf, type PublicCount } from '../conductor/public-count.ts'
import { isEnd, isOver } from '../conductor/step.ts'
import {
  dryRun,
  nightRecordName,
  readNightRecord,
  tick,
  type Tick,
  type TickOptions,
} from '../conductor/tick.ts'
import { startNotifying } from '../consumer/kafka/notify.ts'
import { NightjarError, sentenceOf } from '../core/errors.ts'
import { bucketName } from '../core/names.ts'
import { homeAt } from '../local/home.ts'
import { withCloud } from './cloud.ts'
import {
  nightMeant,
  tickAndTell,
  tickDue,
  withConductor,
  type Conductor,
  type NightOptions,
} from './conducting.ts'
import { noConductorMetrics, serveConductorMetrics } from './conductor-metrics.ts'
import { loadConductor, withConfig } from './config.ts'
import { controlled, withControl, type ControlOptions } from './control.ts'
import { parseDuration } from './duration.ts'
import { nightArgument, withHome } from './embedded.ts'
import { surveyOf } from './kafka.ts'
import { openScreen } from './live-screen.ts'
import { createLog } from './log.ts'
import { withMetrics, type Address } from './metrics-server.ts'
import { newestReport } from './night-report.ts'
import { formatLine, formatView, type NightLook } from './night-view.ts'
import { openPlace, type Place } from './place.ts'
import { compareDue, compareNight, compareSentence } from './public-archive.ts'
import { aborted } from './session.ts'
import { formatTable } from './text-table.ts'
import type { World } from './world.ts'

interface ShowOptions extends NightOptions {
  json?: boolean
}

interface TickingOptions extends ShowOptions, ControlOptions {
  dryRun?: boolean
  due?: boolean
  metrics?: Address
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
  */5 * * * *  nightjar conductor tick --due  # a crontab; no machine need stay up in between

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
      .option('--due', 'of each night that is due: tonight, and those before that may be reopened')
      .action((options: TickingOptions) =>
        options.due === true ? tickAll(world, options) : tickOnce(world, options),
      ),
  )
  command.addCommand(
    withMetrics(
      withEvery(
        withControl(
          withTicking(verb('start', 'Tick until the night has ended, and has been proven or not.')),
        ),
        '30s',
      ),
    )
      .option('--late', 'go on as long as Kafka keeps the topic: late alerts reopen the night')
      .addHelpText('after', startHelp)
      .action((options: TickingOptions) => conductOn(world, options, false)),
  )
  command.addCommand(
    withEvery(
      withControl(
        withTicking(verb('end', 'End the night now: wait neither for dawn nor for stillness.')),
      ),
      '5s',
    )
      .addHelpText('after', '\nWhat Kafka holds is taken in and proven all the same.')
      .action((options: TickingOptions) => conductOn(world, options, true)),
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
      .action((options: ShowOptions) => showStatus(world, options)),
  )
  command.addCommand(
    verb('report', "Say where the night's report is: a page for a browser, and JSON.")
      .option('--json', 'print the report itself as JSON')
      .action((options: ShowOptions) => showReport(world, options)),
  )
  command.addCommand(
    verb('compare', 'Hold the night against what its survey published of it, alert by alert.')
      .option('--archive <where>', 'URL or file of the tar archive; [conductor.public] if absent')
      .option('--json', 'print what differs as JSON')
      .addHelpText('after', compareHelp)
      .action((options: ShowOptions & { archive?: string }) => compare(world, options)),
  )
  command.addCommand(
    verb('history', 'Show how the night went: each transition, when and why.')
      .option('--json', 'print it as JSON')
      .action((options: ShowOptions) => showHistory(world, options)),
  )
  return command
}

const startHelp = `
The consumer is a process of its own, which goes on if this one is ended; what it says is in machine.log
of the home. The exit status is 0 only if the night ended as complete or no_alerts.`

const compareHelp = `
An alert is told by its candid. What came of it lies beside the night's report, which is stated anew with it,
and decides nothing: the night's close rests on its proof. The exit status is 1 where the archive has an alert
that we have not, is not there yet, or cannot be read.

Examples:
  $ nightjar conductor compare --night 20261121 --archive 'https://ztf.uw.edu/alerts/public/ztf_public_{night}.tar.gz'
  $ nightjar conductor compare --night 20261121 --json | jq -r '.difference.missing.candids[]'`

function withNight(command: Command, world: World): Command {
  return withCloud(withConfig(withHome(command, world)))
    .option('--zone <name>', 'where the machines stand; NIGHTJAR_ZONE if absent')
    .option('--stream <name>', 'a stream of the configuration; the survey’s if absent')
    .option('--brokers <address...>', 'host:port of Kafka brokers, without a configuration')
    .option('--night <date>', 'UTC date of the night; NIGHT, or tonight if absent', nightArgument)
    .option(
      '--kafka-topic <name...>',
      'exact Kafka topics, instead of the stream’s, or NONE to start no consumer; or KAFKA_TOPIC',
    )
}

const withTicking = (command: Command): Command =>
  command.option('--dry-run', 'say what would be done, and why; write nothing, do nothing')

const withEvery = (command: Command, usual: string): Command =>
  command.addOption(
    new Option('--every <time>', 'how often: 5s, 1m')
      .argParser(parseDuration)
      .default(parseDuration(usual), usual),
  )

async function tickOnce(world: World, options: TickingOptions): Promise<void> {
  await withConductor(world, options, async (conductor) => {
    if (options.dryRun === true) return sayDryRun(world, conductor, options)
    const done = await tickAndTell(conductor)
    if (options.json === true) world.out(`${JSON.stringify(done, null, 2)}\n`)
    else world.out(formatTick(done))
    if (done.left.length > 0) world.exit(1)
  })
}

/** A tick of each night that is due: tonight, and those before that may yet be reopened. */
async function tickAll(world: World, options: TickingOptions): Promise<void> {
  const ticks = await tickDue(world, options, (night, error) => {
    world.err(`nightjar: night ${night}: ${sentenceOf(error)}\n`)
    world.exit(1)
  })
  if (options.json === true) world.out(`${JSON.stringify(ticks, null, 2)}\n`)
  else for (const done of ticks) world.out(`${done.record.night} ${formatTick(done)}`)
  try {
    for (const { night, count } of await compareDue(world, options, ticks)) {
      if (options.json !== true) world.out(`${night} public archive: ${compareSentence(count)}\n`)
    }
  } catch (error) {
    // It is told, and is no fault of the ticks.
    world.err(`nightjar: public archive: ${sentenceOf(error)}\n`)
  }
  if (ticks.some(({ left }) => left.length > 0)) world.exit(1)
}

async function sayDryRun(
  world: World,
  conductor: Conductor,
  options: ShowOptions,
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

/** Tick on, and be asked and told at a control socket meanwhile. */
function conductOn(world: World, options: TickingOptions, hasten: boolean): Promise<void> {
  if (options.dryRun === true) return tickOn(world, options, hasten)
  return controlled(world, { ...options, service: 'conductor' }, (asked) =>
    tickOn(asked, options, hasten),
  )
}

/** Tick until the night has ended, or has been forgotten by Kafka. */
async function tickOn(world: World, options: TickingOptions, hasten: boolean): Promise<void> {
  const { metrics: at, every: everyMs } = options
  const served = at && { at, everyMs, log: createLog(world), now: () => world.now().getTime() }
  const metrics = served ? await serveConductorMetrics(served) : noConductorMetrics
  const conduct = async (conductor: Conductor): Promise<void> => {
    if (options.dryRun === true) return sayDryRun(world, conductor, options, hasten)
    const { rules } = conductor.settings
    const watched = { ...conductor.options, hands: metrics.shown(conductor.hands), hasten }
    let state = ''
    let ticked = false
    // The watchdog is fed by ticks that come to their end, whatever they find.
    const notifier = startNotifying(world.env, () => {
      const getsOn = ticked
      ticked = false
      return getsOn
    })
    notifier.ready()
    try {
      while (!world.signal.aborted) {
        const done = await tickOrSay(world, watched)
        const untold = await conductor.notices.deliver(conductor.options)
        metrics.ticked(done, untold)
        ticked = true
        if (done !== undefined) {
          const { record, why, left } = done
          if (record.state !== state) world.out(`${record.state}: ${why}\n`)
          state = record.state
          const rests =
            options.late === true
              ? isOver(record, conductor.options.now(), rules)
              : isEnd(record.state)
          if (rests && left.length === 0 && done.outcome === 'done' && untold === 0) break
        }
        await pause(options.every, world.signal)
      }
    } finally {
      notifier.stop()
    }
    if (state !== 'complete' && state !== 'no_alerts') world.exit(1)
  }
  try {
    await withConductor(world, options, conduct, metrics.counted(createLog(world)))
  } finally {
    await metrics.close()
  }
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

async function look({ place, hands, night, options }: Conductor): Promise<NightLook> {
  const at = options.now()
  const { record } = await readNightRecord(place.store, options.survey, night, at)
  const [seen, backlog] = await Promise.all([
    hands.observe(record, { audit: true }),
    place.backlog(),
  ])
  return { at, record, seen, backlog }
}

async function watch(world: World, options: TickingOptions): Promise<void> {
  await withConductor(world, options, async (conductor) => {
    const screen = world.tty ? openScreen(world) : undefined
    // Whoever asks for the end while Kafka is slow to answer has the terminal back at once.
    const ended = aborted(world.signal)
    let before: NightLook | undefined
    try {
      while (!world.signal.aborted) {
        const looking = look(conductor)
        looking.catch(() => {})
        const now = await Promise.race([looking, ended])
        if (now === undefined) break
        if (screen === undefined) world.out(formatLine(now, before))
        else screen.show(formatView(now, before))
        before = now
        if (isEnd(now.record.state) && now.record.pending.length === 0) break
        await pause(options.every, world.signal)
      }
    } finally {
      screen?.close()
    }
  })
}

async function showStatus(world: World, options: ShowOptions): Promise<void> {
  await withConductor(world, options, async (conductor) => {
    const now = await look(conductor)
    world.out(options.json === true ? `${JSON.stringify(now, null, 2)}\n` : formatView(now))
  })
}

async function showReport(world: World, options: ShowOptions): Promise<void> {
  await withRecord(world, options, async ({ ground }, record) => {
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
    const bucket = bucketName(ground.at, 'broker_files')
    const folder =
      options.cloud === true ? `gs://${bucket}` : join(homeAt(options.home).buckets, bucket)
    world.out(`${folder}/${names.page}\n${folder}/${names.json}\n`)
  })
}

async function compare(world: World, options: ShowOptions & { archive?: string }): Promise<void> {
  await withRecord(world, options, async ({ ground }, record) => {
    const { night } = record
    const { publicArchive } = await loadConductor(world, options.config)
    const archive =
      options.archive?.replaceAll('{night}', night) ??
      (publicArchive && archiveOf(publicArchive, night))
    if (archive === undefined) {
      throw new NightjarError(
        'config_invalid',
        `Cannot compare the night of ${night}: no public archive is known; give --archive, or ` +
          '[conductor.public] with archive = "https://…{night}…"',
      )
    }
    const { signal, now } = world
    const count = await compareNight({ ground, record, archive, signal, now })
    if (options.json === true) world.out(`${JSON.stringify(count ?? null, null, 2)}\n`)
    else world.out(formatCompared(count))
    if (count?.difference === undefined || count.difference.missing.count > 0) world.exit(1)
  })
}

function formatCompared(count: PublicCount | undefined): string {
  const { missing, extra } = count?.difference ?? {}
  const list = (title: string, of: typeof missing): string => {
    if (of === undefined || of.count === 0) return ''
    const rest = of.count - of.candids.length
    const more = rest > 0 ? [`  and ${rest} more`] : []
    return [title, ...of.candids.map((candid) => `  ${candid}`), ...more, ''].join('\n')
  }
  return (
    `${compareSentence(count)}\n` +
    list('There and not with us:', missing) +
    list('With us and not there:', extra)
  )
}

async function showHistory(world: World, options: ShowOptions): Promise<void> {
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
  work: (place: Place, record: NightRecord) => Promise<void>,
): Promise<void> {
  const survey = surveyOf(options)
  const night = nightMeant(world, options)
  const place = await openPlace(world, options)
  try {
    const store = await place.ground.bucket('broker_files')
    const found = await readNightRecord(store, survey, night, world.now().getTime())
    if (found.generation !== null) return await work(place, found.record)
    throw new NightjarError(
      'config_invalid',
      `Cannot find the night ${night} in "${place.name}": no ${nightRecordName(survey, night)} there`,
    )
  } finally {
    await place.close()
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
