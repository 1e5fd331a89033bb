/**
 * How we log in to a Kafka broker (SASL, RFC 4422). A mechanism is one function over an exchange of
 * tokens; this joins it to kafkajs and sorts what can go wrong into what passes and what does not.
 *
 * kafkajs has mechanisms of its own, but its SCRAM calls a connection that was cut a refusal, and ends
 * the consumer for it, and its OAUTHBEARER takes a refusal for success (RFC 7628 §3.2.3).
 */
import kafkajs, { type Mechanism } from 'kafkajs'

import { NightjarError, sentenceOf } from '../../core/errors.ts'
import type { Environment } from '../../core/settings.ts'
import type { Sasl } from '../config.ts'
import { readSecret } from '../secret.ts'
import { gssapiLogin, type GssapiWorld } from './gssapi.ts'
import { createTokens, oauthLogin } from './oauth.ts'
import { scramLogin } from './scram.ts'

// Its errors are exports that Node's ES modules do not see.
const { KafkaJSConnectionError, KafkaJSNonRetriableError } = kafkajs

/** Send the broker a token; resolves with the one that it answers, which may be empty. */
export type Exchange = (token: Uint8Array) => Promise<Buffer>

/**
 * Log in to the broker on `host`. Resolves when the broker has accepted us; rejects with
 * `access_denied` or `config_invalid` where trying again cannot help, and `source_failed` where it may.
 */
export type Login = (host: string, exchange: Exchange) => Promise<void>

export interface SaslWorld extends GssapiWorld {
  env: Environment
  now: () => Date
  /** After this a login that hangs is given up, as one that may succeed later. */
  loginMs?: number
}

/** No token of any mechanism is longer. */
const mostTokenBytes = 64 << 10

/** The mechanism that kafkajs is given for a stream's `sasl`. */
export function saslMechanism(sasl: Sasl, world: SaslWorld): Mechanism {
  const login = loginOf(sasl, world)
  const { loginMs = 30_000 } = world
  return {
    mechanism: sasl.mechanism,
    authenticationProvider: ({ host, port, saslAuthenticate }) => ({
      async authenticate() {
        const exchange: Exchange = async (token) => {
          const answer = await saslAuthenticate({
            request: { encode: () => frame(token) },
            // kafkajs chains `then` on it where the broker is older than Kafka 1.0.
            response: { decode: async (raw) => unframe(raw), parse: (token) => token },
          })
          return Buffer.isBuffer(answer) ? answer : Buffer.alloc(0)
        }
        try {
          await withDeadline(login(host, exchange), loginMs)
        } catch (error) {
          const fault = forKafkajs(error, `${host}:${port}`, sasl.mechanism)
          // A login that was begun cannot be begun again on its connection, and kafkajs would try: with
          // an empty token the broker ends both, and the next attempt has a connection of its own.
          if (!(error instanceof KafkaJSConnectionError)) {
            await withDeadline(exchange(new Uint8Array()), 1000).catch(() => {})
          }
          throw fault
        }
      },
    }),
  }
}

function loginOf(sasl: Sasl, world: SaslWorld): Login {
  switch (sasl.mechanism) {
    case 'plain':
      return async (_, exchange) => {
        const password = await readSecret(sasl.password, world.env)
        // RFC 4616: nobody to act for, who we are, the password.
        await exchange(Buffer.from(`\0${sasl.username}\0${password}`))
      }
    case 'scram-sha-256':
    case 'scram-sha-512':
      return scramLogin({
        hash: sasl.mechanism === 'scram-sha-256' ? 'sha256' : 'sha512',
        username: sasl.username,
        password: () => readSecret(sasl.password, world.env),
      })
    case 'oauthbearer':
      return oauthLogin(
        'token' in sasl
          ? () => readSecret(sasl.token, world.env)
          : createTokens({
              ...sasl,
              ...world,
              secret: () => readSecret(sasl.clientSecret, world.env),
            }),
      )
    case 'gssapi':
      return gssapiLogin(sasl, world)
  }
}

/** kafkajs wants a token with its length before it, as brokers older than Kafka 1.0 had it on the wire. */
function frame(token: Uint8Array): Buffer {
  const framed = Buffer.alloc(4 + token.length)
  framed.writeInt32BE(token.length)
  framed.set(token, 4)
  return framed
}

function unframe(raw: Buffer): Buffer {
  const length = raw.length < 4 ? -2 : raw.readInt32BE(0)
  if (length === -1) return Buffer.alloc(0)
  if (length < 0 || length > mostTokenBytes || length !== raw.length - 4) {
    throw new NightjarError(
      'access_denied',
      `Cannot log in: the broker answers with a token of ${length} bytes in ${raw.length}`,
    )
  }
  return raw.subarray(4)
}

async function withDeadline(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new NightjarError('source_failed', `Cannot log in: it takes more than ${ms} ms`))
    }, ms)
  })
  try {
    await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/**
 * kafkajs tries again whatever does not say that it must not. What may pass is made a connection error,
 * for after that it opens a new connection.
 */
function forKafkajs(error: unknown, broker: string, mechanism: string): Error {
  if (error instanceof KafkaJSConnectionError) return error
  const fault = error instanceof NightjarError ? error : faultOfBroker(error, broker, mechanism)
  if (fault === undefined) return error instanceof Error ? error : new Error(String(error))
  const told =
    fault.code === 'source_failed'
      ? new KafkaJSConnectionError(fault.message, { broker })
      : new KafkaJSNonRetriableError(fault.message)
  return Object.assign(told, { cause: fault })
}

function faultOfBroker(
  error: unknown,
  broker: string,
  mechanism: string,
): NightjarError | undefined {
  const type = error instanceof Error && 'type' in error ? error.type : undefined
  if (type === 'SASL_AUTHENTICATION_FAILED') {
    return new NightjarError(
      'access_denied',
      `Cannot log in to ${broker} by ${mechanism}: the broker refuses, "${sentenceOf(error)}"; ` +
        'see that user and secret are those that the stream gave you',
      { cause: error },
    )
  }
  // A fault of ours: kafkajs would end the consumer without a word on a TypeError.
  if (error instanceof TypeError || error instanceof RangeError) {
    return new NightjarError(
      'access_denied',
      `Cannot log in to ${broker} by ${mechanism}: ${sentenceOf(error)}`,
      { cause: error },
    )
  }
  return undefined
}
