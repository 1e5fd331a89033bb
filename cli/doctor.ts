/** `nightjar doctor`: is everything there that an instance in the cloud needs, and allowed? */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

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
        'buckets, notices, tables, routines, functions; permissions, settings, regions, versions. Says what ' +
        'to do about each fault; changes nothing.',
    )
    .option('--project <id>', 'the project; GOOGLE_CLOUD_PROJECT if absent')
    .option('--instance <name>', 'a test instance; production if absent')
    .addOption(new Option('--survey <name>', 'whose alerts').choices(surveys).default('ztf'))
    .option('--json', 'print the findings as JSON')
    .addHelpText(
      'after',
      `
Permissions are those of the account that asks. Of functions it is told, too, whether they run the
bundles that "make bundle" left here. The exit status is 0 only if there is no fault; notes do not count.

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
const root = resolve(import.meta.dirname, '..')

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
  const packages = packagesFinding(root)
  if (packages !== undefined) tell(packages)
  const { checkUp } = await import('../cloud/checkup.ts')
  const bundles = bundlesIn(join(root, 'dist/functions'))
  for await (const finding of checkUp(environment, { bundles })) {
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

/** Whether the packages below a folder are the ones that its package.json names; a machine's bundle names none. */
export function packagesFinding(folder: string): Finding | undefined {
  const thing = 'packages'
  const { version, dependencies } = manifestOf(join(folder, 'package.json'))
  if (dependencies === undefined) return undefined
  const wrong = Object.entries(dependencies).flatMap(([name, wanted]) => {
    const found = manifestOf(join(folder, 'node_modules', name, 'package.json')).version
    // What is not pinned to one version is npm's to choose.
    if (found === wanted || (found !== undefined && !/^\d/.test(wanted))) return []
    return [`${name} is ${found ?? 'absent'} instead of ${wanted}`]
  })
  return wrong.length === 0
    ? { thing, state: 'ok', said: `as pinned; Nightjar ${version ?? ''}` }
    : { thing, state: 'fault', said: `${wrong.join(', ')}: run "npm ci"` }
}

interface Manifest {
  version?: string
  dependencies?: Record<string, string>
}

const manifestOf = (path: string): Manifest =>
  existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Manifest) : {}

/** By reader, the bundles that `make bundle` left: `packets-0123456789abcdef.zip`. */
function bundlesIn(folder: string): Map<string, string> {
  const files = existsSync(folder) ? readdirSync(folder) : []
  return new Map(
    files.flatMap((file) => {
      const [, reader] = /^(.+)-[0-9a-f]{8,64}\.zip$/.exec(file) ?? []
      return reader === undefined ? [] : [[reader, file] as const]
    }),
  )
}
