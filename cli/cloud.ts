/** How verbs stand on Google Cloud, or on emulators of it, instead of a home directory. */
import type { Command } from 'commander'

import type { CloudGround } from '../cloud/ground.ts'
import { parseEnvironment, variables, type Environment } from '../core/environment.ts'
import { homeAt } from '../local/home.ts'
import type { HomeOptions } from './embedded.ts'
import type { Pipeline } from './wiring.ts'
import type { World } from './world.ts'

export interface CloudOptions {
  cloud?: boolean
  project?: string
  instance?: string
  /** Where the machines stand. */
  zone?: string
  stages?: string
  /** Milliseconds. */
  patience?: number
}

/** Add `--cloud`, `--project` and `--instance`. */
export function withCloud(command: Command): Command {
  return command
    .option('--cloud', 'on Google Cloud, or its emulators, instead of a home directory')
    .option('--project <id>', `the project; ${variables.project} if absent`)
    .option('--instance <name>', 'a test instance; production if absent')
}

/** The instance that options and environment mean; options come first. */
export function environmentOf(
  { env }: Pick<World, 'env'>,
  { project, instance, survey, zone }: CloudOptions & Pick<HomeOptions, 'survey'>,
): Environment {
  return parseEnvironment({
    ...env,
    [variables.survey]: survey,
    ...(project !== undefined && { [variables.project]: project }),
    ...(instance !== undefined && { [variables.instance]: instance }),
    ...(zone !== undefined && { [variables.zone]: zone }),
  })
}

/** Stand on an instance. The SDKs come with what is asked of it. */
export async function openCloud(
  world: World,
  environment: Environment,
  { home }: Pick<HomeOptions, 'home'>,
): Promise<CloudGround & Pipeline> {
  const { schemas } = homeAt(home)
  if (world.openCloud !== undefined) {
    return { ...(await world.openCloud(environment)), home: { schemas } }
  }
  const { openCloudGround } = await import('../cloud/ground.ts')
  return { ...openCloudGround(environment), home: { schemas } }
}
