/** Reading statements: dry-run first, which costs nothing and tells what a statement does, then page by page. */
import type { TableField } from '@google-cloud/bigquery'

import { NightjarError } from '../../core/errors.ts'
import type { Column } from '../../core/row.ts'
import type { Datasets } from '../datasets.ts'
import { fault, kindOfFault, saidBy } from '../faults.ts'
import { retryPassing } from '../retry.ts'
import { callRest, type RestCall } from './rest.ts'
import { columnOf } from './schema.ts'

/** A row as REST has it: cells in the order of the schema, values as text. */
interface Cells {
  f: { v: unknown }[]
}

interface Answer {
  jobComplete?: boolean
  schema?: { fields?: TableField[] }
  rows?: Cells[]
  pageToken?: string
}

interface Started {
  jobReference?: { jobId?: string; location?: string }
}

interface DryRun {
  statistics?: {
    totalBytesProcessed?: string
    query?: { statementType?: string; schema?: { fields?: TableField[] } }
  }
}

export interface Question {
  datasets: Datasets
  /** Where names without a data set are looked for. */
  dataset: string
  sql: string
  giveUpMs: number
  /** BigQuery refuses a statement that would be billed more than this. Absent: no bound. */
  mostBytes?: number
}

type Call = <T>(options: RestCall) => Promise<T>

const rowsAtOnce = 10_000
/** How long one call waits for a statement to end; then it is asked for again. */
const waitMs = 10_000

/**
 * Ask what a reading statement would read, in bytes, and do no more: it costs nothing. Of clustered tables it is
 * the most that it can be. Rejects with `input_invalid` what is no SELECT.
 */
export async function bytesOf(question: Question): Promise<number> {
  const { totalBytesProcessed } = await dryRun(callerOf(question), question)
  return Number(totalBytesProcessed ?? 0)
}

/** The columns that a reading statement would answer; this, too, costs nothing. */
export async function columnsOf(question: Question): Promise<Column[]> {
  const { query } = await dryRun(callerOf(question), question)
  return (query?.schema?.fields ?? []).map(columnOf)
}

/** Run one reading statement and yield its rows: INT64 as bigint, times as ISO text, BYTES as bytes. */
export async function* readRows(question: Question): AsyncGenerator<Record<string, unknown>> {
  const call = callerOf(question)
  await dryRun(call, question)
  const { mostBytes } = question
  const bound = mostBytes === undefined ? {} : { maximumBytesBilled: String(mostBytes) }
  // Not jobs.query: of a statement that fails it may answer as of one without rows.
  const { jobReference } = await call<Started>({
    method: 'POST',
    uri: '/jobs',
    json: {
      configuration: { query: { ...statementOf(question), ...bound } },
      ...placeOf(question),
    },
  })
  const { jobId, location: place } = jobReference ?? {}
  for (let pageToken: string | undefined; ;) {
    const answer = await call<Answer>({
      uri: `/queries/${jobId}`,
      qs: {
        'formatOptions.useInt64Timestamp': true,
        timeoutMs: waitMs,
        maxResults: rowsAtOnce,
        ...(place && { location: place }),
        ...(pageToken !== undefined && { pageToken }),
      },
    })
    if (answer.jobComplete === false) continue
    const read = recordReader(answer.schema?.fields ?? [])
    for (const row of answer.rows ?? []) yield read(row)
    pageToken = answer.pageToken
    if (pageToken === undefined) return
  }
}

function callerOf({ datasets, dataset, giveUpMs }: Question): Call {
  const { bigquery, project, ready } = datasets
  return async <T>(options: RestCall): Promise<T> => {
    try {
      await ready()
      return await retryPassing(() => callRest<T>(bigquery, options), performance.now() + giveUpMs)
    } catch (error) {
      throw queryFault(error, dataset, project)
    }
  }
}

async function dryRun(call: Call, question: Question): Promise<NonNullable<DryRun['statistics']>> {
  if (question.sql.trim() === '') {
    throw new NightjarError('input_invalid', 'Cannot run the query: there is no statement in it')
  }
  const { statistics } = await call<DryRun>({
    method: 'POST',
    uri: '/jobs',
    json: { configuration: { dryRun: true, query: statementOf(question) }, ...placeOf(question) },
  })
  const type = statistics?.query?.statementType
  if (type !== 'SELECT') {
    throw new NightjarError(
      'input_invalid',
      `Cannot run the query: it is ${type ?? 'of a kind that is not told'}, and only reading is allowed`,
    )
  }
  return statistics ?? {}
}

function statementOf({ datasets: { project }, dataset, sql }: Question): object {
  const defaultDataset = { projectId: project, datasetId: dataset }
  return { query: sql, useLegacySql: false, defaultDataset }
}

function placeOf({ datasets: { project, location } }: Question): object {
  return location === undefined ? {} : { jobReference: { projectId: project, location } }
}

function queryFault(error: unknown, dataset: string, project: string): NightjarError {
  const kind = kindOfFault(error)
  const said = saidBy(error)
  // A table or a column that is not there is the statement's fault; a data set is not.
  if (kind === 'invalid' || (kind === 'missing' && /table|view|function/i.test(said))) {
    return new NightjarError('input_invalid', `Cannot run the query: ${said}`, { cause: error })
  }
  return fault('table_failed', error, {
    deed: 'run the query',
    thing: `data set "${dataset}"`,
    project,
    role: 'roles/bigquery.dataViewer and roles/bigquery.jobUser',
  })
}

function recordReader(fields: readonly TableField[]): (row: Cells) => Record<string, unknown> {
  const readers = fields.map((field) => ({ name: String(field.name), read: fieldReader(field) }))
  return ({ f }) => {
    const record: Record<string, unknown> = {}
    for (const [at, { name, read }] of readers.entries()) record[name] = read(f[at]?.v)
    return record
  }
}

function fieldReader(field: TableField): (value: unknown) => unknown {
  const one = valueReader(field)
  if (field.mode !== 'REPEATED')
    return (value) => (value === null || value === undefined ? null : one(value))
  return (value) => (Array.isArray(value) ? value.map((item: { v: unknown }) => one(item.v)) : [])
}

function valueReader({ type, fields = [] }: TableField): (value: unknown) => unknown {
  switch (String(type).toUpperCase()) {
    case 'INTEGER':
    case 'INT64':
      return (value) => BigInt(String(value))
    case 'FLOAT':
    case 'FLOAT64':
      // Also "NaN", "Infinity", "-Infinity"; some answer "Inf".
      return (value) => Number(String(value).replace(/^([+-]?)inf$/i, '$1Infinity'))
    case 'BOOLEAN':
    case 'BOOL':
      return (value) => String(value) === 'true'
    case 'BYTES':
      return (value) => Uint8Array.from(Buffer.from(String(value), 'base64'))
    case 'TIMESTAMP':
      return (value) => isoOf(BigInt(String(value)))
    case 'RECORD':
    case 'STRUCT': {
      const read = recordReader(fields)
      return (value) => read(value as Cells)
    }
    default:
      return String
  }
}

/** `2026-11-21T10:01:16.123456Z`. */
function isoOf(micros: bigint): string {
  const rest = ((micros % 1000n) + 1000n) % 1000n
  const milli = (micros - rest) / 1000n
  return new Date(Number(milli)).toISOString().replace('Z', `${String(rest).padStart(3, '0')}Z`)
}
