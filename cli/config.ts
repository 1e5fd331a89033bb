/** `nightjar config`: the configuration file, checked and shown; and how other verbs read it. */
import { existsSync, readFileSync } from 'node:fs'

import { Command } from 'commander'

import { parseConductor, type ConductorSettings } from '../conductor/settings.ts'
import { parseConfig, showConfig, type Config } from '../consumer/config.ts'
import { NightjarError, sentenceOf } from '../core/errors.ts'
import type { World } from './world.ts'

/** Read where neither `--config` nor NIGHTJAR_CONFIG says another. */
const usualFile = 'nightjar.toml'

const mostBytes = 1 << 20

/** The command, with its own verbs below it. */
export function configCommand(world: World): Command {
  const command = new Command('config').description(
    'Check the configuration, or show it with every secret masked.',
  )
  command.addHelpText(
    'after',
    `
FILE is ${usualFile} unless NIGHTJAR_CONFIG says another; it may be gs://bucket/object. An environment variable sets one value:
its name is the path in upper case, divided by "__", after NIGHTJAR__.

Examples:
  $ nightjar config check
  $ NIGHTJAR__STREAMS__ZTF__BROKERS=localhost:9092 nightjar config show docs/nightjar.toml`,
  )
  command.addCommand(
    new Command('check')
      .description('Say everything that is wrong; exit status 2 if something is.')
      .argument('[file]', 'the configuration')
      .action((file: string | undefined) => check(world, file)),
  )
  command.addCommand(
    new Command('show')
      .description('Print what the file and the environment mean together, as JSON.')
      .argument('[file]', 'the configuration')
      .action(async (file: string | undefined) => {
        const { config } = await readConfig(world, file)
        world.out(`${JSON.stringify(showConfig(config), null, 2)}\n`)
      }),
  )
  return command
}

/** Add `--config` to a verb. */
export function withConfig(command: Command): Command {
  return command.option('--config <file>', `the configuration (${usualFile}, or NIGHTJAR_CONFIG)`)
}

/**
 * Read the configuration for a verb and say what is unwise in it. Without a file, only the environment
 * counts. Throws `config_invalid` with every fault.
 */
export async function loadConfig(world: World, file?: string): Promise<Config> {
  const { config, warnings } = await readConfig(world, file)
  for (const warning of warnings) world.err(`nightjar: ${warning}\n`)
  return config
}

/** What the configuration says of the conductor; `loadConfig` says what is unwise in it. */
export async function loadConductor(world: World, file?: string): Promise<ConductorSettings> {
  return (await readConfig(world, file)).conductor
}

async function check(world: World, file: string | undefined): Promise<void> {
  const { config, warnings, from } = await readConfig(world, file)
  for (const warning of warnings) world.out(`warning: ${warning}\n`)
  const faults: string[] = []
  const { checkStream } = await import('../consumer/kafka/check.ts')
  for (const stream of Object.values(config.streams)) {
    faults.push(...(await checkStream(stream, world.env)))
  }
  if (faults.length > 0) {
    throw new NightjarError(
      'config_invalid',
      `Cannot use the configuration here: ${faults.length} of its files are at fault\n  ${faults.join('\n  ')}`,
    )
  }
  const names = Object.keys(config.streams)
  const streams = names.length === 0 ? 'no streams' : `streams ${names.join(', ')}`
  world.out(`${from} is in order: ${streams}\n`)
}

async function readConfig(
  world: World,
  file: string | undefined,
): Promise<{ config: Config; conductor: ConductorSettings; warnings: string[]; from: string }> {
  const named = file ?? world.env['NIGHTJAR_CONFIG']
  const path = named ?? (existsSync(usualFile) ? usualFile : undefined)
  const settings = path === undefined ? {} : await parseToml(world, path)
  let conductor = parseConductor(undefined)
  const parsed = parseConfig(settings, world.env, {
    conductor: (section) => (conductor = parseConductor(section)),
  })
  return { ...parsed, conductor, from: path ?? 'the environment' }
}

async function parseToml(world: World, path: string): Promise<unknown> {
  let bytes: Buffer
  try {
    bytes = path.startsWith('gs://') ? await readCloud(world, path) : readFileSync(path)
  } catch (cause) {
    if (cause instanceof NightjarError) throw cause
    throw unreadable(path, sentenceOf(cause), cause)
  }
  if (bytes.length > mostBytes) throw unreadable(path, `it has ${bytes.length} bytes`)
  const { parse } = await import('smol-toml')
  try {
    return parse(bytes.toString())
  } catch (cause) {
    // Only the parser's first line: the others quote the file, where a secret may stand.
    throw unreadable(path, `${sentenceOf(cause).split('\n')[0]}${placeOf(cause)}`)
  }
}

/** A program in the cloud has no file beside it: an upload is then an update. */
async function readCloud({ env }: World, path: string): Promise<Buffer> {
  const [{ readObject }, { parseEnvironment }] = await Promise.all([
    import('../cloud/object.ts'),
    import('../core/environment.ts'),
  ])
  return Buffer.from(await readObject(parseEnvironment(env), path))
}

function placeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('line' in error)) return ''
  return `, in line ${String(error.line)}`
}

function unreadable(path: string, why: string, cause?: unknown): NightjarError {
  return new NightjarError('config_invalid', `Cannot read the configuration "${path}": ${why}`, {
    cause,
  })
}
