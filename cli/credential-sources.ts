/** Where keys are kept, as `--auth` names it: for a gateway and for control sockets. */
import type { CredentialSource } from '../core/credential.ts'
import { NightjarError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import { envCredentials } from '../gateways/hpfeeds/credentials-env.ts'
import { openCredentialsFile } from '../gateways/hpfeeds/credentials-file.ts'
import { openCredentials } from '../local/credentials.ts'
import type { World } from './world.ts'

/** Where hpfeeds keeps its keys: in the folder that it is started in. */
export const usualKeys = 'sqlite.db'

/** Open a source. Throws `config_invalid` for what names none. */
export function openCredentialSource(
  option: string,
  auth: string,
  world: World,
  log: Log,
): CredentialSource {
  if (auth === 'env') return envCredentials(world.env)
  if (auth.endsWith('.json')) return openCredentialsFile(auth, log)
  if (auth === 'sqlite') return openCredentials(usualKeys)
  if (/\.(db|sqlite3?)$/.test(auth)) return openCredentials(auth)
  throw new NightjarError(
    'config_invalid',
    `Cannot take ${option} "${auth}": it must be sqlite, a .db or .sqlite file, a .json file, or env`,
  )
}
