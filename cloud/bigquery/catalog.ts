/**
 * The tables of a data set: made at first use, grown by what a row shape adds, shown by their views. Others
 * may do the same at the same time: a change is sent with the etag it was made from, and whoever comes
 * second reads again. BigQuery itself takes no change of a table that is not additive.
 */
import type { TableField, TableMetadata } from '@google-cloud/bigquery'

import { checkKey, placeColumns, type PlacedColumn } from '../../core/beside.ts'
import { NightjarError } from '../../core/errors.ts'
import { mergeColumns } from '../../core/merge-columns.ts'
import { sameName, type Column, type RowShape } from '../../core/row.ts'
import type { Datasets } from '../datasets.ts'
import { fault, kindOfFault } from '../faults.ts'
import { retryPassing } from '../retry.ts'
import { callRest, type RestCall } from './rest.ts'
import { columnOf, fieldOf } from './schema.ts'
import { storedAt, viewStatement } from './view.ts'

/** A table that is ready for rows of one shape. */
export interface ReadyTable {
  name: string
  columns: readonly PlacedColumn[]
}

export interface Catalog {
  ready(shape: RowShape): Promise<ReadyTable>
  /** Read everything anew at the next row: what stood is not what stands. */
  forget(): void
}

interface Standing {
  name: string
  view: string | undefined
  columns: readonly Column[]
  etag: string
}

/** Says which view shows a table; a label's value has lower case, digits and `_-`. */
const viewLabel = 'nightjar_view'
const mostRounds = 5

const storedColumn: PlacedColumn = {
  name: storedAt,
  from: storedAt,
  type: 'TIMESTAMP',
  mode: 'NULLABLE',
  description: 'When the row was stored; of several rows of a key, readers see the first',
}

/** What analysts search by, as far as the table has it; BigQuery clusters by four columns at most. */
const clusterFirst = ['objectId', 'healpix29', 'candid']

