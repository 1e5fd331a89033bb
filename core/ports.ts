/**
 * The five contracts between our programs and the world. Each has two answers, `cloud/` (Google) and
 * `local/` (this machine), held to one suite in `test/contract/`. A port takes and returns our words
 * and never a type of somebody's SDK.
 */
import type { Row } from './row.ts'

export interface Message {
  data: Uint8Array
  attributes: Readonly<Record<string, string>>
}

/** A message as a subscription hands it out. */
export interface Delivery extends Message {
  /** The topic's own id of the message; the same at every redelivery. */
  id: string
  publishedAt: Date
  /** 1 at the first delivery. It survives a crash of the receiver. */
  attempt: number
}

/**
 * A stream that messages are published to.
 *
 * `publish` resolves with the message's id only when the message is durable, so a crash after it
 * loses nothing. It rejects, and then the message is not there, with `message_too_large` above
 * 10,000,000 bytes (data and attributes), `attribute_invalid` for more than 100 attributes, a key
 * above 256 bytes or a value above 1,024, and `publish_failed` for all that may pass.
 * Concurrent publishes share a commit. One bad message never fails its neighbours.
 */
export interface Topic {
  publish(message: Message): Promise<string>
  close(): Promise<void>
}

export interface ReceiveOptions {
  /** Ends the receiving: no new delivery starts, those under way are finished and acked. */
  signal: AbortSignal
  /** Most bytes handed out and not yet acked; a single larger message still comes alone. */
  maxBytes?: number
  maxMessages?: number
}

/**
 * One reader's view of a topic: it sees every message published since its creation that matches its
 * filter, at least once, in no promised order.
 *
 * `receive` calls the handler for each delivery. A handler that resolves acks the message; one that
 * rejects, or takes longer than the ack deadline, has it delivered again. It resolves when the signal
 * has fired and the last ack is durable, and rejects with `home_busy` where the answer allows only
 * one receiver at a time.
 * `backlog` counts what is not acked yet, or not yet passed by the filter: a hint in the cloud, where it
 * comes minutes late; on one machine it is 0 when and only when nothing is left.
 */
export interface Subscription {
  receive(handle: (delivery: Delivery) => Promise<void>, options: ReceiveOptions): Promise<void>
  backlog(): Promise<{ messages: number; bytes: number }>
  close(): Promise<void>
}

export interface StoredObject {
  name: string
  size: number
  /** CRC-32C of the bytes, unsigned. */
  crc32c: number
  /** Changes at every replacement of the object. */
  generation: string
  metadata: Readonly<Record<string, string>>
}

/**
 * A bucket of named objects.
 *
 * `create` makes an object where there is none and resolves when it is durable. Where the name is
 * taken it changes nothing and answers with the object that stands there (`created: false`); it
 * never overwrites. The bucket announces each new object on its notice topic by itself, so no crash
 * comes between the two.
 * `replace` writes only where the object's generation is still the given one (`null`: no object yet),
 * and answers `null` where it is not (compare-and-set).
 * `read` answers `null` where there is no such object. `list` walks names in ascending order.
 */
export interface Store {
  create(
    name: string,
    data: Uint8Array,
    metadata?: Readonly<Record<string, string>>,
  ): Promise<{ created: boolean; object: StoredObject }>
  replace(
    name: string,
    data: Uint8Array,
    generation: string | null,
    metadata?: Readonly<Record<string, string>>,
  ): Promise<StoredObject | null>
  read(name: string): Promise<{ data: Uint8Array; object: StoredObject } | null>
  list(prefix: string): AsyncIterable<StoredObject>
}

/**
 * A table that grows by rows and by nullable columns, never otherwise.
 *
 * `append` resolves when the row is durable: `stored`, or `duplicate` where readers already see a row
 * of the same key. It rejects with `row_rejected` where this row can never be stored and with
 * `table_failed` where it may be later. Concurrent appends share a commit, so callers get batches by
 * appending concurrently. A bad row never fails its neighbours.
 * A column whose type contradicts the one that stands under its name is stored beside it, under its
 * name and type (`mulens_record`).
 * `query` runs one reading statement in the engine's SQL against the data set the table stands in.
 */
export interface Table {
  append(row: Row): Promise<'stored' | 'duplicate'>
  query(sql: string): AsyncIterable<Record<string, unknown>>
  close(): Promise<void>
}

/** A machine that a program runs on: a virtual machine in the cloud, a process here. */
export interface Machine {
  start(metadata: Readonly<Record<string, string>>): Promise<void>
  stop(): Promise<void>
  state(): Promise<'running' | 'starting' | 'stopping' | 'stopped'>
}
