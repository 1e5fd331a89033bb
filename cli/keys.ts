/** `nightjar keys`: who may publish and subscribe at a gateway, without SQL. */
import { randomBytes } from 'node:crypto'

import { Command } from 'commander'

import { NightjarError } from '../core/errors.ts'
import { openCredentials, type Credentials } from '../local/credentials.ts'
import { usualKeys } from './credential-sources.ts'
import { formatTable } from './text-table.ts'
import type { World } from './world.ts'

interface KeysOptions {
  db: string
  json?: boolean
}

interface AddOptions extends KeysOptions {
  owner?: string
  secret?: string
  pub?: string[]
  sub?: string[]
}

/** The command. */
export function keysCommand(world: World): Command {
  return new Command('keys')
    .description('Manage who may publish and subscribe at a gateway; a change counts at once.')
    .addHelpText(
      'after',
      `
The keys are rows of the table authkeys in a SQLite file, as hpfeeds' own broker keeps them. A running
gateway asks at each connection; those that are open keep what they had. Where a program is given
--control-auth, the channel "control" is its control: to publish is to command, to subscribe to ask.

Examples:
  $ nightjar keys add alice --pub alerts --sub alerts,nightjar.ztf_exgalac_trans
  $ nightjar keys add operator --pub control --sub control
  $ nightjar keys list
  $ nightjar keys rotate alice`,
    )
    .addCommand(add(world))
    .addCommand(list(world))
    .addCommand(remove(world))
    .addCommand(rotate(world))
}

const withFile = (command: Command): Command =>
  command
    .option('--db <file>', 'SQLite file that keeps them', usualKeys)
    .option('--json', 'print JSON')

/** Names with commas between them, in one word or in several. */
const names = (text: string, all: string[] = []): string[] => [
  ...all,
  ...text.split(',').filter((name) => name !== ''),
]

function add(world: World): Command {
  return withFile(
    new Command('add')
      .description('Add an ident and print its secret, the one time that it is shown.')
      .argument('<ident>', 'the name that the client gives')
      .option('--owner <name>', 'who answers for it (default: the ident)')
      .option('--secret <text>', 'its secret (default: a new one of 128 random bits)')
      .option('--pub <channels>', 'channels that it may publish to, with commas', names)
      .option('--sub <channels>', 'channels that it may subscribe to, with commas', names),
  ).action((ident: string, options: AddOptions) =>
    withKeys(options, (keys) => {
      const { owner = ident, secret = newSecret(), pub = [], sub = [] } = options
      keys.add({ owner, ident, secret, publish: pub, subscribe: sub })
      show(world, options, ident, secret)
    }),
  )
}

function list(world: World): Command {
  return withFile(
    new Command('list')
      .description('List the idents and what each may do.')
      .option('--secrets', 'with their secrets'),
  ).action((options: KeysOptions & { secrets?: boolean }) =>
    withKeys(options, (keys) => {
      const shown = keys.list().map(({ secret, ...rest }) => ({
        ...rest,
        ...(options.secrets === true && { secret }),
      }))
      if (options.json === true) {
        for (const key of shown) world.out(`${JSON.stringify(key)}\n`)
        return
      }
      if (shown.length === 0) return world.err('no keys\n')
      const heads = ['ident', 'owner', 'publish', 'subscribe']
      const rows = shown.map(({ ident, owner, publish, subscribe, secret }) => [
        ...[ident, owner, publish.join(','), subscribe.join(',')],
        ...(secret === undefined ? [] : [secret]),
      ])
      world.out(formatTable(options.secrets === true ? [...heads, 'secret'] : heads, rows))
    }),
  )
}

function remove(world: World): Command {
  return withFile(
    new Command('remove')
      .description('Remove an ident: its next connection is refused.')
      .argument('<ident>', 'the ident'),
  ).action((ident: string, options: KeysOptions) =>
    withKeys(options, (keys) => {
      if (!keys.remove(ident)) throw unknown(ident, options.db)
      if (options.json === true) world.out(`${JSON.stringify({ ident, removed: true })}\n`)
    }),
  )
}

function rotate(world: World): Command {
  return withFile(
    new Command('rotate')
      .description('Give an ident another secret and print it, the one time that it is shown.')
      .argument('<ident>', 'the ident')
      .option('--secret <text>', 'the secret (default: a new one of 128 random bits)'),
  ).action((ident: string, options: KeysOptions & { secret?: string }) =>
    withKeys(options, (keys) => {
      const { secret = newSecret() } = options
      if (!keys.rotate(ident, secret)) throw unknown(ident, options.db)
      show(world, options, ident, secret)
    }),
  )
}

const newSecret = (): string => randomBytes(16).toString('hex')

const unknown = (ident: string, db: string): NightjarError =>
  new NightjarError(
    'input_invalid',
    `Cannot find ident "${ident}" in "${db}"; see: nightjar keys list`,
  )

function show(world: World, options: KeysOptions, ident: string, secret: string): void {
  world.out(options.json === true ? `${JSON.stringify({ ident, secret })}\n` : `${secret}\n`)
}

function withKeys(options: KeysOptions, use: (keys: Credentials) => void): void {
  const keys = openCredentials(options.db)
  try {
    use(keys)
  } finally {
    keys.close()
  }
}
