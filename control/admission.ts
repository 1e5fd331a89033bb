/**
 * Who may speak to a program that can be reached from beyond its user: whoever knows the one secret, or
 * has a key of his own. Keys are the same records as hpfeeds' (`core/credential.ts`), and the control of a
 * program is a channel: to publish there is to command, to subscribe there is to ask.
 */
import { createHash, timingSafeEqual } from 'node:crypto'

import { findCredential, type CredentialSource } from '../core/credential.ts'
import { sentenceOf } from '../core/errors.ts'
import type { ControlMessage } from './message.ts'

/** Why a message is not let in; undefined if it is. */
export type Admit = (message: ControlMessage) => Promise<string | undefined> | string | undefined

export interface AdmissionOptions {
  /** What any message may bring as its `secret_code`. */
  secret?: string
  /** Keys, by the `ident` of a message; its `secret_code` is then theirs. */
  sources?: readonly CredentialSource[]
  /** The program's name: its channels are `control`, which is that of all programs, and `control.NAME`. */
  service?: string
}

/** Messages that only ask. */
const questions = new Set(['HELP', 'ALIVE', 'CONNECTIONS', 'TRACE'])

/** Ask of each message a secret, or an ident with its secret and the right to say this. */
export function createAdmission({ secret, sources = [], service }: AdmissionOptions): Admit {
  const channels = ['control', ...(service === undefined ? [] : [`control.${service}`])]
  const has = (names: readonly string[]): boolean => channels.some((one) => names.includes(one))

  async function faultOfIdent(message: ControlMessage, ident: string): Promise<string | undefined> {
    const { command, parameters } = message
    try {
      const found = await findCredential(sources, ident)
      const given = parameters.get('secret_code') ?? ''
      // An ident that nobody knows takes as long as one whose secret is another.
      const isRight = isSame(given, found?.secret ?? '')
      if (found === undefined || !isRight) {
        return `${command} came from "${ident}" with another secret_code`
      }
      if (has(found.publish) || (questions.has(command) && has(found.subscribe))) return undefined
      return `${command} came from "${ident}", whose key does not name "${channels.at(-1)}"`
    } catch (error) {
      return `${command} came from "${ident}", of whom nothing can be told: ${sentenceOf(error)}`
    }
  }

  return (message) => {
    const ident = message.parameters.get('ident')
    if (ident !== undefined && sources.length > 0) return faultOfIdent(message, ident)
    if (secret !== undefined) return secretFault(message, secret)
    return `${message.command} came without an ident`
  }
}

function secretFault({ command, parameters }: ControlMessage, secret: string): string | undefined {
  const given = parameters.get('secret_code') ?? ''
  if (isSame(given, secret)) return undefined
  return `${command} came ${given === '' ? 'without a' : 'with another'} secret_code`
}

/** In a time that tells nothing, not even a length. No secret is no one's. */
function isSame(given: string, wanted: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(wanted)) && wanted !== ''
}
