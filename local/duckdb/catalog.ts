/** The tables of a data set: made at first use, grown by what a row shape adds, shown by their views. */
import type { DuckDBConnection, DuckDBType } from '@duckdb/node-api'

import { checkKey, placeColumns, type PlacedColumn } from '../../core/beside.ts'
import { NightjarError } from '../../core/errors.ts'
import { mergeColumns } from '../../core/merge-columns.ts'
import { sameName, type Column, type RowShape } from '../../core/row.ts'
import { columnOf, literal, quoted, sqlType } from './columns.ts'
import { engineSentence, isEngineFault } from './faults.ts'
import { createFill } from './writer.ts'
import type { FillChunk } from './writer.ts'

/** A table that is ready for rows of one shape. */
export interface ReadyTable {
  name: string
  /** All tables that the same view shows, this one among them. */
  peers: readonly string[]
  fill: FillChunk
}

export interface Catalog {
  ready(connection: DuckDBConnection, shape: RowShape): Promise<ReadyTable>
}

interface Standing {
  name: string
  view: string | undefined
  columns: readonly Column[]
  types: readonly DuckDBType[]
}

/** A table says in its comment which view shows it, so that the file alone tells. */
const commentOf = (view: string) => `Shown by the view "${view}"`
const viewInComment = /^Shown by the view "(.+)"$/

/**
 * The catalog of one data set. It holds what it has read; only this process changes the file.
 * `routines` are statements that make what analysts call; they are run each time a view was made.
 */
export function createCatalog(dataset: string, routines: readonly string[] = []): Catalog {
  let standing = new Map<string, Standing>()
  let read = false
  let known = new WeakMap<RowShape, ReadyTable>()
  const viewsMade = new Set<string>()

  return {
    async ready(connection, shape) {
      const found = known.get(shape)
      if (found !== undefined) return found
      try {
        const { table, placed } = await grow(connection, shape)
        const peers = shape.view === undefined ? [table] : showing(standing, shape.view)
        const ready = {
          name: table.name,
          peers: peers.map(({ name }) => name),
          fill: createFill(table.columns, table.types, placed),
        }
        known.set(shape, ready)
        return ready
      } catch (cause) {
        read = false
        if (cause instanceof NightjarError || isEngineFault(cause)) throw cause
        throw new NightjarError(
          'row_rejected',
          `Cannot make table "${shape.table}" ready for the row: ${engineSentence(cause)}`,
          { cause },
        )
      }
    },
  }

  async function grow(
    connection: DuckDBConnection,
    shape: RowShape,
  ): Promise<{ table: Standing; placed: PlacedColumn[] }> {
    if (!read) await readAgain(connection)
    const own = standing.get(sameName(shape.table))
    const shown = shape.view === undefined ? [] : showing(standing, shape.view)
    const others = shown.filter((peer) => peer !== own)
    const columns = [...(own ? [own] : []), ...others].map((table) => table.columns)
    const placed = placeColumns(columns, shape.columns)
    checkKey(shape, placed, columns.flat())
    const statements = changes(dataset, own, { ...shape, columns: placed })
    // DuckDB 1.5 refuses the rows of the next transaction where one transaction has altered a table
    // twice. So one by one: each only adds, and the next start goes on where a crash came between.
    for (const statement of statements) await connection.run(statement)
    if (statements.length > 0) await readAgain(connection)
    const { view } = shape
    if (view !== undefined && (statements.length > 0 || !viewsMade.has(sameName(view)))) {
      await connection.run(viewStatement(dataset, view, showing(standing, view)))
      // One that asks for a column that no packet has had so far is made when the view has grown.
      for (const routine of routines) await connection.run(routine).catch(() => undefined)
      viewsMade.add(sameName(view))
    }
    const table = standing.get(sameName(shape.table))
    if (table === undefined) throw new Error(`table "${shape.table}" is not there`)
    return { table, placed }
  }

  async function readAgain(connection: DuckDBConnection): Promise<void> {
    standing = await readTables(connection, dataset)
    known = new WeakMap()
    read = true
  }
}

