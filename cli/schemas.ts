/** `nightjar schemas`: the schemas that a home has met, and what the schema gate said of each. */
import { Command } from 'commander'

import { NightjarError } from '../core/errors.ts'
import { homeAt } from '../local/home.ts'
import { bundledVersions } from '../schemas/registry.ts'
import { openShelf, type Shelf } from '../schemas/shelf.ts'
import { withHome, type HomeOptions } from './embedded.ts'
import { formatTable } from './text-table.ts'
import type { World } from './world.ts'

/** The command, with its own verb below it. */
export function schemasCommand(world: World): Command {
  const command = withHome(
    new Command('schemas')
      .description('Show the schemas of wire format that were met, and accept one that is parked.')
      .option('--json', 'print them as JSON'),
    world,
  )
  command.addHelpText(
    'after',
    `
A schema that only adds to the one before it is accepted as it comes. One that breaks with it is
parked: its packets wait whole in the dead letters. Look at what changed, accept it, and replay.

Examples:
  $ nightjar schemas --survey lsst
  $ nightjar schemas accept 1200
  $ nightjar replay --dead-letter --survey lsst`,
  )
  command.action((options: HomeOptions & { json?: boolean }) => {
    const verdicts = shelfOf(options).list()
    if (options.json === true) world.out(`${JSON.stringify(verdicts, null, 2)}\n`)
    else world.out(formatShelf(verdicts))
  })
  command.addCommand(
    withHome(
      new Command('accept')
        .description('Accept a parked schema.')
        .argument('<id>', 'its number in the registry'),
      world,
    ).action((text: string, _: HomeOptions, self: Command) => {
      const id = /^\d{1,10}$/.test(text) ? Number(text) : NaN
      if (Number.isNaN(id)) {
        throw new NightjarError(
          'config_invalid',
          `Cannot take schema "${text}": it must be a number`,
        )
      }
      shelfOf(self.optsWithGlobals<HomeOptions>()).accept(id, world.now())
      world.out(`Schema ${id} is accepted; what waits for it: nightjar replay --dead-letter\n`)
    }),
  )
  return command
}

const shelfOf = ({ home }: HomeOptions): Shelf => openShelf(homeAt(home).schemas)

function formatShelf(verdicts: ReturnType<Shelf['list']>): string {
  const known = `With Nightjar come LSST ${bundledVersions().join(', ')}.\n`
  if (verdicts.length === 0) return `${known}No other was met.\n`
  const rows = verdicts.map(({ id, state, against, changes, at }) => [
    String(id),
    state,
    against === undefined ? '' : String(against),
    at.slice(0, 16).replace('T', ' '),
    changes.length > 2
      ? `${changes.slice(0, 2).join('; ')}; … ${changes.length}`
      : changes.join('; '),
  ])
  return `${known}\n${formatTable(['id', 'state', 'against', 'at', 'changes'], rows)}`
}
