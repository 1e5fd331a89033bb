/** What a night's report says, gathered by a few queries over the ledger and the alerts. */
import type { Night } from '../../core/night.ts'
import { intake, readsOf } from '../../core/pipeline.ts'
import type { CloseRecord } from '../close.ts'
import type { NightRecord } from '../night-record.ts'
import type { PublicCount } from '../public-count.ts'
import type { Dialect } from './dialect.ts'
import { histogramQuantile } from './quantile.ts'
import type { PacketSizes } from './sizes.ts'

export interface NightReport {
  survey: string
  night: Night
  /** When the report was made, ISO 8601. */
  at: string
  state: string
  dusk: string
  dawn: string
  history: { at: string; from: string; to: string; why: string }[]
  proof: CloseRecord
  /** Events of the ledger by stage in steps of time. `steps[i]` is how many came in step i. */
  rates: { from: string; stepSeconds: number; stages: { stage: string; steps: number[] }[] }
  /** From Kafka's timestamp of an alert to the stage's word of it, milliseconds. */
  latencies: { stage: string; count: number; p50: number; p90: number; p99: number; most: number }[]
  /** HEALPix pixels, nested, with how many alerts came and how many of them a stage still owes. */
  sky: { order: number; pixels: { pixel: number; alerts: number; owed: number }[] }
  deadLetters: { stage: string; reason: string; count: number; example: string }[]
  candidates: Candidate[]
  /** What the night's packets weigh; absent where none was archived. */
  sizes?: PacketSizes
  /** What the survey's own public archive says, where one is configured. */
  publicCount?: PublicCount
  cost?: { dollars: number; text: string }
}

export interface Candidate {
  objectId: string
  candid: string
  ra: number
  dec: number
  /** One line of what was fitted, where something was. */
  fit?: string
  /** The plot as a data URI, where there is one. */
  plot?: string
}

export interface ReportSources {
  query(sql: string): AsyncIterable<Record<string, unknown>>
  dialect: Dialect
  /** False where no packet of any night could be read: then nobody has made the table. */
  hasAlerts: boolean
  record: NightRecord
  proof: CloseRecord
  /** The night's candidates, best first; who asks for none gives none. */
  candidates(): Promise<Candidate[]>
  sizes(): Promise<PacketSizes | undefined>
  publicCount?: PublicCount
  cost?(alerts: number): { dollars: number; text: string }
  now: Date
}

/** How fine the sky map is: order 4 has 3,072 pixels of 3.7°. */
const skyOrder = 4

/** Gather the report of a night. */
export async function gatherReport(sources: ReportSources): Promise<NightReport> {
  const { record, proof, now } = sources
  const iso = (at: number): string => new Date(at).toISOString()
  const sizes = await sources.sizes()
  const received = proof.stages[0]?.received ?? 0
  return {
    survey: record.survey,
    night: record.night,
    at: now.toISOString(),
    state: record.state,
    dusk: iso(record.dusk),
    dawn: iso(record.dawn),
    history: record.history.map((move) => ({ ...move, at: iso(move.at) })),
    proof,
    rates: await gatherRates(sources),
    latencies: sources.hasAlerts ? await gatherLatencies(sources) : [],
    sky: sources.hasAlerts ? await gatherSky(sources) : { order: skyOrder, pixels: [] },
    deadLetters: await gatherDeadLetters(sources),
    candidates: await sources.candidates(),
    ...(sizes && { sizes }),
    ...(sources.publicCount && { publicCount: sources.publicCount }),
    ...(sources.cost && { cost: sources.cost(received) }),
  }
}

/** Steps that divide a day evenly and give a chart of a hundred points or so. */
const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600]

async function gatherRates(sources: ReportSources): Promise<NightReport['rates']> {
  const { query, dialect, record } = sources
  const seconds = dialect.seconds('recorded_at')
  const where = `WHERE night = '${record.night}'`
  const [range] = await all(
    query(`SELECT MIN(${seconds}) AS first, MAX(${seconds}) AS last FROM ledger ${where}`),
  )
  const first = number(range?.['first'])
  const last = number(range?.['last'])
  if (!Number.isFinite(first))
    return { from: new Date(record.dusk).toISOString(), stepSeconds: 60, stages: [] }
  const step = steps.find((one) => (last - first) / one <= 144) ?? 3600
  const begin = Math.floor(first / step)
  const length = Math.min(Math.floor(last / step) - begin + 1, 5000)
  const stages = new Map(sources.proof.stages.map(({ stage }) => [stage, zeros(length)]))
  const binned = query(
    `SELECT stage, CAST(FLOOR(${seconds} / ${step}) AS INT64) AS bin, SUM(span) AS n
     FROM ledger ${where} GROUP BY 1, 2`,
  )
  for await (const row of binned) {
    const bins = stages.get(String(row['stage']))
    const at = number(row['bin']) - begin
    if (bins !== undefined && at < length) bins[at] = number(row['n'])
  }
  return {
    from: new Date(begin * step * 1000).toISOString(),
    stepSeconds: step,
    stages: [...stages].map(([stage, counts]) => ({ stage, steps: counts })),
  }
}

/** Bins of 4 % in time: fine enough for a percentile that a person reads. */
const binsPerE = 25

