/** `nightjar`: one verb a file, each made into a command of its own. */
import { Command, CommanderError } from 'commander'

import { NightjarError, sentenceOf } from '../core/errors.ts'
import { auditCommand } from './audit.ts'
import { checkCertificateCommand } from './check-certificate.ts'
import { conductorCommand } from './conductor.ts'
import { configCommand } from './config.ts'
import { connectionsCommand } from './connections.ts'
import { consumeCommand } from './consume.ts'
import { costCommand } from './cost.ts'
import { doctorCommand } from './doctor.ts'
import { eventsCommand } from './events.ts'
import { filterCommand } from './filter.ts'
import { fitCommand } from './fit.ts'
import { feedCommand } from './feed.ts'
import { gatewayCommand } from './gateway.ts'
import { inspectCommand } from './inspect.ts'
import { keysCommand } from './keys.ts'
import { modelsCommand } from './models.ts'
import { queryCommand } from './query.ts'
import { replayCommand } from './replay.ts'
import { runCommand } from './run.ts'
import { schemasCommand } from './schemas.ts'
import { sendvoCommand } from './sendvo.ts'
import { signalCommand } from './signal.ts'
import { simulateCommand } from './simulate.ts'
import { statusCommand } from './status.ts'
import { stopCommand } from './stop.ts'
import { subscribeCommand } from './subscribe.ts'
import { topicsCommand } from './topics.ts'
import { traceCommand } from './trace.ts'
import type { World } from './world.ts'

const verbs = [
  runCommand,
  consumeCommand,
  topicsCommand,
  conductorCommand,
  simulateCommand,
  auditCommand,
  replayCommand,
  queryCommand,
  subscribeCommand,
  filterCommand,
  statusCommand,
  inspectCommand,
  fitCommand,
  modelsCommand,
  configCommand,
  schemasCommand,
  gatewayCommand,
  sendvoCommand,
  signalCommand,
  stopCommand,
  traceCommand,
  connectionsCommand,
  checkCertificateCommand,
  eventsCommand,
  feedCommand,
  keysCommand,
  doctorCommand,
  costCommand,
]

/** The whole program, for a world. */
export function nightjar(world: World): Command {
  const program = new Command('nightjar')
    .description('An astronomical alert broker that accounts for every alert.')
    .version('0.1.0')
    .showSuggestionAfterError()
    .addHelpText(
      'after',
      `
A first night, without a cloud account:
  $ nightjar simulate --out night
  $ nightjar run --from night --once
  $ nightjar query "SELECT objectId, candidate.magpsf FROM alerts LIMIT 5"

Everything is kept in the folder .nightjar, or where --home or NIGHTJAR_HOME says.`,
    )
  for (const verb of verbs) program.addCommand(verb(world))
  for (const command of [
    program,
    ...program.commands.flatMap((verb) => [verb, ...verb.commands]),
  ]) {
    command
      .exitOverride()
      .helpCommand(false)
      .configureOutput({
        writeOut: world.out,
        writeErr: world.err,
        getOutHelpWidth: () => 100,
        getErrHelpWidth: () => 100,
        outputError: (text, write) => write(asOurs(text)),
      })
  }
  return program
}

/** The parser's complaints read like all the others: one line that says who speaks. */
const asOurs = (text: string): string =>
  `nightjar: ${text
    .trim()
    .replace(/^error: /, '')
    .replaceAll('\n', ' ')
    .replace(/\.$/, '')}\n`

/**
 * Run one command line. Answers the exit status: 0 done, 1 the answer is no or something failed, 2 the
 * command line cannot be understood.
 */
export async function runCommandLine(world: World, words: readonly string[]): Promise<number> {
  let status = 0
  const program = nightjar({ ...world, exit: (wanted) => (status = wanted) })
  try {
    await program.parseAsync(words, { from: 'user' })
    return status
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    world.err(`nightjar: ${sentenceOf(error)}\n`)
    if (!(error instanceof NightjarError) && world.env['NIGHTJAR_DEBUG']) {
      world.err(`${error instanceof Error ? error.stack : ''}\n`)
    }
    return error instanceof NightjarError && error.code === 'config_invalid' ? 2 : 1
  }
}

function terminalOf(stream: NodeJS.WriteStream): NonNullable<World['terminal']> {
  return {
    size: () => ({ columns: stream.columns, rows: stream.rows }),
    onResize(listener) {
      stream.on('resize', listener)
      return () => void stream.removeListener('resize', listener)
    },
  }
}

/** After the end of a command that was asked to end; what it has to say is said by then. */
const leftOverMs = 2000

/** The real world of a process: the first Ctrl-C asks for an orderly end, the second one ends. */
function realWorld(): World {
  const stop = new AbortController()
  const onSignal = (signal: NodeJS.Signals): void => {
    if (!stop.signal.aborted) return stop.abort()
    // Die of it as a program without handlers does: an orderly exit tears threads down in mid-work.
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  // A reader who has seen enough, such as `head`, is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    tty: process.stdout.isTTY === true && process.env['NO_COLOR'] === undefined,
    columns: process.stdout.columns ?? 100,
    ...(process.stdout.isTTY === true && { terminal: terminalOf(process.stdout) }),
    // As it was at the start: the SDK of Cloud Storage has one variable taken from the process.
    env: { ...process.env },
    now: () => new Date(),
    signal: stop.signal,
    exit() {},
  }
}

if (import.meta.main) {
  const world = realWorld()
  process.exitCode = await runCommandLine(world, process.argv.slice(2))
  process.removeAllListeners('SIGINT').removeAllListeners('SIGTERM')
  // Who was asked to end waits for nothing that is left over, such as a request to a service that is gone.
  if (world.signal.aborted) setTimeout(() => process.exit(), leftOverMs).unref()
}
