/**
 * Writers of one schema version do not always agree: one calls a record what another calls a number. A
 * column whose type contradicts what stands under its name, in any table of the view, is stored beside
 * it, under its name and type (`mulens_record`), so that every row finds room and nothing is re-read.
 */
import { NightjarError } from './errors.ts'
import { typeForBoth } from './merge-columns.ts'
import { sameName, type Column, type RowShape } from './row.ts'

/** A column of a table, and the name that rows have its value under. */
export interface PlacedColumn extends Column {
  from: string
  fields?: readonly PlacedColumn[]
}

/** Find each wanted column its place among those that stand; the first to use a name has it. */
export function placeColumns(
  standing: readonly (readonly Column[])[],
  wanted: readonly Column[],
): PlacedColumn[] {
  const known = new Map<string, Column[]>()
  for (const column of standing.flat()) {
    const same = known.get(sameName(column.name))
    if (same === undefined) known.set(sameName(column.name), [column])
    else same.push(column)
  }
  return wanted.map((column) => placeColumn(known, column))
}

function placeColumn(known: ReadonlyMap<string, readonly Column[]>, column: Column): PlacedColumn {
  const plain = known.get(sameName(column.name)) ?? []
  const agrees = plain.every((other) => fitsWith(other, column))
  const name = agrees ? column.name : `${column.name}_${kindOf(column)}`
  const same = agrees ? plain : (known.get(sameName(name)) ?? [])
  if (column.fields === undefined) return { ...column, name, from: column.name } as PlacedColumn
  const fields = placeColumns(
    same.map((other) => other.fields ?? []),
    column.fields,
  )
  return { ...column, name, from: column.name, fields }
}

const fitsWith = (one: Column, other: Column): boolean =>
  one.mode === other.mode && typeForBoth(one.type, other.type) !== undefined

function kindOf({ type, mode }: Column): string {
  return `${mode === 'REPEATED' ? 'repeated_' : ''}${type.toLowerCase()}`
}

/** What identifies a row is looked up under its name, so it cannot stand beside. */
export function checkKey(
  { table, key = [] }: RowShape,
  placed: readonly PlacedColumn[],
  standing: readonly Column[],
): void {
  for (const { name, from, type } of placed) {
    if (name === from || !key.includes(from)) continue
    const there = standing.find((column) => sameName(column.name) === sameName(from))?.type
    throw new NightjarError(
      'row_rejected',
      `Cannot store the row in "${table}": its key "${from}" is ${there} there and ${type} in the row`,
    )
  }
}
