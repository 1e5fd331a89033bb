/** The client of a Kafka cluster, made from a stream's configuration. */
import kafkajs, { Kafka, logLevel, type LogEntry } from 'kafkajs'

import { NightjarError, sentenceOf } from '../../core/errors.ts'
import type { Log } from '../../core/log.ts'
import type { Environment } from '../../core/settings.ts'
import type { Stream } from '../config.ts'
import { registerCodecs } from './codecs.ts'
import { saslMechanism } from './sasl.ts'
import { tlsOptions } from './tls.ts'

/** What of a stream a connection needs. */
export type KafkaStream = Pick<Stream, 'brokers'> &
  Partial<Pick<Stream, 'clientId' | 'tls' | 'sasl'>>

export interface KafkaWorld {
  env?: Environment
  /** Attempts of a request after the first, before the caller hears of it. */
  retries?: number
}

/**
 * Make a client. Nothing is connected yet, but the files of TLS are read: throws `config_invalid` where
 * one cannot be used. What goes wrong with a login later is told by `refusalOf`.
 */
export async function kafkaClient(
  stream: KafkaStream,
  log: Log,
  { env = process.env, retries = 5 }: KafkaWorld = {},
): Promise<Kafka> {
  const ssl = stream.tls === undefined ? undefined : await tlsOptions(stream.tls, env)
  registerCodecs(kafkajs.CompressionCodecs)
  return new Kafka({
    brokers: [...stream.brokers],
    clientId: stream.clientId ?? 'nightjar',
    ...(ssl !== undefined && { ssl }),
    ...(stream.sasl !== undefined && {
      sasl: saslMechanism(stream.sasl, { env, now: () => new Date() }),
    }),
    // A TLS handshake and a login by Kerberos take longer than the second that is usual.
    connectionTimeout: 10_000,
    authenticationTimeout: 30_000,
    // A consumer that is refused would be restarted, and refused, for ever.
    retry: { retries, restartOnFailure: async (error) => refusalOf(error) === undefined },
    logLevel: logLevel.WARN,
    logCreator: () => (entry) => forward(entry, log),
  })
}

/** TLS faults of Node that no second attempt mends, and what to do. */
const tlsFaults: Readonly<Record<string, string>> = {
  SELF_SIGNED_CERT_IN_CHAIN: 'nobody we trust has signed its certificate; set tls.ca',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'it has signed its certificate itself; set tls.ca to it',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'nobody we trust has signed its certificate; set tls.ca',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'nobody we trust has signed its certificate; set tls.ca',
  CERT_HAS_EXPIRED: 'its certificate has expired; tell the stream, and see this clock',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet; see this clock',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another host; set tls.server_name',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS on this port; leave tls out',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'it does not speak TLS on this port; leave tls out',
}

/**
 * The reason why trying again cannot help, deep in what kafkajs threw: a login refused, or a broker whose
 * certificate does not convince. Undefined where it may help.
 */
export function refusalOf(error: unknown): NightjarError | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < 8; depth++) {
    if (at instanceof NightjarError) return at.code === 'source_failed' ? undefined : at
    const code = 'code' in at ? String(at.code) : ''
    const broker = 'broker' in at ? String(at.broker) : 'the broker'
    const why = tlsFaults[code]
    if (why !== undefined) return denied(`Cannot trust ${broker}: ${why}`, at)
    // An alert: the broker does not take our certificate, or asks for one.
    if (/^ERR_SSL_.*ALERT/.test(code)) {
      const said = sentenceOf(at).split(':').at(-2) ?? code
      return denied(
        `Cannot connect to ${broker}: it refuses our TLS certificate, "${said}"; see tls.cert and tls.key`,
        at,
      )
    }
    if ('type' in at && at.type === 'UNSUPPORTED_SASL_MECHANISM') {
      return denied('Cannot log in: the broker does not know this sasl.mechanism', at)
    }
    at = at.cause
  }
  return undefined
}

const denied = (sentence: string, cause: unknown): NightjarError =>
  new NightjarError('access_denied', sentence, { cause })

/** What kafkajs says goes into our log, as one event. */
function forward({ namespace, level, log: entry }: LogEntry, log: Log): void {
  log('kafka_said', {
    level: level === logLevel.ERROR ? 'error' : 'warning',
    namespace,
    message:
      typeof entry['error'] === 'string' ? `${entry.message}: ${entry['error']}` : entry.message,
  })
}
