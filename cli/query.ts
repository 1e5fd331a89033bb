/** `nightjar query`: SQL on the warehouse, as an analyst would ask BigQuery. */
import { Command, Option } from 'commander'

import { homeAt } from '../local/home.ts'
import { openHomeQueries } from './door.ts'
import { instanceOf, withHome, type HomeOptions } from './embedded.ts'
import { formatNumber, formatTable } from './text-table.ts'
import type { World } from './world.ts'

interface QueryOptions extends HomeOptions {
  json?: boolean
  csv?: boolean
  limit: number
}

/** The command. */
export function queryCommand(world: World): Command {
  const command = new Command('query')
    .description('Ask the warehouse in SQL (DuckDB), also while the broker runs.')
    .argument('<sql>', 'one reading statement')
    .option('--json', 'print one JSON object a line')
    .addOption(new Option('--csv', 'print comma-separated values').conflicts('json'))
    .option('--limit <n>', 'rows of a printed table at most', Number, 1000)
  return withHome(command, world)
    .addHelpText(
      'after',
      `
Tables: alerts (a view over one table per schema version), salt2 (fits), ledger. A field of the
packet is written as in BigQuery: candidate.magpsf. 64-bit numbers are printed in full; in JSON as
strings.

Examples:
  $ nightjar query "SELECT objectId, candidate.magpsf FROM alerts ORDER BY 2 LIMIT 5"
  $ nightjar query "SELECT stage, outcome, COUNT(*) n FROM ledger GROUP BY ALL ORDER BY ALL"
  $ nightjar query --csv "SELECT candid, p.jd, p.magpsf FROM alerts, UNNEST(prv_candidates) t(p)"`,
    )
    .action((sql: string, options: QueryOptions) => query(world, sql, options))
}

async function query(world: World, sql: string, options: QueryOptions): Promise<void> {
  const queries = await openHomeQueries({ home: homeAt(options.home), at: instanceOf(options) })
  try {
    const rows = queries.query(sql)
    if (options.json === true) {
      for await (const row of rows) world.out(`${toJson(row)}\n`)
    } else if (options.csv === true) {
      await printCsv(world, rows)
    } else {
      await printTable(world, rows, options.limit)
    }
  } finally {
    await queries.close()
  }
}

async function printCsv(world: World, rows: AsyncIterable<Record<string, unknown>>): Promise<void> {
  let headed = false
  for await (const row of rows) {
    if (!headed) world.out(`${Object.keys(row).map(csvCell).join(',')}\n`)
    headed = true
    world.out(`${Object.values(row).map(csvCell).join(',')}\n`)
  }
}

async function printTable(
  world: World,
  rows: AsyncIterable<Record<string, unknown>>,
  limit: number,
): Promise<void> {
  const lines: string[][] = []
  let heads: string[] = []
  let more = false
  for await (const row of rows) {
    if (lines.length === limit) {
      more = true
      break
    }
    heads = Object.keys(row)
    lines.push(Object.values(row).map((value) => cellOf(value).slice(0, 200)))
  }
  if (lines.length === 0) return world.err('no rows\n')
  world.out(formatTable(heads, lines))
  if (more) world.err(`first ${limit} rows; --limit shows more\n`)
}

/** JSON of a row: 64-bit numbers as strings, bytes as base64, NaN as "NaN", as BigQuery prints them. */
export function toJson(row: unknown): string {
  return JSON.stringify(row, (_, value: unknown) => {
    if (typeof value === 'bigint') return String(value)
    if (typeof value === 'number' && !Number.isFinite(value)) return String(value)
    if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
    return value
  })
}

function plain(value: unknown): string {
  if (value === null || value === undefined) return ''
  return typeof value === 'object' ? toJson(value) : String(value)
}

function cellOf(value: unknown): string {
  return typeof value === 'number' ? formatNumber(value) : plain(value)
}

function csvCell(value: unknown): string {
  const text = plain(value)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
