/** Where the bundles of the stages are, as `make bundle` leaves them. */
import { existsSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'

import { NightjarError } from '../core/errors.ts'
import type { StageName } from '../core/pipeline.ts'

export interface Bundles {
  /** The zip of a stage, and its name, which holds the hash of its content. */
  of(stage: StageName): { path: string; name: string }
  /** The program of the machines: a `.tar.gz` with its Node, named by its hash. */
  machine(): { path: string; name: string }
  /** A file of the repository. */
  file(path: string): string
}

/**
 * The bundles in a folder, and files of the repository. Throws `config_invalid` for a bundle that is not
 * there, or there more than once, and for a file that is not there.
 */
export function bundlesIn(folder: string, root: string): Bundles {
  function only(what: string, named: RegExp): { path: string; name: string } {
    const [name, ...more] = namesIn(folder).filter((file) => named.test(file))
    if (name !== undefined && more.length === 0) return { path: join(folder, name), name }
    const found = name === undefined ? 'there is none' : `there are ${more.length + 1}`
    throw new NightjarError(
      'config_invalid',
      `Cannot find the bundle of ${what}: ${found} in "${folder}"; "make bundle" makes it`,
    )
  }
  return {
    of: (stage) => only(`stage "${stage}"`, new RegExp(`^${stage}-[0-9a-f]{8,64}\\.zip$`)),
    machine: () => only('the machines', /^machine-[0-9a-f]{8,64}\.tar\.gz$/),
    file(path) {
      const found = resolve(root, path)
      if (existsSync(found)) return found
      throw new NightjarError('config_invalid', `Cannot find "${path}": there is no "${found}"`)
    },
  }
}

function namesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : []
}
