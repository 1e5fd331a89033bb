/** Credentials from the environment, for test brokers: `HPFEEDS_<IDENT>_SECRET` and its neighbours. */
import type { CredentialSource } from '../../core/credential.ts'

/**
 * Look idents up in an environment. For ident `james`: `HPFEEDS_JAMES_SECRET` must be there;
 * `HPFEEDS_JAMES_PUBCHANS` and `_SUBCHANS` are lists with commas, `_OWNER` is the ident if absent.
 */
export function envCredentials(
  env: Readonly<Record<string, string | undefined>>,
): CredentialSource {
  return {
    async find(ident) {
      const of = (what: string): string | undefined => env[`HPFEEDS_${ident.toUpperCase()}_${what}`]
      const secret = of('SECRET')
      if (ident === '' || secret === undefined) return undefined
      return {
        ident,
        secret,
        owner: of('OWNER') ?? ident,
        publish: listOf(of('PUBCHANS')),
        subscribe: listOf(of('SUBCHANS')),
      }
    },
    close() {},
  }
}

const listOf = (text = ''): string[] =>
  text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
