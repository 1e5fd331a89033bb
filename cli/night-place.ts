/**
 * Where a night is conducted, as far as a home and the cloud differ for a conductor: who asks the ledger,
 * which machine consumes, and what lets the stages receive.
 */
import type { Dialect } from '../conductor/report/dialect.ts'
import type { NightRecord } from '../conductor/night-record.ts'
import type { Machine, Store } from '../core/ports.ts'
import type { Pipeline } from './wiring.ts'

export interface Queries {
  query(sql: string): AsyncIterable<Record<string, unknown>>
  close(): Promise<void>
}

export interface NightQueries extends Queries {
  /** Whether the warehouse has it: a table is made by its first row. */
  hasTable(name: string): Promise<boolean>
}

/** The machine that the consumer runs on. */
export interface ConsumerMachine extends Machine {
  /** What it was last started with, while it runs; undefined where nobody said anything. */
  metadata(): Promise<Readonly<Record<string, string>> | undefined>
}

/** Done; or, as a sentence, why there was nothing to do. */
export type Deed = Promise<string | undefined>

export interface NightPlace {
  /** For sentences: `home "…"`, `project my-project`. */
  name: string
  ground: Pipeline
  store: Store
  dialect: Dialect
  consumer: ConsumerMachine
  /** The stages run in the process of the consumer: who stops it stops them. */
  stagesInConsumer: boolean
  /** The group that the consumer reads a Kafka topic in. */
  groupOf(kafkaTopic: string): string
  /** To ask the ledger. Rejects where that cannot be. */
  openLedger(): Promise<Queries>
  /** To make a report: where there is no warehouse yet, every answer is empty. */
  openReport(): Promise<NightQueries>
  resetCounters(since: Date): Deed
  attachStages(): Deed
  detachStages(): Deed
  /** Switch off the machine that this conductor stands on. */
  powerOff(): Deed
  /** Messages that each stage has to do yet, where that is known. */
  backlog(): Promise<Record<string, number>>
  close(): Promise<void>
}

/** A warehouse that nobody has made yet. */
export const noQueries: NightQueries = {
  async *query() {},
  hasTable: async () => false,
  close: async () => {},
}

/** When a night began to be waited for, whatever was done since. */
export function beganAt({ history, since }: Pick<NightRecord, 'history' | 'since'>): Date {
  return new Date(history.find(({ to }) => to === 'waiting')?.at ?? since)
}
