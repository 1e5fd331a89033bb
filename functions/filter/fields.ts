/**
 * The names that a filter on alerts may use, and what each of them is: every field of ZTF's `candidate`
 * (LSST's `diaSource`) by its own name, the packet's own scalars, the aggregates of `history.ts`, and what
 * a fit says (`fits.ts`).
 * Kinds are fixed by the survey's schemas, so that no writer's choice changes a verdict: a value of
 * another kind is unknown, in the stream as in SQL.
 */
import type { Field, FieldKind, Vocabulary } from '../../control/selector/compile.ts'
import type { Survey } from '../../core/names.ts'
import type { Column, ColumnType } from '../../core/row.ts'
import { shapeOf } from '../../schemas/columns.ts'
import { bundledSchemas, bundledVersions, loadZtfSchema } from '../../schemas/registry.ts'
import { parseSchema, type Schema } from '../../schemas/schema.ts'
import { historyIn, type AlertView } from './view.ts'
import { fitColumns, reducedChisq } from './fits.ts'
import { historyNames } from './history.ts'

export type AlertKind = Exclude<FieldKind, 'any'>

export interface AlertField {
  name: string
  kind: AlertKind
  place: 'identity' | 'main' | 'top' | 'history' | 'fit'
  description?: string
}

const kinds: Readonly<Partial<Record<ColumnType, AlertKind>>> = {
  STRING: 'text',
  BOOL: 'boolean',
  INT32: 'integer',
  INT64: 'integer',
  FLOAT32: 'double',
  FLOAT64: 'double',
}

/** The kind of a column; undefined where a selector has none for it. */
export function kindOfColumn({ type, mode }: Column): AlertKind | undefined {
  return mode === 'NULLABLE' ? kinds[type] : undefined
}

/** Fields of ZTF's candidate in the early versions, of which no schema is bundled. */
const early = ['sgmag', 'srmag', 'simag', 'szmag', 'sgscore']

const identity: readonly [string, AlertKind, string][] = [
  ['objectId', 'text', 'The object that the alert is about'],
  ['candid', 'integer', 'The alert: ZTF candid, LSST diaSourceId'],
]

const historyKinds: Readonly<Record<(typeof historyNames)[number], [AlertKind, string]>> = {
  ndet: ['integer', 'Detections that the packet carries, its own among them'],
  age_days: ['double', 'Days from the first of them to the alert'],
  rise_rate: ['double', 'Magnitudes a day that it brightened by since the last in its filter'],
  g_r: ['double', 'Last g less last r magnitude, at most a day apart'],
}

const catalogs = new Map<Survey, ReadonlyMap<string, AlertField>>()

/** Every name of a survey's alerts. */
export function alertFields(survey: Survey): ReadonlyMap<string, AlertField> {
  const known = catalogs.get(survey)
  if (known !== undefined) return known
  const fields = new Map<string, AlertField>()
  const add = (place: AlertField['place'], column: Column): void => {
    const kind = kindOfColumn(column)
    if (kind === undefined) return
    const { name, description } = column
    const standing = fields.get(name)
    if (standing === undefined) {
      fields.set(name, { name, kind, place, ...(description !== undefined && { description }) })
    } else if (standing.place === place && standing.kind === 'integer' && kind === 'double') {
      standing.kind = 'double'
    }
  }
  for (const [name, kind, description] of identity) {
    fields.set(name, { name, kind, place: 'identity', description })
  }
  if (survey === 'ztf') {
    for (const name of historyNames) {
      const [kind, description] = historyKinds[name]
      fields.set(name, { name, kind, place: 'history', description })
    }
    for (const { name, column } of fitColumns()) {
      const kind = kindOfColumn(column)
      if (kind === undefined) continue
      const { description = '' } = column
      fields.set(name, {
        name,
        kind,
        place: 'fit',
        description: `Of the SALT2 fit: ${description}`,
      })
    }
    const { name, description } = reducedChisq
    fields.set(name, { name, kind: 'double', place: 'fit', description })
    for (const name of early) fields.set(name, { name, kind: 'double', place: 'main' })
  }
  const shapes = schemasOf(survey).map((schema) => shapeOf(schema).columns)
  const main = mainName(survey)
  for (const columns of shapes) {
    for (const column of columns.find(({ name }) => name === main)?.fields ?? []) {
      add('main', column)
    }
  }
  for (const column of shapes.flat()) if (!fields.has(column.name)) add('top', column)
  catalogs.set(survey, fields)
  return fields
}

/** The column that holds a survey's main record. */
export const mainName = (survey: Survey): string => (survey === 'ztf' ? 'candidate' : 'diaSource')

function schemasOf(survey: Survey): Schema[] {
  if (survey === 'ztf') {
    return ['4.02', '3.3', '3.2'].map((version) => parseSchema(loadZtfSchema(version).text))
  }
  const schemas = bundledSchemas()
  return bundledVersions().flatMap((version) => {
    const [major, minor] = version.split('.')
    return schemas.byId(100 * Number(major) + Number(minor)) ?? []
  })
}

/** What names stand for in the stream. */
export function alertVocabulary(survey: Survey): Vocabulary<AlertView> {
  const fields = alertFields(survey)
  return (name): Field<AlertView> | undefined => {
    const field = fields.get(name)
    if (field === undefined) return undefined
    const { kind, place } = field
    if (place !== 'history') return { kind, path: [place, name] }
    const aggregate = historyNames.find((known) => known === name)
    return aggregate && { kind, read: (view) => historyIn(view)[aggregate] }
  }
}
