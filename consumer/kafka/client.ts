/** The client of a Kafka cluster, made from a stream's configuration. */
import kafkajs, { Kafka, logLevel, type LogEntry } from 'kafkajs'

import type { Log } from '../../core/log.ts'
import { registerCodecs } from './codecs.ts'

export interface KafkaStream {
  /** `host:port` of the brokers to ask first. */
  brokers: readonly string[]
  clientId?: string
}

/** Make a client. Nothing is connected yet. */
export async function kafkaClient(stream: KafkaStream, log: Log): Promise<Kafka> {
  registerCodecs(kafkajs.CompressionCodecs)
  return new Kafka({
    brokers: [...stream.brokers],
    clientId: stream.clientId ?? 'nightjar',
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
