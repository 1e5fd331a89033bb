/**
 * The names of `fields.ts` as SQL on the table of alerts, whatever columns that table has by now. Where
 * writers disagreed, a column stands beside another under its name and type (`rb_float64`): all that
 * have the field's kind are read, and the one that is not NULL counts.
 */
import type { Dialect, SqlField, SqlVocabulary } from '../../control/selector/sql.ts'
import type { Survey } from '../../core/names.ts'
import type { Column, ColumnType } from '../../core/row.ts'
import { alertFields, mainName, type AlertKind } from './fields.ts'
import { fitColumns, reducedChisq } from './fits.ts'
import { colourDays, noValues } from './history.ts'

const typesOf: Readonly<Record<AlertKind, readonly ColumnType[]>> = {
  text: ['STRING'],
  boolean: ['BOOL'],
  integer: ['INT32', 'INT64'],
  double: ['FLOAT32', 'FLOAT64', 'INT32', 'INT64'],
}

const quotes: Readonly<Record<Dialect, (name: string) => string>> = {
  duckdb: (name) => `"${name.replaceAll('"', '""')}"`,
  bigquery: (name) => `\`${name}\``,
}

/** What names are in SQL. A name whose column no alert has had yet is NULL of its kind. */
export function alertColumns(
  survey: Survey,
  columns: readonly Column[],
  dialect: Dialect,
): SqlVocabulary {
  const fields = alertFields(survey)
  const quoted = quotes[dialect]
  const main = columns.find(({ name, type }) => name === mainName(survey) && type === 'RECORD')
  const known = new Map<string, SqlField>()

  return function field(name) {
    const found = fields.get(name)
    if (found === undefined) return undefined
    let made = known.get(name)
    if (made === undefined) {
      const { kind, place } = found
      const sql =
        place === 'history'
          ? history(name)
          : place === 'fit'
            ? fitSql(name, kind)
            : place === 'main'
              ? columnSql(main?.fields ?? [], name, kind, `${quoted(main?.name ?? '')}.`)
              : columnSql(columns, name, kind, '')
      known.set(name, (made = { kind, sql }))
    }
    return made
  }

  /** Of the record `fit` that `alertsWithFits` puts beside the alert. */
  function fitSql(name: string, kind: AlertKind): string {
    const own = (of: string): string => `fit.${quoted(of)}`
    if (name === reducedChisq.name) {
      return `CASE WHEN ${own('ndof')} > 0 THEN ${own('chisq')} / ${own('ndof')} END`
    }
    const column = fitColumns().find((one) => one.name === name)?.column
    return column === undefined ? `CAST(NULL AS ${sqlTypes[dialect][kind]})` : own(column.name)
  }

  function columnSql(
    among: readonly Column[],
    name: string,
    kind: AlertKind,
    prefix: string,
  ): string {
    const type = sqlTypes[dialect][kind]
    const found = typesOf[kind].flatMap((wanted) => {
      const names = [name, `${name}_${wanted.toLowerCase()}`]
      return among.filter((one) => {
        return names.includes(one.name) && one.type === wanted && one.mode === 'NULLABLE'
      })
    })
    const exact = { text: 'STRING', boolean: 'BOOL', integer: 'INT64', double: 'FLOAT64' }[kind]
    const parts = found.map((column) => {
      const sql = `${prefix}${quoted(column.name)}`
      return column.type === exact ? sql : `CAST(${sql} AS ${type})`
    })
    if (parts.length === 0) return `CAST(NULL AS ${type})`
    return parts.length === 1 ? (parts[0] as string) : `COALESCE(${parts.join(', ')})`
  }

  function history(name: string): string {
    const previous = columns.find(
      ({ name: own, type, mode }) =>
        /^prv_candidates(_repeated_record)?$/.test(own) && type === 'RECORD' && mode === 'REPEATED',
    )
    const own = detectionSql((of) =>
      columnSql(main?.fields ?? [], ...of, `${quoted(main?.name ?? '')}.`),
    )
    const one = detectionSql((of) => columnSql(previous?.fields ?? [], ...of, 'p.'))
    const parts: HistorySql = {
      own,
      one,
      previous: previous === undefined ? undefined : quoted(previous.name),
    }
    return (dialect === 'duckdb' ? duckdbHistory : bigqueryHistory)(name, parts)
  }

  /** The parts of a detection, and the condition that it is one. */
  function detectionSql(part: (of: [string, AlertKind]) => string): DetectionSql {
    const jd = part(['jd', 'double'])
    const fid = part(['fid', 'integer'])
    const mag = part(['magpsf', 'double'])
    const isKnown = (sql: string): string =>
      `${finiteSql[dialect](sql)} AND ${sql} NOT IN (${noValues.join(', ')})`
    return { jd, fid, mag, known: `(${isKnown(jd)} AND ${isKnown(mag)} AND ${fid} IN (1, 2, 3))` }
  }
}

interface DetectionSql {
  jd: string
  fid: string
  mag: string
  known: string
}

