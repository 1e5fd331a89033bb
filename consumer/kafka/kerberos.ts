/**
 * The Kerberos library of this machine, through the optional npm module `kerberos`; what it must be told
 * before it is asked; and what its complaints mean and what to do about them.
 */
import { createRequire } from 'node:module'

import { NightjarError, sentenceOf } from '../../core/errors.ts'
import type { GssapiSasl } from '../config.ts'
import { readKeytab } from './keytab.ts'

const require = createRequire(import.meta.url)

/** What we use of the module. Tokens are base64. */
export interface Kerberos {
  GSS_C_MUTUAL_FLAG: number
  GSS_C_REPLAY_FLAG: number
  GSS_C_SEQUENCE_FLAG: number
  GSS_C_INTEG_FLAG: number
  GSS_MECH_OID_KRB5: number
  initializeClient(
    service: string,
    options: { flags: number; mechOID: number; principal?: string },
  ): Promise<KerberosClient>
}

export interface KerberosClient {
  contextComplete: boolean
  step(challenge: string): Promise<string | null>
  unwrap(challenge: string): Promise<string | null>
  wrap(challenge: string, options: { user: string }): Promise<string | null>
}

/** Who wants to log in where, for sentences. */
export interface Ticket {
  /** The broker's principal without its realm, `kafka/host`. */
  service: string
  principal?: string
  keytab?: string
}

/** Load the module. Throws `config_invalid` where it is not there or does not load. */
export function loadKerberos(load: (name: string) => unknown = require): Kerberos {
  let module: unknown
  try {
    module = load('kerberos')
  } catch (cause) {
    const missing = cause instanceof Error && 'code' in cause && cause.code === 'MODULE_NOT_FOUND'
    throw new NightjarError(
      'config_invalid',
      missing
        ? 'Cannot use Kerberos: the optional module "kerberos" is not built; install libkrb5-dev ' +
            '(Debian; elsewhere krb5-devel), then run: npm rebuild kerberos, or npm install'
        : `Cannot use Kerberos: the module "kerberos" does not load, ${sentenceOf(cause)}; install ` +
            'libgssapi-krb5-2 (Debian; elsewhere krb5-libs), then run: npm rebuild kerberos',
      { cause },
    )
  }
  if (!isKerberos(module)) {
    throw new NightjarError('config_invalid', 'Cannot use Kerberos: the module is of another make')
  }
  return module
}

function isKerberos(module: unknown): module is Kerberos {
  return (
    typeof module === 'object' &&
    module !== null &&
    'initializeClient' in module &&
    typeof module.initializeClient === 'function' &&
    'GSS_C_MUTUAL_FLAG' in module
  )
}

/**
 * Have the library fetch and renew tickets from the keytab by itself, and keep them in memory. Answers
 * the principal to be. Throws `config_invalid` for a keytab that cannot serve.
 *
 * The library is told by the environment of the process, so a process has one keytab.
 */
export async function prepareKerberos(
  options: GssapiSasl,
  env: Record<string, string | undefined>,
): Promise<string | undefined> {
  const { keytab, krb5Config, principal } = options
  if (krb5Config !== undefined) tell(env, 'KRB5_CONFIG', krb5Config)
  if (keytab === undefined) return principal
  const held = await readKeytab(keytab)
  const chosen = choosePrincipal(keytab, held, principal)
  tell(env, 'KRB5_CLIENT_KTNAME', `FILE:${keytab}`)
  // Not a file: nothing to leave behind, and no other program's tickets to be mistaken for ours. A
  // cache holds the tickets of one principal.
  env['KRB5CCNAME'] = `MEMORY:nightjar ${chosen}`
  return chosen
}

function tell(env: Record<string, string | undefined>, name: string, value: string): void {
  const present = env[name] ?? ''
  if (present !== '' && present !== value) {
    throw new NightjarError(
      'config_invalid',
      `Cannot use "${value}" for Kerberos: ${name} is "${present}" already, and a process has one; ` +
        'unset it, or run each Kerberos stream in a process of its own',
    )
  }
  env[name] = value
}

function choosePrincipal(keytab: string, held: string[], wanted: string | undefined): string {
  const [only, ...others] = held
  if (wanted === undefined && only !== undefined && others.length === 0) return only
  if (wanted !== undefined && held.includes(wanted)) return wanted
  const list = held.join(', ')
  const namesake = held.find((one) => one.split('@')[0] === wanted?.split('@')[0])
  let why = `it has no key of ${wanted}, only of ${list}; set principal to one of these`
  if (wanted === undefined) why = `it has keys of ${list}; say which by principal`
  else if (namesake !== undefined) {
    why = `it has the key of ${namesake}, which is another realm than that of ${wanted}`
  }
  throw new NightjarError('config_invalid', `Cannot use keytab "${keytab}": ${why}`)
}

