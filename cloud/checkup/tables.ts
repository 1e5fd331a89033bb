/** The data set of an instance: tables, view, routines, and what this account may do with them. */
import type { TableMetadata } from '@google-cloud/bigquery'

import { ledgerShape } from '../../core/ledger.ts'
import { alertTableName, datasetName, salt2TableName, type Instance } from '../../core/names.ts'
import { stages, stagesOf } from '../../core/pipeline.ts'
import { routinesOf } from '../../core/routines.ts'
import { bundledVersions } from '../../schemas/registry.ts'
import { callRest } from '../bigquery/rest.ts'
import type { Datasets } from '../datasets.ts'
import { kindOfFault } from '../faults.ts'
import {
  failed,
  findingOf,
  lacking,
  stack,
  type Finding,
  type Place,
  type Wrong,
} from './finding.ts'

interface Listed {
  tables?: { tableReference?: { tableId?: string }; type?: string }[]
  nextPageToken?: string
}

const editor = 'roles/bigquery.dataEditor'
const view = stages.warehouse.table

/** Look at the data set and all that it has. An emulator is asked only for what it keeps. */
export async function* checkTables(
  datasets: Datasets,
  at: Instance,
  emulated: boolean,
  places: Place[],
): AsyncGenerator<Finding> {
  const { bigquery, project } = datasets
  const name = datasetName(at)
  const what = `data set "${name}"`
  const call = <T>(uri: string, qs: Record<string, string> = {}): Promise<T> =>
    callRest<T>(bigquery, { uri: `/datasets/${name}${uri}`, qs })
  try {
    const { location = '' } = await call<{ location?: string }>('')
    if (!emulated) places.push({ thing: `data set ${name}`, region: location })
    yield { thing: `data set ${name}`, state: 'ok', said: `there, in ${location}` }
    const there = await tablesOf(call)
    const main = [view, ledgerShape.table]
    if (stagesOf(at.survey).includes('salt2')) main.push(salt2TableName)
    for (const table of main) {
      if (!there.includes(table)) {
        const said = 'not there yet: its first row makes it'
        yield { thing: `table ${name}.${table}`, state: 'note', said }
      } else yield await checkTable(datasets, name, table, emulated)
    }
    const versions = there.filter((table) => table.startsWith('alerts_'))
    for (const table of versions) yield await checkTable(datasets, name, table, emulated)
    yield versionsFinding(at, versions)
    if (emulated) return
    if (there.includes(view)) yield await checkQuery(datasets, name)
    yield await checkRoutines(at, call)
  } catch (error) {
    yield failed(`data set ${name}`, error, { project, what, role: editor })
  }
}

type Call = <T>(uri: string, qs?: Record<string, string>) => Promise<T>

async function tablesOf(call: Call): Promise<string[]> {
  const names: string[] = []
  for (let pageToken = ''; ;) {
    const qs = { maxResults: '1000', ...(pageToken !== '' && { pageToken }) }
    const page = await call<Listed>('/tables', qs)
    names.push(...(page.tables ?? []).flatMap((table) => table.tableReference?.tableId ?? []))
    pageToken = page.nextPageToken ?? ''
    if (pageToken === '') return names.sort()
  }
}

async function checkTable(
  { bigquery, project }: Datasets,
  dataset: string,
  table: string,
  emulated: boolean,
): Promise<Finding> {
  const thing = `table ${dataset}.${table}`
  const what = `table "${dataset}.${table}"`
  const uri = `/datasets/${dataset}/tables/${table}`
  try {
    const found = await callRest<TableMetadata>(bigquery, { uri })
    if (emulated) return findingOf(thing, [], 'there')
    const deeds = table === view ? ['getData', 'update'] : ['getData', 'updateData', 'update']
    const wanted = deeds.map((deed) => `bigquery.tables.${deed}`)
    const wrong = await lacking(wanted, { what, role: editor }, async (permissions) => {
      const json = { permissions }
      const options = { method: 'POST', uri: `${uri}:testIamPermissions`, json } as const
      return (await callRest<{ permissions?: string[] }>(bigquery, options)).permissions ?? []
    })
    wrong.push(...faultsOfTable(found, table))
    return findingOf(thing, wrong, describe(found))
  } catch (error) {
    return failed(thing, error, { project, what, role: 'roles/bigquery.metadataViewer' })
  }
}

