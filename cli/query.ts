/** `nightjar query`: SQL on the warehouse, as an analyst would ask BigQuery. */
import { Command, Option } from 'commander'

import { NightjarError } from '../core/errors.ts'
import { homeAt } from '../local/home.ts'
import { environmentOf, openCloud, withCloud, type CloudOptions } from './cloud.ts'
import { openHomeQueries } from './door.ts'
import { instanceOf, withHome, type HomeOptions } from './embedded.ts'
import { formatBytes, formatNumber, formatTable } from './text-table.ts'
import type { World } from './world.ts'

interface QueryOptions extends HomeOptions, CloudOptions {
  json?: boolean
  csv?: boolean
  limit: number
  dryRun?: boolean
  maxBytes?: number
}

/** BigQuery's free month is 1 TB; a statement that reads more than this of it is seldom meant. */
export const defaultMaxBytes = 10e9

/** The command. */
export function queryCommand(world: World): Command {
  const command = new Command('query')
    .description(
      'Ask the warehouse in SQL (DuckDB; BigQuery with --cloud), also while the broker runs.',
    )
    .argument('<sql>', 'one reading statement')
    .option('--json', 'print one JSON object a line')
    .addOption(new Option('--csv', 'print comma-separated values').conflicts('json'))
    .option('--limit <n>', 'rows of a printed table at most', Number, 1000)
    .option('--dry-run', 'with --cloud: say how much it would read, and no more; this is free')
    .addOption(
      new Option(
        '--max-bytes <size>',
        'with --cloud: refuse what would be billed more, 10GB if absent',
      ).argParser(parseBytes),
    )
  return withCloud(withHome(command, world))
    .addHelpText(
      'after',
      `
Tables: alerts (a view over one table per schema version), salt2 (fits), ledger. A field of the
packet is written as in BigQuery: candidate.magpsf. 64-bit numbers are printed in full; in JSON as
strings. With --cloud it is BigQuery's SQL, and what a statement reads is told first, on standard
error: BigQuery bills by it, 10 MB a table at least.

Examples:
  $ nightjar query "SELECT objectId, candidate.magpsf FROM alerts ORDER BY 2 LIMIT 5"
  $ nightjar query "SELECT stage, outcome, COUNT(*) n FROM ledger GROUP BY ALL ORDER BY ALL"
  $ nightjar query --csv "SELECT candid, p.jd, p.magpsf FROM alerts, UNNEST(prv_candidates) t(p)"
  $ nightjar query --cloud --dry-run "SELECT objectId FROM alerts WHERE obs_date = '2026-11-21'"`,
    )
    .action((sql: string, options: QueryOptions) => query(world, sql, options))
}

async function query(world: World, sql: string, options: QueryOptions): Promise<void> {
  if (options.cloud === true) return queryCloud(world, sql, options)
  if (options.dryRun === true || options.maxBytes !== undefined) {
    throw new NightjarError(
      'config_invalid',
      'Cannot bound a query here: --dry-run and --max-bytes are for --cloud, reading at home is free',
    )
  }
  const queries = await openHomeQueries({ home: homeAt(options.home), at: instanceOf(options) })
  try {
    await print(world, queries.query(sql), options)
  } finally {
    await queries.close()
  }
}

async function queryCloud(world: World, sql: string, options: QueryOptions): Promise<void> {
  const { maxBytes = defaultMaxBytes } = options
  const ground = await openCloud(world, environmentOf(world, options), options)
  try {
    const queries = await ground.queries()
    const bytes = await queries.bytesOf(sql)
    if (options.dryRun === true) {
      const { json } = options
      world.out(json === true ? `${JSON.stringify({ bytes })}\n` : `reads ${formatBytes(bytes)}\n`)
      return
    }
    if (bytes > maxBytes) {
      throw new NightjarError(
        'input_invalid',
        `Cannot run the query: it would read ${formatBytes(bytes)}, and at most ` +
          `${formatBytes(maxBytes)} are allowed; name an obs_date and fewer columns, or raise --max-bytes`,
      )
    }
    world.err(`reads ${formatBytes(bytes)}\n`)
    await print(world, queries.query(sql, maxBytes), options)
  } finally {
    await ground.close()
  }
}

async function print(
  world: World,
  rows: AsyncIterable<Record<string, unknown>>,
  { json, csv, limit }: QueryOptions,
): Promise<void> {
  if (json === true) {
    for await (const row of rows) world.out(`${toJson(row)}\n`)
  } else if (csv === true) {
    await printCsv(world, rows)
  } else {
    await printTable(world, rows, limit)
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

/** `500MB`, `10GB`, `1TB`, or a number of bytes. */
export function parseBytes(text: string): number {
  const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?) ?([kMGT]?)B?$/.exec(text) ?? []
  const bytes = Math.round(Number(number) * 1000 ** ['', 'k', 'M', 'G', 'T'].indexOf(unit))
  if (bytes > 0) return bytes
  throw new NightjarError(
    'config_invalid',
    `Cannot take size "${text}": write it as 500MB, 10GB or 1TB`,
  )
}
