/** Where the bundles of the stages are, as `make bundle` leaves them. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

import { NightjarError } from '../core/errors.ts'
import type { StageName } from '../core/pipeline.ts'

export interface Bundles {
  /** The zip of a stage, and its name, which holds the hash of its content. */
  of(stage: StageName): { path: string; name: string }
}

/** The bundles in a folder. Throws `config_invalid` for a stage that has none, or more than one. */
export function bundlesIn(folder: string): Bundles {
  return {
    of(stage) {
      const named = new RegExp(`^${stage}-[0-9a-f]{8,64}\\.zip$`)
      const [name, ...more] = namesIn(folder).filter((file) => named.test(file))
      if (name !== undefined && more.length === 0) return { path: join(folder, name), name }
      const found = name === undefined ? 'there is none' : `there are ${more.length + 1}`
      throw new NightjarError(
        'config_invalid',
        `Cannot find the bundle of stage "${stage}": ${found} in "${folder}"; "make bundle" makes it`,
      )
    },
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
