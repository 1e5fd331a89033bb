/** `nightjar doctor`: is everything there that an instance in the cloud needs, and allowed? */
import { Command, Option } from 'commander'

import type { Finding } from '../cloud/checkup.ts'
import { surveys } from '../core/names.ts'
import { environmentOf, type CloudOptions } from './cloud.ts'
import type { World } from './world.ts'

interface DoctorOptions extends CloudOptions {
  survey: string
  json?: boolean
}

/** The command. */
export function doctorCommand(world: World): Command {
  return new Command('doctor')
    .description(
      'Look at everything that an instance in the cloud needs: credentials, topics, subscriptions, ' +
        'buckets, notices, tables, permissions. Says what to do about each fault; changes nothing.',
    )
    .option('--project <id>', 'the project; GOOGLE_CLOUD_PROJECT if absent')
    .option('--instance <name>', 'a test instance; production if absent')
    .addOption(new Option('--survey <name>', 'whose alerts').choices(surveys).default('ztf'))
    .option('--json', 'print the findings as JSON')
    .addHelpText(
      'after',
      `
The exit status is 0 only if there is no fault; notes do not count.

Examples:
  $ nightjar doctor --project my-project
  $ nightjar doctor --project my-project --instance rc1 --json`,
    )
    .action((options: DoctorOptions) => doctor(world, options))
}

const marks: Readonly<Record<Finding['state'], string>> = {
  ok: 'ok   ',
  note: 'note ',
  fault: 'FAULT',
}
const oldestNode = 24

async function doctor(world: World, options: DoctorOptions): Promise<void> {
  const environment = environmentOf(world, options)
  const findings: Finding[] = []
  const tell = (finding: Finding): void => {
    findings.push(finding)
    if (options.json !== true) {
      world.out(`${marks[finding.state]} ${finding.thing}: ${finding.said}\n`)
    }
  }
  tell(nodeFinding())
  const { checkUp } = await import('../cloud/checkup.ts')
  for await (const finding of checkUp(environment)) {
    tell(finding)
    if (world.signal.aborted) break
  }
  if (options.json === true) world.out(`${JSON.stringify(findings, null, 2)}\n`)
  if (findings.some(({ state }) => state === 'fault')) world.exit(1)
}

function nodeFinding(): Finding {
  const { node } = process.versions
  const good = Number.parseInt(node, 10) >= oldestNode
  return {
    thing: 'Node',
    state: good ? 'ok' : 'fault',
    said: good ? node : `${node} is too old: run it by bin/nightjar, which brings its own`,
  }
}
