/** The client of a Kafka cluster, made from a stream's configuration. */
import kafkajs, { Kafka, logLevel, type LogEntry } from 'kafkajs'

import type { Log } from '../../core/log.ts'
import type { Environment } from '../../core/settings.ts'
import type { Stream } from '../config.ts'
import { registerCodecs } from './codecs.ts'
import { refusalOf } from './refusal.ts'
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

/** What kafkajs says goes into our log, as one event. */
function forward({ namespace, level, log: entry }: LogEntry, log: Log): void {
  log('kafka_said', {
    level: level === logLevel.ERROR ? 'error' : 'warning',
    namespace,
    message:
      typeof entry['error'] === 'string' ? `${entry.message}: ${entry['error']}` : entry.message,
  })
}
