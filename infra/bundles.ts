/** Where the bundles of the functions and of the machines are, as `make bundle` leaves them. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

import { NightjarError } from '../core/errors.ts'
import type { AnyReader } from '../core/pipeline.ts'

export interface Bundles {
  /** The zip of a function, and its name, which holds the hash of its content. */
  of(entry: AnyReader['name'] | 'conductor'): { path: string; name: string }
  /** The program of the machines. */
  machine(): { path: string; name: string }
}

/** The bundles in two folders. Throws `config_invalid` for one that is not there, or there more than once. */
export function bundlesIn(functions: string, machines: string): Bundles {
  function only(what: string, folder: string, named: RegExp): { path: string; name: string } {
    const files = existsSync(folder) ? readdirSync(folder) : []
    const [name, ...more] = files.filter((file) => named.test(file))
    if (name !== undefined && more.length === 0) return { path: join(folder, name), name }
    const found = name === undefined ? 'there is none' : `there are ${more.length + 1}`
    throw new NightjarError(
      'config_invalid',
      `Cannot find the bundle of ${what}: ${found} in "${folder}"; "make bundle" makes it`,
    )
  }
  return {
    of: (entry) =>
      only(`function "${entry}"`, functions, new RegExp(`^${entry}-[0-9a-f]{8,64}\\.zip$`)),
    machine: () => only('the machines', machines, /^nightjar-[0-9a-f]{64}\.tar\.gz$/),
  }
}