/** The catalog of one data set. */
export function createCatalog(
  { bigquery, project, ready }: Datasets,
  dataset: string,
  giveUpMs: number,
): Catalog {
  let known = new WeakMap<RowShape, Promise<ReadyTable>>()
  const standing = new Map<string, Standing>()
  const viewsRead = new Set<string>()
  const viewsMade = new Map<string, string>()
  let queue: Promise<unknown> = Promise.resolve()

  const call = <T>(options: RestCall): Promise<T> =>
    retryPassing(
      () => callRest<T>(bigquery, { ...options, uri: `/datasets/${dataset}${options.uri}` }),
      performance.now() + giveUpMs,
    )

  function forget(): void {
    known = new WeakMap()
    standing.clear()
    viewsRead.clear()
    viewsMade.clear()
  }

  /** One change at a time from this process; rows of a shape that is known do not wait. */
  function grow(shape: RowShape): Promise<ReadyTable> {
    const growing = queue.then(() => growWithin(shape))
    queue = growing.catch(() => {})
    return growing
  }

  async function growWithin(shape: RowShape): Promise<ReadyTable> {
    for (let round = 1; ; round++) {
      try {
        await ready()
        return await growOnce(shape)
      } catch (error) {
        forget()
        const kind = kindOfFault(error)
        const raced = kind === 'exists' || kind === 'precondition' || kind === 'invalid'
        if (raced && !(error instanceof NightjarError) && round < mostRounds) continue
        throw fault('table_failed', error, {
          deed: `make table "${dataset}.${shape.table}" ready`,
          thing: `data set "${dataset}"`,
          project,
          role: 'roles/bigquery.dataEditor',
        })
      }
    }
  }

  async function growOnce(shape: RowShape): Promise<ReadyTable> {
    await readTables(shape)
    const own = standing.get(sameName(shape.table))
    const shown = shape.view === undefined ? [] : showing(shape.view)
    const others = shown.filter((peer) => peer !== own)
    const columns = [...(own ? [own] : []), ...others].map((table) => table.columns)
    const placed = placeColumns(columns, shape.columns)
    checkKey(shape, placed, columns.flat())
    const wanted = [...placed, storedColumn]
    const table = own ? await alter(own, shape, wanted) : await make(shape, wanted)
    if (table !== own) standing.set(sameName(table.name), table)
    if (shape.view !== undefined) await makeView(shape.view, shape.key ?? [])
    return { name: table.name, columns: wanted }
  }

  async function readTables(shape: RowShape): Promise<void> {
    if (!standing.has(sameName(shape.table))) await readTable(shape.table)
    if (shape.view === undefined || viewsRead.has(sameName(shape.view))) return
    for (let pageToken = ''; ;) {
      const qs = { maxResults: 1000, ...(pageToken !== '' && { pageToken }) }
      const page = await call<Page>({ uri: '/tables', qs })
      for (const { tableReference, labels } of page.tables ?? []) {
        const name = tableReference?.tableId
        if (name !== undefined && labels?.[viewLabel] === labelOf(shape.view)) await readTable(name)
      }
      pageToken = page.nextPageToken ?? ''
      if (pageToken === '') break
    }
    viewsRead.add(sameName(shape.view))
  }

  async function readTable(name: string): Promise<void> {
    try {
      const metadata = await call<TableMetadata>({ uri: `/tables/${name}` })
      standing.set(sameName(name), standingOf(name, metadata))
    } catch (error) {
      // Of a data set that is missing the answer is the same; making the table will tell.
      if (kindOfFault(error) !== 'missing') throw error
    }
  }

  async function make(shape: RowShape, columns: readonly Column[]): Promise<Standing> {
    const partition = columns.find(({ type, mode }) => type === 'DATE' && mode === 'NULLABLE')
    const names = [...clusterFirst, ...(shape.key ?? [])].map((name) =>
      columns.find((column) => column.name === name && mayCluster(column)),
    )
    const fields = [...new Set(names.flatMap((column) => column?.name ?? []))].slice(0, 4)
    const metadata = await call<TableMetadata>({
      method: 'POST',
      uri: '/tables',
      json: {
        tableReference: { projectId: project, datasetId: dataset, tableId: shape.table },
        schema: { fields: columns.map(fieldOf) },
        ...(partition && { timePartitioning: { type: 'DAY', field: partition.name } }),
        ...(fields.length > 0 && { clustering: { fields } }),
        ...(shape.view !== undefined && { labels: { [viewLabel]: labelOf(shape.view) } }),
      },
    })
    return standingOf(shape.table, metadata)
  }

  async function alter(
    own: Standing,
    shape: RowShape,
    columns: readonly Column[],
  ): Promise<Standing> {
    const merged = mergeColumns(own.columns, columns, shape.table)
    const label = shape.view === undefined ? undefined : labelOf(shape.view)
    const same = countOf(merged) === countOf(own.columns)
    if (same && (label === undefined || own.view === label)) return own
    const metadata = await call<TableMetadata>({
      method: 'PATCH',
      uri: `/tables/${own.name}`,
      headers: { 'If-Match': own.etag },
      json: {
        schema: { fields: merged.map(fieldOf) },
        ...(label !== undefined && { labels: { [viewLabel]: label } }),
      },
    })
    return standingOf(own.name, metadata)
  }

  function showing(view: string): Standing[] {
    const label = labelOf(view)
    return [...standing.values()]
      .filter((table) => table.view === label)
      .sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  async function makeView(view: string, key: readonly string[]): Promise<void> {
    const shown = showing(view).map(({ name, columns }) => ({
      name: `${project}.${dataset}.${name}`,
      columns,
    }))
    const query = viewStatement(shown, key)
    if (viewsMade.get(sameName(view)) === query) return
    const json = { view: { query, useLegacySql: false } }
    try {
      const { view: there } = await call<TableMetadata>({ uri: `/tables/${view}` })
      const stands = (there as { query?: string } | undefined)?.query === query
      if (!stands) await call({ method: 'PATCH', uri: `/tables/${view}`, json })
    } catch (error) {
      if (kindOfFault(error) !== 'missing') throw error
      const tableReference = { projectId: project, datasetId: dataset, tableId: view }
      await call({ method: 'POST', uri: '/tables', json: { tableReference, ...json } })
    }
    viewsMade.set(sameName(view), query)
  }

  return {
    ready(shape) {
      let found = known.get(shape)
      if (found === undefined) {
        found = grow(shape)
        known.set(shape, found)
        // Only what succeeded is remembered.
        found.catch(() => known.delete(shape))
      }
      return found
    },
    forget,
  }
}

interface Page {
  tables?: { tableReference?: { tableId?: string }; labels?: Record<string, string> }[]
  nextPageToken?: string
}

function standingOf(name: string, { schema, labels, etag }: TableMetadata): Standing {
  const { fields = [] } = (schema ?? {}) as { fields?: TableField[] }
  return {
    name,
    view: (labels as Record<string, string> | undefined)?.[viewLabel],
    columns: fields.map(columnOf),
    etag: String(etag ?? '*'),
  }
}

const labelOf = (view: string): string => view.toLowerCase().replaceAll(/[^a-z0-9_-]/g, '_')

const mayCluster = ({ type, mode }: Column): boolean =>
  mode === 'NULLABLE' && !['RECORD', 'BYTES', 'FLOAT32', 'FLOAT64'].includes(type)

/** Columns only ever come in addition, so their number tells whether any did. */
const countOf = (columns: readonly Column[]): number =>
  columns.reduce((count, { fields = [] }) => count + 1 + countOf(fields), 0)
