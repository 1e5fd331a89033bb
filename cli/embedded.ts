/** How verbs find the embedded broker of a home directory: options they share, and what they open. */
import { Option, type Command } from 'commander'

import { NightjarError } from '../core/errors.ts'
import { parseSurvey, surveys, type Instance } from '../core/names.ts'
import { parseNight, type Night } from '../core/night.ts'
import type { World } from './world.ts'

export interface HomeOptions {
  home: string
  survey: string
}

/** Add `--home` and `--survey`. */
export function withHome(command: Command, world: World): Command {
  return command
    .addOption(
      new Option('--home <dir>', 'folder that keeps everything').default(
        world.env['NIGHTJAR_HOME'] ?? '.nightjar',
        world.env['NIGHTJAR_HOME'] === undefined ? '.nightjar, or NIGHTJAR_HOME' : undefined,
      ),
    )
    .addOption(new Option('--survey <name>', 'whose alerts').choices(surveys).default('ztf'))
}

/** Which instance the options mean; on one machine there is no other. */
export function instanceOf({ survey }: HomeOptions): Instance {
  return { survey: parseSurvey(survey), project: 'local' }
}

/** A positive number from the command line. */
export function positive(name: string): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (Number.isFinite(value) && value > 0) return value
    throw new NightjarError(
      'config_invalid',
      `Cannot take ${name} "${text}": it must be a number above 0`,
    )
  }
}

/** `--night`, as typed. */
export const nightArgument = (text: string): Night => parseNight(text)