interface Meaning {
  says: RegExp
  why: (ticket: Ticket, match: RegExpExecArray) => string
  /** It may be better in a moment, without anybody doing anything. */
  passes?: (ticket: Ticket) => boolean
}

/** The library's complaints (MIT 1.20), and what a person can do about them. */
const meanings: readonly Meaning[] = [
  {
    says: /Clock skew too great/,
    why: () =>
      'the clocks of this machine and of the KDC differ by more than it allows (5 minutes as a ' +
      'rule); set this clock by NTP, or leave kdc_timesync at 1 in krb5.conf',
  },
  {
    says: /Cannot contact any KDC for realm '([^']*)'/,
    passes: () => true,
    why: (_, [, realm]) =>
      `no KDC of realm ${realm} answers; see that kdc in krb5.conf is right and that port 88 ` +
      'is open from here',
  },
  {
    says: /Cannot find KDC for realm "([^"]*)"|Cannot resolve .* KDC/,
    why: (_, [, realm]) =>
      `nothing says where the KDC of realm ${realm ?? '?'} is; name it in krb5.conf, below ` +
      '[realms], or mend the realm of the principal',
  },
  {
    says: /Client '([^']*)' not found in Kerberos database/,
    why: (_, [, client]) =>
      `the KDC knows no principal ${client}; see that name and realm are those of the keytab that ` +
      'the stream gave you',
  },
  {
    says: /Client's (?:entry in database|credentials have been revoked).*|Client's .*expired/,
    why: ({ principal }) =>
      `the KDC no longer lets ${principal ?? 'the principal'} in, its entry has expired or is ` +
      'locked; ask the stream for a new one',
  },
  {
    says: /Server krbtgt\/([^@]*)@(\S*) not found in Kerberos database/,
    why: ({ service }, [, realm, ours]) =>
      `by its name ${service} belongs to realm ${realm}, of which the KDC knows nothing; say below ` +
      `[domain_realm] in krb5.conf that its host belongs to ${ours}, or map the name below sasl.hosts`,
  },
  {
    says: /Server (\S+) not found in Kerberos database|Server not found in Kerberos database/,
    why: ({ service }, [, server]) =>
      `the KDC knows no broker ${server ?? service}; the name is the one the broker tells clients: ` +
      'if its principal has another, map it below sasl.hosts, and see [domain_realm] in krb5.conf',
  },
  {
    says: /Decrypt integrity check failed|Preauthentication failed|Password incorrect/,
    why: ({ principal, keytab }) =>
      `the key in keytab "${keytab ?? '?'}" is not the one that the KDC has for ` +
      `${principal ?? 'the principal'}, it was renewed since; ask the stream for the new keytab`,
  },
  {
    says: /KDC has no support for encryption type|no supported encryption types|No supported encryption/i,
    why: ({ keytab }) =>
      `keytab "${keytab ?? '?'}" and the KDC have no cipher in common; see permitted_enctypes in ` +
      'krb5.conf, or ask the stream for a keytab with AES keys',
  },
  {
    says: /Ticket expired|referenced context has expired|credential(?:s|\(s\))? (?:have |has )?expired/i,
    // With a keytab the library falls back to the old ticket where it cannot fetch a new one.
    passes: ({ keytab }) => keytab !== undefined,
    why: ({ keytab, principal }) =>
      keytab === undefined
        ? 'the ticket has expired; run kinit again, or set keytab, from which tickets are renewed'
        : `the ticket of ${principal ?? 'the principal'} has expired, and no KDC gives a new one; see ` +
          'that kdc in krb5.conf is right and that port 88 is open from here',
  },
  {
    says: /No Kerberos credentials available|Can't find client principal (\S+)|No credentials cache/,
    why: ({ keytab }, [, principal]) =>
      keytab === undefined
        ? `there is no ticket${principal === undefined ? '' : ` of ${principal}`} in the ticket ` +
          'cache; set keytab, or run kinit before'
        : `keytab "${keytab}" gives no ticket of ${principal ?? 'its principal'}`,
  },
]

/** What a complaint of the library means, as an error with a remedy. */
export function kerberosFault(error: unknown, ticket: Ticket): NightjarError {
  const said = sentenceOf(error)
  const cannot = `Cannot log in to ${ticket.service} by Kerberos`
  for (const { says, why, passes } of meanings) {
    const match = says.exec(said)
    if (match === null) continue
    const code = passes?.(ticket) === true ? 'source_failed' : 'access_denied'
    return new NightjarError(code, `${cannot}: ${why(ticket, match)}`, { cause: error })
  }
  // The library's first sentence is the same for everything.
  const told = said.replace(/^Unspecified GSS failure\. .*?: /, '')
  return new NightjarError('access_denied', `${cannot}: "${told}"`, { cause: error })
}