/** Run work in a transaction that nothing is left of where it fails. */
export async function inTransaction<T>(
  connection: DuckDBConnection,
  work: () => Promise<T>,
): Promise<T> {
  await connection.run('BEGIN')
  try {
    const result = await work()
    await connection.run('COMMIT')
    return result
  } catch (error) {
    // The engine has rolled back by itself where it can tell; then this has nothing to do.
    await connection.run('ROLLBACK').catch(() => undefined)
    throw error
  }
}

function changes(dataset: string, before: Standing | undefined, shape: RowShape): string[] {
  const table = `${quoted(dataset)}.${quoted(shape.table)}`
  const comment =
    shape.view === undefined || sameName(before?.view ?? '') === sameName(shape.view)
      ? []
      : [`COMMENT ON TABLE ${table} IS ${literal(commentOf(shape.view))}`]
  if (before === undefined) {
    const columns = shape.columns.map((column) => `${quoted(column.name)} ${sqlType(column)}`)
    return [
      `CREATE SCHEMA IF NOT EXISTS ${quoted(dataset)}`,
      `CREATE TABLE ${table} (${columns.join(', ')})`,
      ...comment,
      ...shape.columns.flatMap((column) => describe(table, column)),
    ]
  }
  const standing = new Map(before.columns.map((column) => [sameName(column.name), column]))
  const alters = mergeColumns(before.columns, shape.columns, shape.table).flatMap((column) => {
    const at = standing.get(sameName(column.name))
    const type = sqlType(column)
    if (at === undefined) {
      const empty = column.mode === 'REPEATED' ? ` DEFAULT []` : ''
      return [
        `ALTER TABLE ${table} ADD COLUMN ${quoted(column.name)} ${type}${empty}`,
        ...describe(table, column),
      ]
    }
    // The cast of a record goes by the names of its fields and leaves new ones NULL.
    if (type === sqlType(at)) return []
    return [`ALTER TABLE ${table} ALTER COLUMN ${quoted(column.name)} TYPE ${type}`]
  })
  return [...alters, ...comment]
}

function describe(table: string, { name, description }: Column): string[] {
  if (description === undefined) return []
  return [`COMMENT ON COLUMN ${table}.${quoted(name)} IS ${literal(description)}`]
}

function showing(tables: ReadonlyMap<string, Standing>, view: string): Standing[] {
  return [...tables.values()].filter((table) => sameName(table.view ?? '') === sameName(view))
}

/** A REPEATED column is empty, not NULL, in the rows of a table that lacks it. */
function viewStatement(dataset: string, view: string, tables: readonly Standing[]): string {
  const repeated = new Map<string, Column>()
  for (const { columns } of tables) {
    for (const column of columns) {
      if (column.mode === 'REPEATED') repeated.set(sameName(column.name), column)
    }
  }
  const arms = tables.map(({ name, columns }) => {
    const own = new Set(columns.map((column) => sameName(column.name)))
    const lacking = [...repeated].filter(([key]) => !own.has(key))
    const empty = lacking.map(([, c]) => `, CAST([] AS ${sqlType(c)}) AS ${quoted(c.name)}`)
    return `SELECT *${empty.join('')} FROM ${quoted(dataset)}.${quoted(name)}`
  })
  const shown = `${quoted(dataset)}.${quoted(view)}`
  return `CREATE OR REPLACE VIEW ${shown} AS ${arms.join(' UNION ALL BY NAME ')}`
}

async function readTables(
  connection: DuckDBConnection,
  dataset: string,
): Promise<Map<string, Standing>> {
  const listed = await connection.runAndReadAll(
    `SELECT table_name, comment FROM duckdb_tables()
     WHERE database_name = current_database() AND schema_name = ${literal(dataset)}
     ORDER BY table_name`,
  )
  const tables = new Map<string, Standing>()
  for (const [name, comment] of listed.getRows()) {
    const table = String(name)
    const result = await connection.run(`SELECT * FROM ${quoted(dataset)}.${quoted(table)} LIMIT 0`)
    const types = result.columnTypes()
    tables.set(sameName(table), {
      name: table,
      view: viewInComment.exec(String(comment))?.[1],
      columns: result.columnNames().map((column, at) => columnOf(column, types[at] as DuckDBType)),
      types,
    })
  }
  return tables
}
