/**
 * The names `salt2_*`: what the table `salt2` says of an alert, and what `ztf_salt2` carries. A filter that
 * has one of them is a filter on fits. It judges each fit that is published, with the alert that the fit
 * is of; an alert without one it never sees, in the stream as in SQL.
 */
import type { AlertId } from '../../core/alert.ts'
import { NightjarError, sentenceOf } from '../../core/errors.ts'
import { salt2TableName } from '../../core/names.ts'
import type { Column } from '../../core/row.ts'
import { salt2Shape } from '../salt2/row.ts'

export const fitPrefix = 'salt2_'

/** Names that people expect, for columns that are called otherwise. */
const aliases: Readonly<Record<string, string>> = { mb: 'peak_mb', mb_err: 'peak_mb_err' }

/** A quotient that is in no column. */
export const reducedChisq = {
  name: `${fitPrefix}chi2dof`,
  description: 'chisq / ndof of the fit; NULL where no freedom is left',
}

/** Each name with the column that it is; ids and what is never filled are left out. */
export function fitColumns(): { name: string; column: Column }[] {
  const own = salt2Shape.columns.filter(
    ({ name, type }) => !['objectId', 'candid'].includes(name) && type !== 'BYTES',
  )
  const other = Object.entries(aliases).flatMap(([alias, name]) =>
    own.filter((column) => column.name === name).map((column) => ({ alias, column })),
  )
  return [
    ...own.map((column) => ({ name: `${fitPrefix}${column.name}`, column })),
    ...other.map(({ alias, column }) => ({ name: `${fitPrefix}${alias}`, column })),
  ]
}

const columnsOfFits = fitColumns()

export interface FitMessage extends AlertId {
  /** What the fit says, by name. */
  fields: Readonly<Record<string, unknown>>
}

/** Read a message of `ztf_salt2`. Throws `input_invalid` for what is none. */
export function parseFit(data: Uint8Array): FitMessage {
  try {
    const row = JSON.parse(Buffer.from(data).toString()) as Record<string, unknown>
    const { objectId, candid } = row
    if (typeof objectId !== 'string') throw new TypeError('it has no objectId')
    return { objectId, candid: BigInt(String(candid)), fields: fieldsOf(row) }
  } catch (cause) {
    const why = sentenceOf(cause)
    throw new NightjarError('input_invalid', `Cannot read a fit: ${why}`, { cause })
  }
}

function fieldsOf(row: Readonly<Record<string, unknown>>): FitMessage['fields'] {
  const fields: Record<string, unknown> = {}
  for (const { name, column } of columnsOfFits) fields[name] = valueOf(column, row[column.name])
  const [chisq, ndof] = [fields[`${fitPrefix}chisq`], fields[`${fitPrefix}ndof`]]
  const counts = typeof chisq === 'number' && typeof ndof === 'number' && ndof > 0
  fields[reducedChisq.name] = counts ? chisq / ndof : null
  return fields
}

/** JSON has no NaN, no infinity and no 64-bit integer: they come as text. */
function valueOf({ type }: Column, value: unknown): unknown {
  if (typeof value !== 'string') return value ?? null
  if (type === 'FLOAT64') return Number(value)
  return type === 'INT64' ? BigInt(value) : value
}

/** Alerts with their fits, for FROM, in both dialects: the columns of `alerts`, and `fit`, a record. */
export const alertsWithFits =
  `alerts JOIN (SELECT one.objectId, one.candid, one AS fit FROM ${salt2TableName} AS one ` +
  'WHERE one.plot_lc IS NOT NULL) AS fitted USING (objectId, candid)'
