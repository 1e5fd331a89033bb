/**
 * Rows into DuckDB's vectors, column by column: typed arrays and bitmaps of validity are built here
 * and copied whole. The library's own `setItem` goes value by value and its row appender keeps
 * gigabytes of nested rows; this does neither.
 */
import { DuckDBDataChunk } from '@duckdb/node-api'
import type { DuckDBType } from '@duckdb/node-api'
import duckdb from '@duckdb/node-bindings'

import type { PlacedColumn } from '../../core/beside.ts'
import { sameName, type Column } from '../../core/row.ts'
import { createLeafWriter, unfit } from './leaf.ts'
import type { WriteVector } from './leaf.ts'
import { createValidity } from './validity.ts'

type Parent = Readonly<Record<string, unknown>>

/** A chunk's rows: few enough that their objects stay in the cache over all passes of the columns. */
export const chunkRows = 256

/** Fills chunks with rows of one shape for one table. The chunk is the same one at every call. */
export type FillChunk = (rows: readonly Parent[]) => DuckDBDataChunk

/**
 * Compile the writer of a shape's rows, whose columns have their places, for the columns that a table
 * has. The table may have columns that the shape has not; they stay NULL, or empty where REPEATED.
 */
export function createFill(
  columns: readonly Column[],
  types: readonly DuckDBType[],
  wanted: readonly PlacedColumn[],
): FillChunk {
  const writers = fieldWriters(columns, wanted, '')
  const chunk = DuckDBDataChunk.create(types)

  return function fill(rows) {
    chunk.reset()
    for (const [at, write] of writers.entries()) {
      write(duckdb.data_chunk_get_vector(chunk.chunk, at), rows, rows.length)
    }
    chunk.rowCount = rows.length
    return chunk
  }
}

/** For each field of the table, what takes its values out of the parents and writes them. */
function fieldWriters(
  columns: readonly Column[],
  wanted: readonly PlacedColumn[],
  path: string,
): WriteVector[] {
  const sources = new Map(wanted.map((column) => [sameName(column.name), column]))
  return columns.map((column) => {
    const source = sources.get(sameName(column.name))
    const write = columnWriter(column, source, `${path}${column.name}`)
    const name = source?.from
    if (name === undefined) return (vector, _parents, count) => write(vector, [], count)

    const values: unknown[] = []
    return (vector, parents, count) => {
      for (let i = 0; i < count; i++) {
        const parent = parents[i] as Parent | null | undefined
        values[i] = parent === null || parent === undefined ? undefined : parent[name]
      }
      write(vector, values, count)
    }
  })
}

function columnWriter(column: Column, source: PlacedColumn | undefined, path: string): WriteVector {
  const single =
    column.type === 'RECORD'
      ? recordWriter(column, source, path)
      : createLeafWriter(column.type, path)
  return column.mode === 'REPEATED' ? repeatedWriter(single, path) : single
}

function recordWriter(column: Column, source: PlacedColumn | undefined, path: string): WriteVector {
  const fields = fieldWriters(column.fields ?? [], source?.fields ?? [], `${path}.`)
  return (vector, values, count) => {
    const validity = createValidity(count)
    for (let i = 0; i < count; i++) {
      const value = values[i]
      if (value === null || value === undefined) validity.setNull(i)
      else if (typeof value !== 'object' || Array.isArray(value)) throw unfit(path, 'RECORD', value)
    }
    validity.writeTo(vector)
    for (const [at, write] of fields.entries()) {
      write(duckdb.struct_vector_get_child(vector, at), values, count)
    }
  }
}

/** A list of nothing is empty; it is never NULL. */
function repeatedWriter(write: WriteVector, path: string): WriteVector {
  return (vector, values, count) => {
    const entries = new BigUint64Array(2 * count)
    const elements: unknown[] = []
    for (let i = 0; i < count; i++) {
      const value = values[i]
      entries[2 * i] = BigInt(elements.length)
      if (value === null || value === undefined) continue
      if (!Array.isArray(value)) throw unfit(path, 'REPEATED', value)
      entries[2 * i + 1] = BigInt(value.length)
      for (const element of value) elements.push(element)
    }
    duckdb.copy_data_to_vector(vector, 0, entries.buffer, 0, entries.byteLength)
    duckdb.list_vector_reserve(vector, elements.length)
    duckdb.list_vector_set_size(vector, elements.length)
    write(duckdb.list_vector_get_child(vector), elements, elements.length)
  }
}
