/**
 * Encoded rows to one table by the Storage Write API's default stream: no stream to create, many writers,
 * visible at once, at least once. A committed stream with offsets would take each row once, but only from
 * the writer that holds the stream: what Pub/Sub delivers again comes through another one, and what Kafka
 * has twice through any. So the view sees to it, by identity, and nothing here has to.
 */
import type { managedwriter } from '@google-cloud/bigquery-storage'

import { NightjarError } from '../../core/errors.ts'
import { createBatches, type Batches } from '../batches.ts'
import type { Datasets } from '../datasets.ts'
import { fault, kindOfFault, saidBy, type Attempted } from '../faults.ts'
import { retryPassing } from '../retry.ts'
import type { Descriptor } from './encoder.ts'

export interface AppenderOptions {
  datasets: Datasets
  dataset: string
  table: string
  lingerMs: number
  attemptMs: number
  giveUpMs: number
  /** The table is not what it was: gone, or of another schema. */
  onChanged: () => void
}

export interface EncodedRow {
  descriptor: Descriptor
  bytes: Uint8Array
  resolve(): void
  reject(error: NightjarError): void
}

/** A request has 10 MB at most (docs: "Quotas", Storage Write API); a fifth is kept as margin. */
const maxRequestBytes = 8_000_000
const fullBytes = 1_000_000
const maxRequests = 4

type Connection = Awaited<ReturnType<managedwriter.WriterClient['createStreamConnection']>>
type Answer = Awaited<ReturnType<ReturnType<Connection['write']>['getResult']>>

/** Make the appender of a table. It connects at its first row. */
export function createAppender(options: AppenderOptions): Batches<EncodedRow> & { close(): void } {
  const { datasets, dataset, table, attemptMs, giveUpMs } = options
  const { project, writer } = datasets
  const destinationTable = `projects/${project}/datasets/${dataset}/tables/${table}`
  const attempted: Attempted = {
    deed: `store rows in table "${dataset}.${table}"`,
    thing: `table "${dataset}.${table}"`,
    project,
    role: 'roles/bigquery.dataEditor',
  }
  let connecting: Promise<Connection> | undefined

  function connect(): Promise<Connection> {
    connecting ??= datasets
      .ready()
      .then(() =>
        writer.createStreamConnection({ streamId: `${destinationTable}/streams/_default` }),
      )
      .then((connection) => {
        // Its writes are rejected as well; without a listener the process would end of it.
        connection.onConnectionError(() => disconnect(connection))
        return connection
      })
    connecting.catch(() => (connecting = undefined))
    return connecting
  }

  function disconnect(connection: Connection): void {
    connecting = undefined
    connection.close()
  }

  /** Settle every row of a batch; never rejects. */
  async function store(rows: readonly EncodedRow[]): Promise<void> {
    // A request has one descriptor; rows of two come together only while a table grows.
    for (const same of Map.groupBy(rows, ({ descriptor }) => descriptor).values()) {
      await storeAlike(same)
    }
  }

  async function storeAlike(rows: readonly EncodedRow[]): Promise<void> {
    try {
      const until = performance.now() + giveUpMs
      const bad = await retryPassing((leftMs) => append(rows, Math.min(attemptMs, leftMs)), until)
      if (bad.size === 0) for (const { resolve } of rows) resolve()
      else {
        // With a bad row in it BigQuery stores none of a request.
        for (const [at, said] of bad) rows[at]?.reject(rejected(said))
        await storeAlike(rows.filter((_, at) => !bad.has(at)))
      }
    } catch (error) {
      if (mayBeOneRow(error)) {
        if (rows.length === 1) return rows[0]?.reject(rejected(saidBy(error), error))
        const half = rows.length >> 1
        await storeAlike(rows.slice(0, half))
        return storeAlike(rows.slice(half))
      }
      if (kindOfFault(error) !== 'passing') options.onChanged()
      const failure = isOfTheSchema(error)
        ? otherColumns(error)
        : fault('table_failed', error, attempted)
      for (const { reject } of rows) reject(failure)
    }
  }

  function otherColumns(error: unknown): NightjarError {
    const why =
      'it lacks columns of these rows; they are added at the next attempt, and where this lasts somebody ' +
      "else changes the table: compare its schema with the packets'"
    const sentence = `Cannot ${attempted.deed}: ${why} (${saidBy(error)})`
    return new NightjarError('table_failed', sentence, { cause: error })
  }

  /** Send one request; answers the rows that BigQuery refuses, none of which is stored then. */
  async function append(rows: readonly EncodedRow[], ms: number): Promise<Map<number, string>> {
    if (rows.length === 0) return new Map()
    const connection = await connect()
    const pending = connection.write({
      writeStream: connection.getStreamId(),
      protoRows: {
        writerSchema: { protoDescriptor: rows[0]?.descriptor ?? null },
        rows: { serializedRows: rows.map(({ bytes }) => bytes) },
      },
    })
    const { error, rowErrors } = await answered(pending.getResult(), ms, () =>
      disconnect(connection),
    )
    if (rowErrors && rowErrors.length > 0) {
      return new Map(rowErrors.map(({ index, message }) => [Number(index), String(message)]))
    }
    if (error) throw Object.assign(new Error(String(error.message)), { code: error.code })
    return new Map()
  }

  function rejected(said: string, cause?: unknown): NightjarError {
    const text = said.replace(/[.!]$/, '')
    return new NightjarError(
      'row_rejected',
      `Cannot store the row in "${dataset}.${table}": BigQuery refuses it: ${text}`,
      { cause },
    )
  }

  const batches = createBatches<EncodedRow>({
    send: store,
    // Two bytes of tag and up to four of length go with each row.
    bytesOf: ({ bytes }) => bytes.length + 6,
    maxItems: 10_000,
    maxBytes: maxRequestBytes,
    fullBytes,
    lingerMs: options.lingerMs,
    maxRequests,
  })
  return {
    ...batches,
    close() {
      void connecting?.then((connection) => connection.close()).catch(() => {})
    },
  }
}

/**
 * True where a smaller batch may do. That the schema lacks a field of the rows is said for some minutes
 * after it was added (docs: "Schema updates"), and is no fault of theirs.
 */
function mayBeOneRow(error: unknown): boolean {
  const kind = kindOfFault(error)
  return (kind === 'invalid' || kind === 'precondition') && !isOfTheSchema(error)
}

const isOfTheSchema = (error: unknown): boolean =>
  /schema.*(mismatch|more fields|extra field)|more fields than/i.test(saidBy(error))

/** An append whose answer does not come counts as unanswered; what hangs is cut. */
async function answered(answer: Promise<Answer>, ms: number, cut: () => void): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(Object.assign(new Error(`no answer within ${Math.round(ms)} ms`), { code: 4 }))
      cut()
    }, ms)
  })
  try {
    return await Promise.race([answer, silence])
  } finally {
    clearTimeout(timer)
  }
}
