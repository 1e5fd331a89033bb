/**
 * Where records come from. Kafka is one source, files on a disk are another; the intake knows only
 * this. A source begins where its last commit left it, so a crash repeats records and skips none.
 */

export interface SourceRecord {
  kind?: undefined
  topic: string
  partition: number
  offset: bigint
  /** Milliseconds since 1970, as Kafka gives it. */
  timestamp: number
  key?: string
  headers?: Readonly<Record<string, string>>
  /** Null is a tombstone, or a record that was refused. */
  value: Uint8Array | null
  /** Why the source did not even read the bytes. */
  refused?: string
}

/** Offsets that have no record for us: control records, and what compaction took. */
export interface SourceGap {
  kind: 'gap'
  /** Retention deleted what was there before it was read. */
  lost?: boolean
  topic: string
  partition: number
  /** The first of `span` offsets. */
  offset: bigint
  span: bigint
}

/**
 * A partition begins anew at `offset`, as after a rebalance: what was under way of it may not be
 * committed any more.
 */
export interface SourceStart {
  kind: 'start'
  topic: string
  partition: number
  offset: bigint
}

export type SourceItem = SourceRecord | SourceGap | SourceStart

/** A partition as the source knows it now: records lie in [low, high), `next` is committed. */
export interface PartitionRange {
  topic: string
  partition: number
  low: bigint
  high: bigint
  next: bigint
}

/** Everything below `next` is durable downstream. */
export interface Position {
  topic: string
  partition: number
  next: bigint
}

/**
 * `records` yields in ascending offsets within each partition, until it says that the partition
 * starts anew, and returns when the source has ended; a live stream ends only by the signal.
 * `commit` resolves when the positions are durable, or noted to be made durable soon, and never moves
 * one back; `close` is the last chance. `ranges` tells watermarks, for the audit, and where `records`
 * will begin.
 */
export interface Source {
  records(signal: AbortSignal): AsyncIterable<SourceItem>
  commit(positions: readonly Position[]): Promise<void>
  ranges(): Promise<PartitionRange[]>
  close(): Promise<void>
}

/** A source that has nothing but records. */
export interface RecordSource extends Source {
  records(signal: AbortSignal): AsyncIterable<SourceRecord>
}
