/**
 * Google's answer to the Table port: a data set of BigQuery.
 *
 * What it can know of a repetition: a key that this process stored lately, or stores just now, is a
 * `duplicate` and not sent again. Any other is `stored`, though another process may have stored it
 * before: to ask for each row would cost a query, and its answer could be old when it came. Readers see
 * each key once all the same, by the view.
 */
import { NightjarError } from '../core/errors.ts'
import type { Table } from '../core/ports.ts'
import { keyOf, type Row } from '../core/row.ts'
import { createAppender } from './bigquery/appender.ts'
import { createCatalog, type ReadyTable } from './bigquery/catalog.ts'
import { createEncoder, type Encoder } from './bigquery/encoder.ts'
import { readRows } from './bigquery/reader.ts'
import { storedAt } from './bigquery/view.ts'
import type { Datasets } from './datasets.ts'

export interface TableOptions {
  datasets: Datasets
  /** The data set, such as `ztf_alerts`, which must exist: infra/ makes it, the tables are made here. */
  dataset: string
  /** How long a row waits for others while nothing is under way. */
  lingerMs?: number
  /** When a request counts as unanswered. */
  attemptMs?: number
  /** How long a row is tried before `table_failed`. */
  giveUpMs?: number
  /** Keys that are remembered. */
  rememberedKeys?: number
  now?: () => number
}

/** A request has 10 MB at most, and a row must fit into one. */
const maxRowBytes = 7_900_000

/** Open a data set. Nothing is sent yet; what is missing is told by the first row. */
export async function openTable(options: TableOptions): Promise<Table> {
  const { datasets, dataset, lingerMs = 25, attemptMs = 30_000, giveUpMs = 60_000 } = options
  const { rememberedKeys = 50_000, now = Date.now } = options
  const catalog = createCatalog(datasets, dataset, giveUpMs)
  const appenders = new Map<string, ReturnType<typeof createAppender>>()
  const encoders = new WeakMap<ReadyTable, Encoder>()
  /** Keys stored by this process, the oldest first. */
  const stored = new Set<string>()
  const underWay = new Map<string, Promise<void>>()
  const pending = new Set<Promise<unknown>>()
  let closed: Promise<void> | undefined

  function appenderOf(table: string): ReturnType<typeof createAppender> {
    let appender = appenders.get(table)
    if (appender === undefined) {
      const { forget: onChanged } = catalog
      const limits = { lingerMs, attemptMs, giveUpMs, onChanged }
      appender = createAppender({ datasets, dataset, table, ...limits })
      appenders.set(table, appender)
    }
    return appender
  }

  async function store({ shape, values }: Row): Promise<void> {
    const table = await catalog.ready(shape)
    let encoder = encoders.get(table)
    if (encoder === undefined) encoders.set(table, (encoder = createEncoder(table.columns)))
    const bytes = encoder.encode({ ...values, [storedAt]: BigInt(now()) * 1000n })
    if (bytes.length > maxRowBytes) {
      throw new NightjarError(
        'row_rejected',
        `Cannot store the row in "${shape.table}": it has ${bytes.length} bytes, at most ${maxRowBytes} are taken`,
      )
    }
    const { descriptor } = encoder
    await new Promise<void>((resolve, reject) => {
      appenderOf(table.name).add({ descriptor, bytes, resolve, reject })
    })
  }

  async function append(row: Row): Promise<'stored' | 'duplicate'> {
    const own = keyOf(row)
    if (own === undefined) {
      await store(row)
      return 'stored'
    }
    const key = `${row.shape.view ?? row.shape.table} ${own}`
    for (;;) {
      if (stored.has(key)) return 'duplicate'
      const before = underWay.get(key)
      if (before === undefined) break
      // Where the first of its key fails the next one has its turn.
      await before.catch(() => {})
    }
    const storing = store(row)
    underWay.set(key, storing)
    try {
      await storing
      remember(key)
      return 'stored'
    } finally {
      underWay.delete(key)
    }
  }

  function remember(key: string): void {
    stored.add(key)
    if (stored.size <= rememberedKeys) return
    const [oldest] = stored
    if (oldest !== undefined) stored.delete(oldest)
  }

  return {
    async append(row) {
      if (closed !== undefined) {
        throw new NightjarError(
          'table_failed',
          `Cannot store a row: data set "${dataset}" is closed`,
        )
      }
      const appending = append(row)
      const settled: Promise<unknown> = appending
        .catch(() => {})
        .finally(() => pending.delete(settled))
      pending.add(settled)
      return appending
    },
    query: (sql) => readRows({ datasets, dataset, sql, giveUpMs }),
    close() {
      return (closed ??= (async () => {
        while (pending.size > 0) await Promise.all(pending)
        for (const appender of appenders.values()) appender.close()
      })())
    },
  }
}
