/** A record as kafkajs gives it, as a record of ours: bytes untouched, all else as text. */
import type { IHeaders, KafkaMessage } from 'kafkajs'

import { maxAttributeKeyBytes, maxAttributeValueBytes } from '../../core/limits.ts'
import type { SourceRecord } from '../source.ts'
import { refusedHeader } from './record-batch.ts'

/** Pub/Sub takes 100 attributes; the rest are ours. */
const mostHeaders = 80
/** Says how many headers were left out, where they are too large, too many, or no text. */
export const droppedHeader = 'headers_dropped'
/** A key that is no text, as base64. */
export const binaryKeyHeader = 'key_base64'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Turn a message of kafkajs into a record. Nothing about it can fail. */
export function toRecord(topic: string, partition: number, message: KafkaMessage): SourceRecord {
  const record: SourceRecord = {
    topic,
    partition,
    offset: BigInt(message.offset),
    timestamp: Number(message.timestamp),
    value: message.value,
  }
  const refused = message.headers?.[refusedHeader]
  if (message.value === null && refused !== undefined) {
    return { ...record, refused: String(refused) }
  }
  const headers = headersOf(message.headers)
  if (message.key !== null) {
    const key = textOf(message.key)
    if (key !== undefined) record.key = key
    else {
      const packed = message.key.toString('base64')
      if (packed.length <= maxAttributeValueBytes) headers[binaryKeyHeader] = packed
    }
  }
  if (Object.keys(headers).length > 0) record.headers = headers
  return record
}

/** The headers that fit into attributes. A header too many must not keep an alert from its readers. */
function headersOf(given: IHeaders = {}): Record<string, string> {
  const headers: Record<string, string> = {}
  let kept = 0
  let dropped = 0
  for (const [name, value] of Object.entries(given)) {
    const last = Array.isArray(value) ? value.at(-1) : value
    const text = typeof last === 'string' ? last : last && textOf(last)
    const fits =
      kept < mostHeaders && name !== '' && Buffer.byteLength(name) <= maxAttributeKeyBytes
    if (text === undefined || !fits || name.startsWith('goog')) dropped++
    else {
      headers[name] = text
      kept++
    }
  }
  if (dropped > 0) headers[droppedHeader] = String(dropped)
  return headers
}

/** Bytes as text, where they are text that fits into an attribute. */
function textOf(bytes: Buffer): string | undefined {
  if (bytes.length > maxAttributeValueBytes) return undefined
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}
