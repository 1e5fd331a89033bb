/**
 * Credentials from a JSON file, `{"ident": {"owner", "secret", "pubchans": [], "subchans": []}}`, read
 * again whenever it changes. A file that is wrong changes nothing: the last good one counts.
 */
import { readFileSync } from 'node:fs'

import type { Credential, CredentialSource } from '../../core/credential.ts'
import { NightjarError, sentenceOf } from '../../core/errors.ts'
import type { Log } from '../../core/log.ts'
import { onChange } from '../reload.ts'

/** Read a file of credentials and follow it. Throws `config_invalid` where it is wrong to begin with. */
export function openCredentialsFile(file: string, log: Log): CredentialSource {
  const read = (): Map<string, Credential> => parseCredentials(readFileSync(file, 'utf8'))
  let known: Map<string, Credential>
  try {
    known = read()
  } catch (cause) {
    throw new NightjarError(
      'config_invalid',
      `Cannot read credentials from "${file}": ${sentenceOf(cause)}`,
      { cause },
    )
  }
  const close = onChange([file], () => {
    try {
      known = read()
      log('credentials_reloaded', { file, idents: known.size })
    } catch (error) {
      log('reload_retried', { file, reason: sentenceOf(error) })
    }
  })
  return { find: async (ident) => known.get(ident), close }
}

/** Read the text of such a file. Throws `input_invalid` that names the ident and what is wrong. */
export function parseCredentials(text: string): Map<string, Credential> {
  const found = new Map<string, Credential>()
  for (const [ident, value] of Object.entries(objectOf(JSON.parse(text), 'the file'))) {
    const { owner, secret, pubchans, subchans } = objectOf(value, `ident "${ident}"`)
    const refuse = (what: string): never => {
      throw new NightjarError('input_invalid', `Cannot take ident "${ident}": ${what}`)
    }
    if (typeof owner !== 'string') return refuse('its "owner" is no text')
    if (typeof secret !== 'string') return refuse('its "secret" is no text')
    if (!isNames(pubchans)) return refuse('its "pubchans" is no list of names')
    if (!isNames(subchans)) return refuse('its "subchans" is no list of names')
    found.set(ident, { ident, owner, secret, publish: pubchans, subscribe: subchans })
  }
  return found
}

const isNames = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((name) => typeof name === 'string')

function objectOf(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return { ...value }
  }
  throw new NightjarError('input_invalid', `Cannot take ${what}: it is no JSON object`)
}