interface HistorySql {
  own: DetectionSql
  /** A previous detection, as `p`. */
  one: DetectionSql
  previous: string | undefined
}

const sqlTypes: Readonly<Record<Dialect, Readonly<Record<AlertKind, string>>>> = {
  duckdb: { text: 'VARCHAR', boolean: 'BOOLEAN', integer: 'BIGINT', double: 'DOUBLE' },
  bigquery: { text: 'STRING', boolean: 'BOOL', integer: 'INT64', double: 'FLOAT64' },
}

const finiteSql: Readonly<Record<Dialect, (sql: string) => string>> = {
  duckdb: (sql) => `isfinite(${sql})`,
  bigquery: (sql) => `NOT IS_NAN(${sql}) AND NOT IS_INF(${sql})`,
}

function duckdbHistory(name: string, { own, one, previous }: HistorySql): string {
  // As structs that compare by time and then by brightness.
  const entry = ({ jd, mag }: DetectionSql): string => `{'jd': ${jd}, 'dim': -(${mag})}`
  const empty = 'CAST([] AS STRUCT(jd DOUBLE, dim DOUBLE)[])'
  const where = (condition: string): string =>
    previous === undefined
      ? empty
      : `list_transform(list_filter(${previous}, lambda p: ${one.known}${condition}), lambda p: ${entry(one)})`
  switch (name) {
    case 'ndet':
      return `(len(${where('')}) + CASE WHEN ${own.known} THEN 1 ELSE 0 END)`
    case 'age_days': {
      const first = `list_min(list_transform(${where('')}, lambda e: e.jd))`
      const known = `isfinite(${own.jd}) AND ${own.jd} NOT IN (${noValues.join(', ')})`
      const least = `LEAST(${first}, CASE WHEN ${own.known} THEN ${own.jd} END)`
      return `CASE WHEN ${known} THEN ${own.jd} - ${least} END`
    }
    case 'rise_rate': {
      const last = `list_max(${where(` AND ${one.fid} = ${own.fid} AND ${one.jd} < ${own.jd}`)})`
      return `CASE WHEN ${own.known} THEN (-((${last}).dim) - ${own.mag}) / (${own.jd} - (${last}).jd) END`
    }
    default: {
      const last = (fid: number): string => {
        const mine = `CASE WHEN ${own.known} AND ${own.fid} = ${fid} THEN [${entry(own)}] ELSE ${empty} END`
        return `list_max(list_concat(${where(` AND ${one.fid} = ${fid}`)}, ${mine}))`
      }
      const [g, r] = [last(1), last(2)]
      return (
        `CASE WHEN abs((${g}).jd - (${r}).jd) <= ${colourDays} ` +
        `THEN -((${g}).dim) - -((${r}).dim) END`
      )
    }
  }
}

function bigqueryHistory(name: string, { own, one, previous }: HistorySql): string {
  const from = `FROM UNNEST(${previous ?? 'CAST([] AS ARRAY<STRUCT<jd FLOAT64>>)'}) AS p`
  const where = previous === undefined ? 'WHERE FALSE' : `WHERE ${one.known}`
  const mine = `SELECT ${own.jd} AS jd, ${own.fid} AS fid, ${own.mag} AS mag`
  const theirs =
    previous === undefined
      ? undefined
      : `SELECT ${one.jd} AS jd, ${one.fid} AS fid, ${one.mag} AS mag ${from} ${where}`
  const all = [`${mine} FROM UNNEST([1]) WHERE ${own.known}`, ...(theirs ? [theirs] : [])].join(
    ' UNION ALL ',
  )
  const last = (of: string, what: string, condition: string): string =>
    `(SELECT d.${what} FROM (${of}) AS d WHERE ${condition} ORDER BY d.jd DESC, d.mag LIMIT 1)`
  switch (name) {
    case 'ndet':
      return `(SELECT COUNT(*) FROM (${all}))`
    case 'age_days': {
      const known = `${finiteSql.bigquery(own.jd)} AND ${own.jd} NOT IN (${noValues.join(', ')})`
      return `IF(${known}, ${own.jd} - (SELECT MIN(d.jd) FROM (${all}) AS d), NULL)`
    }
    case 'rise_rate': {
      if (theirs === undefined) return 'CAST(NULL AS FLOAT64)'
      const condition = `d.fid = ${own.fid} AND d.jd < ${own.jd}`
      const [jd, mag] = ['jd', 'mag'].map((what) => last(theirs, what, condition))
      return `IF(${own.known}, (${mag} - ${own.mag}) / (${own.jd} - ${jd}), NULL)`
    }
    default: {
      const of = (what: string, fid: number): string => last(all, what, `d.fid = ${fid}`)
      return (
        `IF(ABS(${of('jd', 1)} - ${of('jd', 2)}) <= ${colourDays}, ` +
        `${of('mag', 1)} - ${of('mag', 2)}, NULL)`
      )
    }
  }
}
