/** `nightjar run`: the whole broker in one process. */
import { Command, Option } from 'commander'

import { openFileSource } from '../consumer/files/source.ts'
import { createIntake } from '../consumer/intake.ts'
import { NightjarError } from '../core/errors.ts'
import { kafkaTopicName } from '../core/names.ts'
import { nightOfDate, nightOfTopic, type Night } from '../core/night.ts'
import { runCloudSession } from './cloud-run.ts'
import { withCloud, type CloudOptions } from './cloud.ts'
import { controlled, withControl, type ControlOptions } from './control.ts'
import { parseDuration } from './duration.ts'
import { nightArgument, positive, withHome, type HomeOptions } from './embedded.ts'
import { withMetrics, type Address } from './metrics-server.ts'
import { runSession, type Session, type Taken } from './session.ts'
import { relayTo } from './wiring.ts'
import type { World } from './world.ts'

interface RunOptions extends HomeOptions, CloudOptions, ControlOptions {
  from?: string[]
  night?: Night
  rate?: number
  once?: boolean
  json?: boolean
  metrics?: Address
}

/** The command. */
export function runCommand(world: World): Command {
  const command = new Command('run')
    .description(
      'Run the whole broker here: take alerts in, archive them, store them as rows, pick out ' +
        'extragalactic transients, fit supernovae to them, and keep the ledger of what became of ' +
        'each.',
    )
    .option('--from <path...>', 'folders, .avro files, .tar.gz archives, or URLs of archives')
    .option(
      '--night <date>',
      'UTC date of the night that files without one belong to',
      nightArgument,
    )
    .option('--rate <n>', 'alerts a second at most', positive('rate'))
    .option('--once', 'take in what is there, finish every stage, audit, and end')
    .option('--json', 'print the summary as JSON')
  return withCloud(withControl(withMetrics(withHome(command, world))))
    .addOption(
      new Option(
        '--patience <time>',
        'with --cloud and --once: how long to wait for what is missing, 3m if absent',
      ).argParser(parseDuration),
    )
    .option('--stages <names>', 'with --cloud: these alone, or "none" where functions serve them')
    .addHelpText(
      'after',
      `
Ctrl-C finishes what is under way and ends; a second one ends at once, and the next start goes on
where this one stood. With --once the exit status is 0 only if no alert is missing.

Examples:
  $ nightjar run --from night --once
  $ nightjar run --from https://ztf.uw.edu/alerts/public/ztf_public_20181128.tar.gz --once
  $ nightjar run --cloud --project my-project --instance rc1 --from night --once`,
    )
    .action((options: RunOptions) => controlled(world, options, (asked) => run(asked, options)))
}

async function run(world: World, options: RunOptions): Promise<void> {
  if (options.once !== true && (options.from?.length ?? 0) > 1) {
    throw new NightjarError(
      'config_invalid',
      'Cannot watch several sources at once: give one --from, or --once to take in all of them',
    )
  }
  const session = options.cloud === true ? runCloudSession : runSession
  await session(world, options, (opened) => takeIn(world, options, opened))
}

/** Take in every source, one after the other; answers what came. */
async function takeIn(
  world: World,
  options: RunOptions,
  { ground, broker, log, metrics, watch }: Session,
): Promise<Taken> {
  const store = await ground.bucket('broker_files')
  const relay = metrics.timed(await relayTo(ground, log))
  const total = { records: 0, bytes: 0 }
  for (const from of options.from ?? []) {
    const night = options.night ?? nightOfPath(from) ?? nightOfDate(world.now())
    const source = await openFileSource({
      from,
      store,
      topic: kafkaTopicName(ground.at.survey, night),
      watch: options.once !== true,
    })
    const intake = createIntake({
      source,
      relay,
      log,
      ...(options.rate !== undefined && { rate: options.rate }),
    })
    log('intake_started', { from })
    watch(intake)
    await Promise.race([intake.run(world.signal), broker.failed])
    await source.close()
    const { records, bytes } = intake.counts()
    total.records += records
    total.bytes += bytes
    if (world.signal.aborted) break
  }
  return total
}

/** The night in a path such as `ztf_public_20181128.tar.gz`. */
function nightOfPath(path: string): Night | undefined {
  return path
    .split(/[/.]/)
    .map((part) => nightOfTopic(part))
    .find((night) => night !== undefined)
}
