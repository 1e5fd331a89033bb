/** `nightjar stop`: end a program by signals, as eventdispatcher's ed-stop does. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

import { Command, Option } from 'commander'

import { NightjarError, sentenceOf } from '../core/errors.ts'
import { isAlive, markOfProcess } from '../local/alive.ts'
import { homeAt } from '../local/home.ts'
import { runningService } from '../local/service.ts'
import { parseDuration } from './duration.ts'
import { withHome, type HomeOptions } from './embedded.ts'
import type { World } from './world.ts'

interface StopOptions extends HomeOptions {
  server?: string
  service?: string
  timeout: number
}

/** What it has after SIGTERM, as in the original. */
const lastMs = 10_000

/** Our programs' names: one of these that does not run is no mistake. */
const known = /^(?:broker|conductor|hpfeeds|voevent)(?:_\d+)?$/

/** The command. */
export function stopCommand(world: World): Command {
  const command = new Command('stop')
    .description(
      'End a program by SIGINT, and by SIGTERM if it has not ended in time. To ask it to end, see ' +
        'nightjar signal STOP.',
    )
    .option(
      '--server <name|pid>',
      'a program of the home (broker, conductor, hpfeeds, voevent), a unit of systemd, or a process',
    )
    .addOption(new Option('--service <name|pid>', 'the same'))
    .addOption(
      new Option('-t, --timeout <time>', 'how long it has to end after SIGINT, an hour at most')
        .argParser(patience)
        .default(60_000, '60s'),
    )
  return withHome(command, world)
    .addHelpText(
      'after',
      `
A program of ours finishes what is under way at SIGINT, and ends at once at the second signal; 10 s after
SIGTERM it is given up. The exit status is 0 where it has ended or did not run, and 1 where there is no
such process, it may not be ended, or it goes on.

Examples:
  $ nightjar stop --server broker
  $ nightjar stop --server nightjar-voevent.service --timeout 5m
  $ nightjar stop --server 4711`,
    )
    .action((options: StopOptions) => stop(world, options))
}

async function stop(world: World, options: StopOptions): Promise<void> {
  const name = nameOf(options)
  const found = await findProcess(world, name, options)
  if (found === undefined) return world.err(`nightjar: ${name} does not run\n`)
  const { pid, mark } = found
  for (const [sign, ms] of [['SIGINT', options.timeout] as const, ['SIGTERM', lastMs] as const]) {
    if (await endedAfter(world, { name, pid, mark, sign, ms })) return
    if (world.signal.aborted) break
  }
  throw new NightjarError('source_failed', `Cannot stop ${name}: process ${pid} goes on`)
}

function nameOf({ server, service }: StopOptions): string {
  const name = server ?? service ?? ''
  if (name !== '' && (server === undefined || service === undefined)) return name
  throw new NightjarError(
    'config_invalid',
    `Cannot stop: ${name === '' ? 'say whom, by --server' : '--server and --service are the same'}`,
  )
}

/** The process that a name means; undefined where it is a program that does not run. */
async function findProcess(
  world: World,
  name: string,
  { home }: HomeOptions,
): Promise<{ pid: number; mark: number } | undefined> {
  if (/^\d+$/.test(name)) return processOf(name, Number(name))
  const running = runningService(homeAt(home), name)
  if (running !== undefined) return running
  const unit = await unitOf(world, name)
  if (unit.pid > 0) return processOf(name, unit.pid)
  if (unit.isKnown || known.test(name)) return undefined
  throw new NightjarError(
    'source_failed',
    `Cannot stop ${name}: no program of "${home}" is called so, and no unit of systemd`,
  )
}

function processOf(name: string, pid: number): { pid: number; mark: number } {
  // 0 and 1 are no programs: the one is ourselves and our kin, the other the system.
  const mark = Number.isSafeInteger(pid) && pid > 1 ? markOfProcess(pid) : 0
  if (isAlive(mark)) return { pid, mark }
  throw new NightjarError('source_failed', `Cannot stop ${name}: there is no process ${pid}`)
}

async function unitOf(world: World, name: string): Promise<{ pid: number; isKnown: boolean }> {
  if (name.startsWith('-')) return { pid: 0, isKnown: false }
  try {
    const { stdout } = await promisify(execFile)(
      'systemctl',
      ['show', '--property', 'MainPID,LoadState', name],
      { env: { PATH: world.env['PATH'], LC_ALL: 'C' }, timeout: 10_000 },
    )
    return {
      pid: Number(/^MainPID=(\d+)$/m.exec(stdout)?.[1] ?? 0),
      isKnown: /^LoadState=loaded$/m.test(stdout),
    }
  } catch {
    // There is no systemd here, or it does not know the name.
    return { pid: 0, isKnown: false }
  }
}

interface Blow {
  name: string
  pid: number
  mark: number
  sign: NodeJS.Signals
  ms: number
}

/** Send a signal and wait; answers whether the process has ended. */
async function endedAfter(world: World, { name, pid, mark, sign, ms }: Blow): Promise<boolean> {
  try {
    process.kill(pid, sign)
  } catch (error) {
    if (!isAlive(mark)) return true
    throw new NightjarError(
      'access_denied',
      `Cannot send ${sign} to ${name}, process ${pid}: ${sentenceOf(error)}`,
      { cause: error },
    )
  }
  for (const until = performance.now() + ms; isAlive(mark);) {
    if (performance.now() > until || world.signal.aborted) return false
    await new Promise((wake) => setTimeout(wake, 50))
  }
  return true
}

function patience(text: string): number {
  const ms = parseDuration(/^\d+$/.test(text) ? `${text}s` : text)
  if (ms >= 1000 && ms <= 3_600_000) return ms
  throw new NightjarError('config_invalid', `Cannot wait for ${text}: from 1s to 1h is allowed`)
}
