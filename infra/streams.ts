/**
 * What the machines must be given for the streams that they read: which secrets, and which ports they may
 * go out to. The file itself goes to the machines as it is, so it must not hold a secret, nor name a file
 * that a machine does not have.
 */
import { readFileSync } from 'node:fs'

import { parse } from 'smol-toml'

import { NightjarError, sentenceOf } from '../core/errors.ts'
import { secretWords, type SecretWord, type Survey } from '../core/names.ts'

export interface SurveyStreams {
  /** Of each program: both ask Kafka, and the conductor tells of alarms, too. */
  secrets: Readonly<Record<'consumer' | 'conductor', readonly SecretWord[]>>
  ports: readonly number[]
}

export interface StreamRules {
  /** Surveys whose nights a function conducts, which has no Kerberos. */
  byFunction?: readonly Survey[]
}

export type Streams = ReadonlyMap<Survey, SurveyStreams>

/** Where boot.sh puts secrets. */
export const secretsFolder = '/run/nightjar/secrets/'

/** Keys whose value is a secret, which must be `{ file = … }`. */
const secretKeys = /^(password|passphrase|token|client_secret|webhook)$/

/** Read the file of streams for these surveys. Throws one `config_invalid` that names every fault. */
export function readStreams(
  path: string,
  surveys: readonly Survey[],
  { byFunction = [] }: StreamRules = {},
): Streams {
  let settings: unknown
  try {
    settings = parse(readFileSync(path, 'utf8'))
  } catch (error) {
    throw new NightjarError('config_invalid', `Cannot read "${path}": ${sentenceOf(error)}`, {
      cause: error,
    })
  }
  const faults: string[] = []
  const named = Object.entries(tableOf(tableOf(settings)['streams']))
  const found = new Map<Survey, SurveyStreams>()
  for (const survey of surveys) {
    const those = named.filter(([, stream]) => {
      const { survey: whose, to } = tableOf(stream)
      return whose === survey && to === undefined
    })
    const chosen =
      those.find(([name]) => name === survey) ?? (those.length === 1 ? those[0] : undefined)
    if (chosen === undefined) {
      const which =
        those.length === 0 ? 'there is none' : `there are ${those.length}, none is "${survey}"`
      faults.push(`streams.${survey}: a stream of ${survey} must be there; ${which}`)
      continue
    }
    const [name, stream] = chosen
    const { mechanism } = tableOf(tableOf(stream)['sasl'])
    if (byFunction.includes(survey) && String(mechanism).toLowerCase() === 'gssapi') {
      faults.push(
        `streams.${name}.sasl.mechanism: a function cannot log in by Kerberos, and that of ${survey} is to conduct; say conductor.${survey} = "machine"`,
      )
    }
    const consumer = secretsIn(stream, `streams.${name}`)
    // Its settings are the conductor's of every survey.
    const own = secretsIn(tableOf(settings)['conductor'], 'conductor')
    found.set(survey, {
      secrets: { consumer, conductor: [...new Set([...consumer, ...own])] },
      ports: [...portsOf(tableOf(stream)['brokers']), ...portsOfMail(tableOf(settings))],
    })
  }
  if (faults.length === 0) return found
  throw new NightjarError(
    'config_invalid',
    `Cannot give "${path}" to the machines: ${faults.length === 1 ? '1 fault' : `${faults.length} faults`}\n  ${faults.join('\n  ')}`,
  )

  function secretsIn(value: unknown, at: string): SecretWord[] {
    const secrets = new Set<SecretWord>()
    look(value, at, secrets)
    return secretWords.filter((word) => secrets.has(word))
  }

  function look(value: unknown, at: string, secrets: Set<SecretWord>): void {
    for (const [key, inner] of Object.entries(tableOf(value))) {
      const here = `${at}.${key}`
      if (secretKeys.test(key) && typeof tableOf(inner)['file'] !== 'string') {
        faults.push(`${here}: must be a file below ${secretsFolder}: { file = "…" }`)
      } else if (typeof inner === 'string' && inner.startsWith('/')) {
        const word = secretWords.find((one) => inner === `${secretsFolder}${one}`)
        if (word !== undefined) secrets.add(word)
        else
          faults.push(
            `${here}: "${inner}" is not on a machine; there are ${secretsFolder} and in it ${secretWords.join(', ')}`,
          )
      } else {
        look(inner, here, secrets)
      }
    }
  }
}

function portsOf(brokers: unknown): number[] {
  const list = Array.isArray(brokers) ? brokers : []
  const ports = list.map((broker) => Number(/:(\d+)$/.exec(String(broker))?.[1]))
  return [...new Set(ports.filter((port) => port > 0))]
}

/** Where the conductor gives its mail; the usual ports are those of its settings. */
function portsOfMail(settings: Record<string, unknown>): number[] {
  const { mail } = tableOf(settings['conductor'])
  if (mail === undefined) return []
  const { port, tls } = tableOf(mail)
  return [typeof port === 'number' ? port : tls === 'tls' ? 465 : 587]
}

function tableOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}
}
