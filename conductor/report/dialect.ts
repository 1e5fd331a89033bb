/** The few words in which the engines that hold a ledger differ. */
export interface Dialect {
  /** Seconds since 1970 of a timestamp, as a number. */
  seconds(column: string): string
  /** Milliseconds since 1970. */
  millis(column: string): string
}

export const duckdb: Dialect = {
  seconds: (column) => `epoch(${column})`,
  millis: (column) => `epoch_ms(${column})`,
}

export const bigquery: Dialect = {
  seconds: (column) => `UNIX_SECONDS(${column})`,
  millis: (column) => `UNIX_MILLIS(${column})`,
}
