/**
 * The view that shows the rows of all tables of a kind, each key once: the one stored first. The default
 * stream stores at least once, as does everything before it, so this is where readers see each once.
 */
import { nothing, quoted, sqlType } from '../../core/googlesql.ts'
import { mergeColumns } from '../../core/merge-columns.ts'
import { sameName, type Column } from '../../core/row.ts'

/** When a row was stored; the view goes by it and does not show it. */
export const storedAt = 'nightjar_stored_at'

export interface Shown {
  /** `project.dataset.table` */
  name: string
  columns: readonly Column[]
}

/**
 * The statement of the view. A table that lacks a column has NULL there, also within records, and an
 * empty array where it is REPEATED. `key` empty: every row counts.
 */
export function viewStatement(tables: readonly Shown[], key: readonly string[]): string {
  const all = tables.reduce<Column[]>(
    (merged, { name, columns }) => mergeColumns(merged, columns, name),
    [],
  )
  const columns = all.filter(({ name }) => name !== storedAt)
  const arms = tables.map((table) => {
    const own = byName(table.columns)
    const items = columns.map((column) => selected(column, own.get(sameName(column.name))))
    return `SELECT ${[...items, quoted(storedAt)].join(', ')} FROM ${quoted(table.name)}`
  })
  const rows = arms.join('\nUNION ALL\n')
  const shown = columns.map(({ name }) => quoted(name)).join(', ')
  if (key.length === 0) return `SELECT ${shown} FROM (\n${rows}\n)`
  // The date follows from the key; named here, a query of one night reads one night's partition.
  const date = columns.find(({ type, mode }) => type === 'DATE' && mode === 'NULLABLE')
  const by = [...key, ...(date === undefined ? [] : [date.name])].map(quoted).join(', ')
  return (
    `SELECT ${shown} FROM (\n${rows}\n)\nWHERE TRUE\n` +
    `QUALIFY ROW_NUMBER() OVER (PARTITION BY ${by} ORDER BY ${quoted(storedAt)}) = 1`
  )
}

function selected(column: Column, own: Column | undefined): string {
  const name = quoted(column.name)
  if (own === undefined) return `${nothing(column)} AS ${name}`
  return sqlType(own) === sqlType(column) ? name : `${widened(column, own, name)} AS ${name}`
}

/** A record with the fields of another one, which has more. */
function widened(column: Column, own: Column, from: string): string {
  if (column.type !== 'RECORD') return from
  const one = (record: string): string => {
    const fields = byName(own.fields ?? [])
    const items = (column.fields ?? []).map((field) => {
      const there = fields.get(sameName(field.name))
      const name = quoted(field.name)
      if (there === undefined) return `${nothing(field)} AS ${name}`
      return `${widened(field, there, `${record}.${name}`)} AS ${name}`
    })
    return `STRUCT(${items.join(', ')})`
  }
  if (column.mode === 'NULLABLE') return `IF(${from} IS NULL, NULL, ${one(from)})`
  return `ARRAY(SELECT ${one('item')} FROM UNNEST(${from}) AS item WITH OFFSET AS place ORDER BY place)`
}

const byName = (columns: readonly Column[]): Map<string, Column> =>
  new Map(columns.map((column) => [sameName(column.name), column]))
