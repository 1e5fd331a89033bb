/** The report of a night, made where it was and kept in its broker-files bucket: JSON, and a page. */
import type { CloseRecord } from '../conductor/close.ts'
import type { NightRecord } from '../conductor/night-record.ts'
import { readPublicCount, type PublicCount } from '../conductor/public-count.ts'
import { gatherReport, type Candidate, type NightReport } from '../conductor/report/gather.ts'
import { reportPage } from '../conductor/report/page.ts'
import { salt2TableName } from '../core/names.ts'
import type { Store } from '../core/ports.ts'
import { archivedSizes } from './archived.ts'
import { billOf } from './bill.ts'
import type { NightPlace, NightQueries } from './night-place.ts'
import { pricesOf } from './prices.ts'

/** The newest report of a night; undefined where there is none. */
export async function newestReport(
  store: Store,
  night: { survey: string; night: string },
): Promise<{ page: string; json: string } | undefined> {
  const last = await lastNumber(store, night, '.html')
  return last === 0 ? undefined : reportNames(night, last)
}

const folderOf = ({ survey, night }: { survey: string; night: string }): string =>
  `report/${survey}_${night}/`

function reportNames(
  night: { survey: string; night: string },
  number: number,
): { page: string; json: string } {
  const name = `${folderOf(night)}report-${String(number).padStart(4, '0')}`
  return { page: `${name}.html`, json: `${name}.json` }
}

/** The number of the newest file with this ending; 0 where there is none. */
async function lastNumber(
  store: Store,
  night: { survey: string; night: string },
  ending: string,
): Promise<number> {
  let last = 0
  for await (const { name } of store.list(folderOf(night))) {
    if (name.endsWith(ending)) last = Number(/-(\d+)\.\w+$/.exec(name)?.[1] ?? last)
  }
  return last
}

/** How many candidates the page shows; the others are in the table. */
const candidatesShown = 24

/** A page that a person opens must not weigh more than the night. */
const mostPlotBytes = 1 << 20

/** Make the report of a night and store it under the next number. Answers the objects' names. */
export async function makeReport(options: {
  place: NightPlace
  record: NightRecord
  proof: CloseRecord
  now: Date
}): Promise<{ page: string; json: string }> {
  const { place, record, proof, now } = options
  const { ground, dialect } = place
  const store = await ground.bucket('broker_files')
  const { count: publicCount } = await readPublicCount(store, record)
  const queries = await place.openReport()
  let report: NightReport
  try {
    const { query } = queries
    report = await gatherReport({
      query,
      dialect,
      hasAlerts: await queries.hasTable('alerts'),
      record,
      proof,
      candidates: () => candidatesOf(ground, queries, proof),
      cost: (alerts) => ({
        dollars: billOf(record.survey, alerts).reduce((sum, line) => sum + line.dollars, 0),
        text: `in the cloud, at prices of ${pricesOf}`,
      }),
      sizes: () => archivedSizes(ground, new Set(proof.partitions.map(({ topic }) => topic))),
      ...(publicCount && { publicCount }),
      now,
    })
  } finally {
    await queries.close()
  }
  return storeReport(store, report)
}

/** The newest report once more, with what the public archive has said since. */
export async function restateReport(
  store: Store,
  night: { survey: string; night: string },
  publicCount: PublicCount,
): Promise<{ page: string; json: string } | undefined> {
  const names = await newestReport(store, night)
  const found = names && (await store.read(names.json))
  if (!found) return undefined
  const report = JSON.parse(Buffer.from(found.data).toString()) as NightReport
  return storeReport(store, { ...report, publicCount })
}

async function storeReport(
  store: Store,
  report: NightReport,
): Promise<{ page: string; json: string }> {
  for (let number = (await lastNumber(store, report, '.json')) + 1; ; number++) {
    const names = reportNames(report, number)
    const json = Buffer.from(`${JSON.stringify(report, null, 1)}\n`)
    // The page comes last: a number without one belongs to somebody who died in between.
    if (!(await store.create(names.json, json)).created) continue
    await store.create(names.page, Buffer.from(reportPage(report)))
    return names
  }
}

/** The newest fit of each object of the night, those that came out well first. */
async function candidatesOf(
  ground: NightPlace['ground'],
  { query, hasTable }: NightQueries,
  { partitions }: CloseRecord,
): Promise<Candidate[]> {
  const topics = new Set(partitions.map(({ topic }) => `'${topic.replaceAll("'", "''")}'`))
  if (topics.size === 0 || !(await hasTable(salt2TableName))) return []
  const rows = query(
    `SELECT s.objectId AS objectId, CAST(s.candid AS STRING) AS candid, a.ra AS ra, a.dec AS decl,
       s.success AS success, s.message AS message, s.z AS z, s.chisq AS chisq, s.ndof AS ndof,
       s.peak_mjd AS peak_mjd, s.before_maximum AS before_maximum, s.plot_lc AS plot
     FROM ${salt2TableName} AS s JOIN (
       SELECT candid, MAX(candidate.ra) AS ra, MAX(candidate.dec) AS dec
       FROM alerts WHERE kafka_topic IN (${[...topics].join(', ')}) GROUP BY candid) AS a
       ON s.candid = a.candid
     WHERE TRUE
     QUALIFY ROW_NUMBER() OVER (PARTITION BY s.objectId ORDER BY s.candid DESC) = 1
     ORDER BY s.success DESC, s.before_maximum DESC NULLS LAST, s.chisq / NULLIF(s.ndof, 0), s.objectId
     LIMIT ${candidatesShown}`,
  )
  const found: Candidate[] = []
  for await (const row of rows) {
    const plot = row['plot'] === null ? undefined : await plotOf(ground, String(row['plot']))
    found.push({
      objectId: String(row['objectId']),
      candid: String(row['candid']),
      ra: Number(row['ra']),
      dec: Number(row['decl']),
      fit: fitText(row),
      ...(plot !== undefined && { plot }),
    })
  }
  return found
}

async function plotOf(ground: NightPlace['ground'], name: string): Promise<string | undefined> {
  const found = await (await ground.bucket('sncosmo')).read(name)
  if (found === null || found.data.length > mostPlotBytes) return undefined
  return `data:image/png;base64,${Buffer.from(found.data).toString('base64')}`
}

function fitText(row: Record<string, unknown>): string {
  if (Number(row['success']) !== 1) return String(row['message'])
  const z = Number(row['z']).toFixed(3)
  const chisq = `${Number(row['chisq']).toFixed(1)}/${Number(row['ndof'])}`
  const when = row['before_maximum'] === true ? 'maximum expected' : 'maximum'
  return `z ${z}, χ²/ndof ${chisq}, ${when} MJD ${Number(row['peak_mjd']).toFixed(1)}`
}
