import { existsSync } from 'node:fs'
import { resolve } from 'node:path'

/**
 * Real packets are not part of the repository. `NIGHTJAR_DATA` names the folder that holds them;
 * without it the folder `shared/data` beside the checkout is tried.
 */
export const dataDir = resolve(
  process.env['NIGHTJAR_DATA'] ?? resolve(import.meta.dirname, '../../shared/data'),
)

/** Where pinned peers (fastavro and others) are installed by `make peers`. */
export const peersDir = resolve(import.meta.dirname, '../.peers')

/**
 * The `skip` option of a test that needs a path from outside the repository: false where it is there,
 * a printed reason where it is not. In CI nothing may be missing, so there it throws.
 */
export function skipWithout(path: string, remedy: string): false | string {
  if (existsSync(path)) return false
  const reason = `needs ${path}: ${remedy}`
  if (process.env['CI'] === 'true') throw new Error(`Cannot run in CI: ${reason}`)
  return reason
}

export const skipWithoutData = skipWithout(dataDir, 'set NIGHTJAR_DATA to a folder of real alerts')