async function gatherLatencies(sources: ReportSources): Promise<NightReport['latencies']> {
  const { query, dialect, record } = sources
  const millis = `${dialect.millis('l.recorded_at')} - ${dialect.millis('a.kafka_timestamp')}`
  const rows = query(
    `SELECT stage, CAST(FLOOR(LN(GREATEST(ms, 1)) * ${binsPerE}) AS INT64) AS bin, COUNT(*) AS n, MAX(ms) AS most
     FROM (SELECT l.stage AS stage, ${millis} AS ms FROM ledger AS l JOIN alerts AS a
       ON l.kafka_topic = a.kafka_topic AND l.kafka_partition = a.kafka_partition
         AND l.kafka_offset = a.kafka_offset
       WHERE l.night = '${record.night}') AS latencies
     GROUP BY 1, 2`,
  )
  const found = new Map<string, { bins: Map<number, number>; most: number }>()
  for await (const row of rows) {
    const stage = String(row['stage'])
    const one = found.get(stage) ?? { bins: new Map<number, number>(), most: 0 }
    found.set(stage, one)
    one.bins.set(number(row['bin']), number(row['n']))
    one.most = Math.max(one.most, number(row['most']))
  }
  return sources.proof.stages.flatMap(({ stage }) => {
    const one = found.get(stage)
    if (one === undefined) return []
    const at = (q: number): number => Math.min(histogramQuantile(one.bins, q, binsPerE), one.most)
    const count = [...one.bins.values()].reduce((sum, n) => sum + n, 0)
    return [{ stage, count, p50: at(0.5), p90: at(0.9), p99: at(0.99), most: one.most }]
  })
}

async function gatherSky(sources: ReportSources): Promise<NightReport['sky']> {
  const { query, proof } = sources
  // An alert that has a row is owed by each stage that reads every alert and said nothing of this one.
  const owing = proof.stages
    .filter(({ stage, missing }) => missing.length > 0 && readsEveryAlert(stage))
    .map(({ stage }) => `'${stage}'`)
  const heard = owing.length === 0 ? '0' : `COUNT(DISTINCT l.stage)`
  const join =
    owing.length === 0
      ? ''
      : `LEFT JOIN ledger AS l ON l.kafka_topic = a.kafka_topic AND l.kafka_partition = a.kafka_partition
           AND l.kafka_offset = a.kafka_offset AND l.stage IN (${owing.join(', ')})`
  const rows = query(
    `SELECT pixel, COUNT(*) AS alerts, SUM(CASE WHEN heard < ${owing.length} THEN 1 ELSE 0 END) AS owed
     FROM (SELECT a.candid AS candid, a.healpix29 >> ${2 * (29 - skyOrder)} AS pixel, ${heard} AS heard
       FROM alerts AS a ${join}
       WHERE a.kafka_topic IN (${topicsOf(proof)}) AND a.healpix29 IS NOT NULL
       GROUP BY 1, 2) AS positions
     GROUP BY 1 ORDER BY 1`,
  )
  const pixels: NightReport['sky']['pixels'] = []
  for await (const row of rows) {
    pixels.push({
      pixel: number(row['pixel']),
      alerts: number(row['alerts']),
      owed: number(row['owed']),
    })
  }
  return { order: skyOrder, pixels }
}

/** How many reasons the page lists; the rest is in the ledger. */
const reasonsListed = 40

async function gatherDeadLetters(sources: ReportSources): Promise<NightReport['deadLetters']> {
  const rows = sources.query(
    `SELECT stage, reason, COUNT(*) AS n,
       MIN(CONCAT(kafka_topic, '[', CAST(kafka_partition AS STRING), ']@', CAST(kafka_offset AS STRING))) AS example
     FROM ledger WHERE night = '${sources.record.night}' AND outcome = 'dead_lettered'
     GROUP BY 1, 2 ORDER BY n DESC, 1, 2 LIMIT 5000`,
  )
  // Reasons name the byte and the value; what differs in those alone is one kind of fault.
  const kinds = new Map<string, NightReport['deadLetters'][number]>()
  for await (const row of rows) {
    const stage = String(row['stage'])
    const reason = String(row['reason'] ?? 'no reason given')
    const kind = `${stage} ${reason.replaceAll(/-?\d+/g, '#')}`
    const known = kinds.get(kind)
    if (known !== undefined) known.count += number(row['n'])
    else
      kinds.set(kind, { stage, reason, count: number(row['n']), example: String(row['example']) })
  }
  return [...kinds.values()].sort((a, b) => b.count - a.count).slice(0, reasonsListed)
}

const readsEveryAlert = (stage: string): boolean =>
  stage !== intake && readsOf(stage) === 'alert_data'

const topicsOf = (proof: CloseRecord): string =>
  [...new Set(proof.partitions.map(({ topic }) => `'${topic.replaceAll("'", "''")}'`))].join(
    ', ',
  ) || "''"

const zeros = (length: number): number[] => new Array<number>(length).fill(0)

/** Counts come as numbers, strings or BigInt, as the engine has it. */
const number = (value: unknown): number =>
  value === null || value === undefined ? NaN : Number(value)

async function all<T>(rows: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const row of rows) list.push(row)
  return list
}
