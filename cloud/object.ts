/** One object by its whole address, `gs://bucket/name`, for what is read once at the start of a program. */
import { variables, type Environment } from '../core/environment.ts'
import { NightjarError } from '../core/errors.ts'
import { openStore } from './store.ts'
import { openStores } from './stores.ts'

/** Read it. Throws `config_invalid` for an address that is none, or of nothing. */
export async function readObject(
  { at: { project }, emulators }: Environment,
  address: string,
): Promise<Uint8Array> {
  const [, bucket, name] = /^gs:\/\/([^/]+)\/(.+)$/.exec(address) ?? []
  if (bucket === undefined || name === undefined) {
    throw new NightjarError('config_invalid', `Cannot read "${address}": write gs://bucket/name`)
  }
  const emulator = emulators.storage
  // The SDK reads it, too, and then asks for other paths than the service has.
  delete process.env[variables.storage]
  const stores = openStores({ project, ...(emulator !== undefined && { emulator }) })
  const found = await (await openStore(stores, bucket)).read(name)
  if (found !== null) return found.data
  throw new NightjarError(
    'config_invalid',
    `Cannot read "${address}": bucket "${bucket}" has no such object`,
  )
}
