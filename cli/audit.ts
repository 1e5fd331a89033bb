/** `nightjar audit`: the proof of a night, and its close record. */
import { Command } from 'commander'

import { auditNight, type Audit, type PartitionAudit } from '../conductor/audit.ts'
import { closeRecord, formatRun, storeCloseRecord, type CloseRecord } from '../conductor/close.ts'
import { readLedgerSets } from '../conductor/ledger-sets.ts'
import { knownNights, type KnownNight } from '../conductor/nights.ts'
import { NightjarError } from '../core/errors.ts'
import type { Night } from '../core/night.ts'
import type { Ground } from '../local/broker.ts'
import { withCloud, type CloudOptions } from './cloud.ts'
import { nightArgument, withHome, type HomeOptions } from './embedded.ts'
import { filtersOf } from './night-filters.ts'
import { openPlace, type Place } from './place.ts'
import { formatCount, formatTable } from './text-table.ts'
import type { World } from './world.ts'

interface AuditOptions extends HomeOptions, CloudOptions {
  night?: Night
  json?: boolean
  list: number
}

type Query = (sql: string) => AsyncIterable<Record<string, unknown>>

/** The command. */
export function auditCommand(world: World): Command {
  const command = new Command('audit')
    .description(
      'Prove by identity (Kafka topic, partition, offset) what became of every alert of a night: ' +
        'at each stage, what exists minus what is accounted for must be nothing.',
    )
    .option('--night <date>', 'UTC date of the night; all known nights if absent', nightArgument)
    .option('--list <n>', 'how many missing runs to list', Number, 100)
    .option('--json', 'print the close records as JSON')
  return withCloud(withHome(command, world))
    .addHelpText(
      'after',
      `
Writes the close record, with the SHA-256 of every bitmap, to the broker-files bucket.
The exit status is 0 only if nothing is missing and every source was read to its end.`,
    )
    .action((options: AuditOptions) => audit(world, options))
}

async function audit(world: World, options: AuditOptions): Promise<void> {
  const place = await openPlace(world, options)
  try {
    const nights = await nightsOf(place, options.night)
    const audits = []
    for (const night of nights) {
      const one = await auditOf(place.ground, place.query, night, world.now())
      audits.push(one)
      if (options.json !== true) world.out(formatAudit(one, options.list))
      if (one.record.state !== 'complete') world.exit(1)
    }
    if (options.json === true) {
      const records = audits.map(({ record }) => record)
      world.out(`${JSON.stringify(options.night ? records[0] : records, null, 2)}\n`)
    }
  } finally {
    await place.close()
  }
}

/** The nights of a place that are meant. Throws where there is none. */
export async function nightsOf(
  { ground, name }: Pick<Place, 'ground' | 'name'>,
  wanted?: Night,
): Promise<KnownNight[]> {
  const known = await knownNights(await ground.bucket('broker_files'))
  const nights = wanted === undefined ? known : known.filter(({ night }) => night === wanted)
  if (nights.length > 0) return nights
  const names = known.map(({ night }) => night).join(', ') || 'none'
  throw new NightjarError(
    'config_invalid',
    `Cannot audit ${wanted === undefined ? 'a night' : `night ${wanted}`} of "${name}": ` +
      `nights taken in there: ${names}`,
  )
}

export interface NightAudit {
  audit: Audit
  record: CloseRecord
  /** The close record's name in the broker-files bucket. */
  stored: string
}

/** Audit one night and store its close record. */
export async function auditOf(
  ground: Pick<Ground, 'at' | 'bucket'>,
  query: Query,
  night: KnownNight,
  at: Date,
): Promise<NightAudit> {
  const ledger = await readLedgerSets(query, night.night, night.ranges, night.lateStages)
  const audited = auditNight({ survey: ground.at.survey, ...night, ledger })
  const store = await ground.bucket('broker_files')
  const filters = await filtersOf(audited, query, store)
  const record = { ...closeRecord(audited, night.unfinished, at), ...filters }
  const stored = await storeCloseRecord(store, record)
  return { audit: audited, record, stored }
}

/** A table per stage, by partition, and every missing run up to a number of them. */
export function formatAudit({ audit: found, record, stored }: NightAudit, most: number): string {
  let text = `Night ${found.night} of ${found.survey}\n`
  for (const { stage, partitions, total } of found.stages) {
    const rows = partitions.map((one) => [`${one.topic}[${one.partition}]`, ...cells(one)])
    if (rows.length !== 1) rows.push(['all', ...cells(total)])
    text += `\n${formatTable([stage, ...heads], rows)}`
  }
  if (record.filters !== undefined) text += `\n${formatFilters(record.filters)}`
  text += formatRuns('Missing', found, most, ({ missing }) => missing)
  text += formatRuns("Lost by Kafka's retention", found, most, ({ lost }) => lost)
  if (found.strays > 0) {
    const count = formatCount(found.strays)
    text += `\n${count} occurrences in the ledger lie outside the watermarks and count for nothing\n`
  }
  for (const source of record.unfinished) text += `\nNot read to its end: ${source}\n`
  text += `\n${verdict(found, record)}\nClose record ${stored}, digest ${record.digest.slice(0, 16)}…\n`
  return text
}

function formatFilters(filters: NonNullable<CloseRecord['filters']>): string {
  const rows = filters.map(({ name, version, asked, selected }) => [
    `${name}@${version}`,
    ...[asked, selected, asked - selected].map(formatCount),
  ])
  return formatTable(['named filter', 'asked', 'published', 'filtered'], rows)
}

function formatRuns(
  title: string,
  found: Audit,
  most: number,
  listOf: (partition: PartitionAudit) => { first: bigint; count: number }[],
): string {
  const lines = found.stages.flatMap(({ stage, partitions }) =>
    partitions.flatMap((one) =>
      listOf(one).map(
        ({ first, count }) => `  ${stage}  ${formatRun(one.topic, one.partition, first, count)}\n`,
      ),
    ),
  )
  if (lines.length === 0) return ''
  const rest = lines.length > most ? `  … and ${formatCount(lines.length - most)} runs more\n` : ''
  return `\n${title}:\n${lines.slice(0, most).join('')}${rest}`
}

const heads = [
  'expected',
  'received',
  'stored',
  'published',
  'duplicate',
  'filtered',
  'rejected',
  'dead-lettered',
  'gap',
  'lost',
  'missing',
]

function cells(one: Audit['stages'][number]['total']): string[] {
  const { stored, published, duplicate, filtered, rejected, dead_lettered, gap, lost } =
    one.outcomes
  const counts = [stored, published, duplicate, filtered, rejected, dead_lettered, gap, lost]
  return [one.expected, one.received, ...counts, one.missingCount].map(formatCount)
}

/** One sentence that says whether the night is proven. */
export function verdict(found: Audit, record: CloseRecord): string {
  const expected = found.stages[0]?.total.expected ?? 0
  if (found.missingCount > 0) {
    return (
      `NOT complete: ${formatCount(found.missingCount)} missing. ` +
      `"nightjar replay --missing --night ${found.night}" sends exactly those again.`
    )
  }
  const lost = found.stages[0]?.total.outcomes.lost ?? 0
  if (lost > 0) {
    return (
      `NOT complete: Kafka's retention deleted ${formatCount(lost)} before they were read. ` +
      'The survey may still have them in its public archive.'
    )
  }
  if (record.state !== 'complete') return 'NOT complete: a source was not read to its end.'
  return `Complete: each of ${formatCount(expected)} occurrences is accounted for at every stage.`
}
