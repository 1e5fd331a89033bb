/**
 * Where records come from. Kafka is one source, files on a disk are another; the intake knows only
 * this. A source begins where its last commit left it, so a crash repeats records and skips none.
 */

export interface SourceRecord {
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
 * `records` yields in ascending offsets within each partition and returns when the source has ended;
 * a live stream ends only by the signal. `commit` resolves when the positions are durable and never
 * moves one back. `ranges` tells watermarks, for the audit, and where `records` will begin.
 */
export interface Source {
  records(signal: AbortSignal): AsyncIterable<SourceRecord>
  commit(positions: readonly Position[]): Promise<void>
  ranges(): Promise<PartitionRange[]>
  close(): Promise<void>
}