/** What is wrong with how a table is made: what a question costs, and who sees what. */
export function faultsOfTable(found: TableMetadata, table: string): Wrong[] {
  const wrong: Wrong[] = []
  if (table === view) {
    if (found.type !== 'VIEW') {
      const said = `it is a ${String(found.type)} and must be the view: move it away, and the next alert makes it`
      wrong.push({ state: 'fault', said })
    }
    return wrong
  }
  const { timePartitioning, clustering } = found
  const anew = 'neither can be set later: copy it into one that has them'
  if (table !== salt2TableName && timePartitioning?.field === undefined) {
    const said = `it is not partitioned, so that each question reads all of it; ${anew}`
    wrong.push({ state: 'note', said })
  }
  const first = clustering?.fields?.[0]
  if (table.startsWith('alerts_') && first !== 'objectId') {
    const said = `it is clustered by ${first ?? 'nothing'} instead of objectId, so that a light curve reads whole nights: ALTER its clustering`
    wrong.push({ state: 'note', said })
  }
  return wrong
}

function describe({ type, timePartitioning, clustering, streamingBuffer }: TableMetadata): string {
  if (type === 'VIEW') return 'there, a view'
  const rows = Number(streamingBuffer?.estimatedRows ?? 0)
  return [
    'there',
    ...(timePartitioning?.field === undefined ? [] : [`a partition a ${timePartitioning.field}`]),
    ...(clustering?.fields === undefined ? [] : [`clustered by ${clustering.fields.join(', ')}`]),
    ...(rows > 0 ? [`${rows} rows in its streaming buffer`] : []),
  ].join('; ')
}

/** Whether this release knows the schemas of the packets that the tables are of. ZTF's bring their own. */
function versionsFinding({ survey }: Instance, tables: readonly string[]): Finding {
  const thing = 'schema versions'
  const said = tables.length === 0 ? 'none stored yet' : tables.join(', ')
  if (survey !== 'lsst') return { thing, state: 'ok', said }
  const known = bundledVersions()
  const names = new Set([undefined, ...known].map((version) => alertTableName(version)))
  const strange = tables.filter((table) => !names.has(table))
  if (strange.length === 0)
    return { thing, state: 'ok', said: `${said}; known: ${known.join(', ')}` }
  const why = `this release brings along ${known.join(', ')} and no other`
  const remedy = 'name the registry in the configuration, or deploy a newer release'
  return { thing, state: 'note', said: `${strange.join(', ')}: ${why}; ${remedy}` }
}

/** A dry run costs nothing and tells whether this account may ask, and the view be read. */
async function checkQuery({ bigquery, project }: Datasets, dataset: string): Promise<Finding> {
  const thing = `queries of ${dataset}.${view}`
  const what = `data set "${dataset}"`
  const query = `SELECT * FROM \`${project}.${dataset}.${view}\` LIMIT 1`
  const json = { configuration: { dryRun: true, query: { query, useLegacySql: false } } }
  try {
    await callRest(bigquery, { method: 'POST', uri: '/jobs', json })
    return { thing, state: 'ok', said: 'answered' }
  } catch (error) {
    if (kindOfFault(error) === 'forbidden' && /bigquery\.jobs\.create/.test(String(error))) {
      const said = `this account lacks bigquery.jobs.create: grant it roles/bigquery.jobUser on project "${project}"`
      return { thing, state: 'fault', said }
    }
    return failed(thing, error, { project, what, role: 'roles/bigquery.dataViewer' })
  }
}

/** What analysts call by name. */
async function checkRoutines(at: Instance, call: Call): Promise<Finding> {
  const thing = `routines of ${datasetName(at)}`
  const { routines = [] } = await call<{
    routines?: { routineReference?: { routineId?: string } }[]
  }>('/routines', { maxResults: '1000' })
  const there = routines.map(({ routineReference }) => routineReference?.routineId)
  const wanted = routinesOf(at.survey, 'bigquery')
  const missing = wanted.filter(({ name }) => !there.includes(name))
  if (missing.length === 0) {
    return { thing, state: 'ok', said: wanted.map(({ name }) => name).join(', ') }
  }
  const names = missing.map(({ name }) => name).join(', ')
  return { thing, state: 'fault', said: `analysts miss ${names}: ${stack}` }
}
