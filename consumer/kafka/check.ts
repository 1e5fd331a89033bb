/** Whether the files and secrets that a stream names can be used, as far as this machine can tell. */
import { sentenceOf } from '../../core/errors.ts'
import type { Environment } from '../../core/settings.ts'
import type { Stream } from '../config.ts'
import { readSecret, type Secret } from '../secret.ts'
import { loadKerberos, prepareKerberos } from './kerberos.ts'
import { tlsOptions } from './tls.ts'

/** Every fault, as a sentence; nothing is connected to. */
export async function checkStream(stream: Stream, env: Environment): Promise<string[]> {
  const { tls, sasl } = stream
  const checks: (() => unknown)[] = secretsOf(stream).map((one) => () => readSecret(one, env))
  if (tls !== undefined) checks.push(() => tlsOptions(tls, env))
  if (sasl?.mechanism === 'gssapi') {
    checks.push(() => loadKerberos())
    // The library is not told anything: an environment of its own takes what is said to it.
    checks.push(() => prepareKerberos(sasl, {}))
  }
  const faults: string[] = []
  for (const check of checks) {
    try {
      await check()
    } catch (error) {
      faults.push(`streams.${stream.name}: ${sentenceOf(error)}`)
    }
  }
  return faults
}

function secretsOf({ sasl, registry }: Stream): Secret[] {
  const found: Secret[] = []
  if (sasl !== undefined && 'password' in sasl) found.push(sasl.password)
  if (sasl !== undefined && 'token' in sasl) found.push(sasl.token)
  if (sasl !== undefined && 'clientSecret' in sasl) found.push(sasl.clientSecret)
  if (registry?.password !== undefined) found.push(registry.password)
  return found
}
