/**
 * BigQuery's SQL at hand: Google's own analyzer and reference implementation of GoogleSQL, with the features
 * that BigQuery has, on tables that a test gives it. Thousands of conditions take seconds:
 *
 *     const sql = await startGoogleSql()
 *     await sql.table('alerts', columns, rows)
 *     const verdicts = await sql.verdicts('alerts', ['candidate.rb > 0.65', …])   // [condition][row]
 *     await sql.close()
 *
 * It knows one data set, whose name before a table or routine it takes off (`unqualified`); that BigQuery
 * finds a data set by its name is not what is tried.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

import { routineBody, routineStatement, type Routine } from '../../core/routines.ts'
import type { Column } from '../../core/row.ts'
import { peersDir, skipWithout } from '../data.ts'

/** INT64 comes as bigint, TIMESTAMP and DATE as ISO text, BYTES as base64; within records INT64 is text. */
export type SqlRow = Record<string, unknown>

export interface GoogleSql {
  /** Make a table, or make it anew. A value that is absent is null, or empty where it is REPEATED. */
  table(name: string, columns: readonly Column[], rows: readonly SqlRow[]): Promise<void>
  /** Make a table of what a query answers, as a view would show it. */
  view(name: string, columns: readonly Column[], sql: string): Promise<void>
  /** Analyze the statement that makes a routine, and let it be called. */
  define(routine: Routine): Promise<void>
  /** Parse and analyze a statement, and no more. */
  check(sql: string): Promise<void>
  query(sql: string): Promise<SqlRow[]>
  /** Of each condition what it says of each row of a table, in the table's order. */
  verdicts(table: string, conditions: readonly string[]): Promise<(boolean | null)[][]>
  close(): Promise<void>
}

const installed = join(peersDir, 'googlesql')
export const skipWithoutGoogleSql = skipWithout(join(installed, 'mark'), 'run "make peers"')

/** Conditions in one statement; each is a column of its answer. */
const conditionsAtOnce = 50
const rowNumber = 'nightjar_row'

interface Answer {
  error?: string
  columns?: { name: string; type: string }[]
  rows?: unknown[][]
}

/** Start the engine, which takes about two seconds. What it refuses rejects with its own sentence. */
export async function startGoogleSql(dataset = 'ztf_alerts'): Promise<GoogleSql> {
  // It unpacks a library of 100 MB there.
  const scratch = mkdtempSync(join(tmpdir(), 'nightjar-googlesql-'))
  const classpath = [join(installed, 'classes'), join(installed, 'libs/*')].join(':')
  const child = spawn(
    'java',
    ['-Xmx1g', `-Djava.io.tmpdir=${scratch}`, '-cp', classpath, 'Engine'],
    { stdio: ['pipe', 'pipe', 'pipe'] },
  )
  const end = (): void => {
    child.kill('SIGKILL')
    rmSync(scratch, { recursive: true, force: true })
  }
  process.once('exit', end)
  let said = ''
  child.stderr
    .setEncoding('utf8')
    .on('data', (text: string) => (said = `${said}${text}`.slice(-4000)))
  child.stdin.on('error', () => {})
  const waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void }[] = []
  createInterface({ input: child.stdout }).on('line', (line) => {
    waiting.shift()?.resolve(JSON.parse(line) as Answer)
  })
  const over = once(child, 'close').then(() => {
    for (const { reject } of waiting.splice(0)) reject(new Error(`GoogleSQL has ended: ${said}`))
  })

  async function ask(request: Record<string, unknown>): Promise<Answer> {
    const answered = new Promise<Answer>((resolve, reject) => waiting.push({ resolve, reject }))
    child.stdin.write(`${JSON.stringify(request, wordOf)}\n`)
    const answer = await answered
    if (answer.error !== undefined) throw new Error(answer.error)
    return answer
  }

  const unqualified = (sql: string): string => withoutDataset(sql, dataset)

  async function query(sql: string): Promise<SqlRow[]> {
    const { columns = [], rows = [] } = await ask({ query: unqualified(sql) })
    return rows.map((row) =>
      Object.fromEntries(columns.map(({ name, type }, at) => [name, valueOf(type, row[at])])),
    )
  }

  async function table(
    name: string,
    columns: readonly Column[],
    rows: readonly SqlRow[],
  ): Promise<void> {
    const values = rows.map((row) => columns.map((column) => row[column.name] ?? null))
    await ask({ table: name, columns, rows: values })
  }

  async function verdictsOf(
    name: string,
    conditions: readonly string[],
  ): Promise<(boolean | null)[][]> {
    const items = conditions.map((condition, at) => `(${condition}) AS c${at}`)
    // The engine keeps no order of its own, and answers the rows in any.
    const rows = await query(`SELECT ${rowNumber}, ${items.join(', ')} FROM ${name}_numbered`)
    rows.sort((a, b) => Number(a[rowNumber]) - Number(b[rowNumber]))
    return conditions.map((_, at) => rows.map((row) => row[`c${at}`] as boolean | null))
  }

  const numbered: Column = { name: rowNumber, type: 'INT64', mode: 'NULLABLE' }
  return {
    async table(name, columns, rows) {
      await table(name, columns, rows)
      const withNumbers = rows.map((row, at) => ({ ...row, [rowNumber]: at }))
      await table(`${name}_numbered`, [...columns, numbered], withNumbers)
    },
    async view(name, columns, sql) {
      const { rows = [] } = await ask({ query: unqualified(sql) })
      await ask({ table: name, columns, rows })
    },
    async define(routine) {
      const { name, parameters, answers } = routine
      const statement = routineStatement(routine, 'bigquery', dataset)
      const body = unqualified(routineBody(routine, 'bigquery', dataset))
      await ask({ define: unqualified(statement), name, parameters, answers, body })
    },
    async check(sql) {
      await ask({ check: unqualified(sql) })
    },
    query,
    async verdicts(name, conditions) {
      const all: (boolean | null)[][] = []
      for (let at = 0; at < conditions.length; at += conditionsAtOnce) {
        all.push(...(await verdictsOf(name, conditions.slice(at, at + conditionsAtOnce))))
      }
      return all
    },
    async close() {
      child.stdin.end()
      await over
      process.removeListener('exit', end)
      rmSync(scratch, { recursive: true, force: true })
    },
  }
}

/** `` `project.ztf_alerts.alerts` ``, `` `project.ztf_alerts`.alerts ``, ztf_alerts.alerts: `alerts`. */
function withoutDataset(sql: string, dataset: string): string {
  const name = `(?:[\\w-]+\\.)?${dataset}`
  return sql.replaceAll(new RegExp(`\`${name}\`\\.|(?<=\`)${name}\\.|\\b${name}\\.`, 'g'), '')
}

/** What JSON has no word for, as the engine takes it. */
function wordOf(_: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value)
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value)
  if (Object.is(value, -0)) return '-0.0'
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value
}

function valueOf(type: string, value: unknown): unknown {
  if (value === null) return null
  if (type === 'INT64') return BigInt(String(value))
  if (type === 'TIMESTAMP') return isoOf(BigInt(String(value)))
  return type === 'FLOAT64' ? Number(value) : value
}

/** Microseconds since 1970 as `2026-11-21T10:01:16.123456Z`. */
function isoOf(micros: bigint): string {
  const rest = ((micros % 1000n) + 1000n) % 1000n
  const milli = new Date(Number((micros - rest) / 1000n)).toISOString()
  return milli.replace('Z', `${String(rest).padStart(3, '0')}Z`)
}
