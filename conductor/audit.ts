/**
 * The proof: for every Kafka partition of a night, the offsets that exist, minus those that a stage
 * accounts for, must be nothing, at every stage. It is set arithmetic on the ledger and on the
 * watermarks; no counter is trusted.
 */
import { outcomes, type Outcome } from '../core/ledger.ts'
import type { Survey } from '../core/names.ts'
import type { Night } from '../core/night.ts'
import type { LateStage } from '../core/late-stage.ts'
import { intake, isFilterStage, readsOf, stages, stagesOf, type Stage } from '../core/pipeline.ts'
import {
  createBitmap,
  difference,
  hashBitmap,
  intersection,
  rangeBitmap,
  runs,
  union,
  type Bitmap,
} from './bitmap.ts'
import { publishedOn, type LedgerSets } from './ledger-sets.ts'

/** A partition's offsets that exist, as its source knows them. */
export interface Range {
  topic: string
  partition: number
  low: bigint
  high: bigint
}

export interface PartitionAudit {
  topic: string
  partition: number
  /** How many occurrences the stage owes an account of. */
  expected: number
  received: number
  /** Each occurrence once, by the best that became of it. */
  outcomes: Record<Outcome, number>
  missing: { first: bigint; count: number }[]
  missingCount: number
  /** What Kafka's retention deleted before it was read, and nobody has from elsewhere. */
  lost: { first: bigint; count: number }[]
  /** Occurrences that the ledger knows and the stage should not: outside the watermarks. */
  unexpected: number
  /** SHA-256 of the bitmap of each outcome over [low, high). */
  hashes: Partial<Record<Outcome, string>>
}

export interface StageAudit {
  stage: string
  partitions: PartitionAudit[]
  total: Omit<PartitionAudit, 'topic' | 'partition' | 'missing' | 'lost' | 'hashes'>
}

export interface Audit {
  survey: Survey
  night: Night
  ranges: Range[]
  stages: StageAudit[]
  /** Nothing is missing anywhere and nothing is lost. */
  complete: boolean
  missingCount: number
  /** Occurrences in the ledger far outside the watermarks; see `LedgerSets`. */
  strays: number
}

/**
 * Audit a night from its watermarks and its ledger. A stage that began late is held to what came since;
 * a night that was over by then has none of it.
 */
export function auditNight(options: {
  survey: Survey
  night: Night
  ranges: readonly Range[]
  ledger: LedgerSets
  lateStages?: readonly LateStage[]
}): Audit {
  const { survey, night, ledger, lateStages = [] } = options
  // By code units: the order must not follow the locale, the close record's digest rests on it.
  const ranges = [...options.ranges].sort((a, b) =>
    a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1,
  )
  const audits = [intake, ...stagesOf(survey)].map((stage) => auditStage(stage))
  const late = lateStages.map((begun) => auditStage(begun.stage, begun))
  audits.push(...late.filter(({ total }) => total.expected > 0 || total.received > 0))
  const missingCount = audits.reduce((count, { total }) => count + total.missingCount, 0)
  const { strays } = ledger
  const lost = audits.some(({ total }) => total.outcomes.lost > 0)
  const complete = missingCount === 0 && !lost
  return { survey, night, ranges, stages: audits, missingCount, strays, complete }

  function auditStage(stage: string, begun?: LateStage): StageAudit {
    const partitions = ranges.map((range) => auditPartition(stage, range, ledger, begun))
    return { stage, partitions, total: sum(partitions) }
  }
}

function auditPartition(
  stage: string,
  range: Range,
  ledger: LedgerSets,
  begun: LateStage | undefined,
): PartitionAudit {
  const { topic, partition, low, high } = range
  const all = rangeBitmap(low, high)
  const found = ledger.setsOf(stage, topic, partition)
  const received = union(found.values())
  const input = stage === intake ? all : inputOf(stage, range, ledger)
  const owed = begun === undefined ? input : owedLate(begun, range, input, received)
  const missing = difference(owed, received)

  // What came twice, say first as a dead letter and stored after its replay, counts as its best.
  const counts = Object.fromEntries(outcomes.map((outcome) => [outcome, 0])) as Record<
    Outcome,
    number
  >
  const hashes: Partial<Record<Outcome, string>> = {}
  let seen: Bitmap = createBitmap()
  let lost: Bitmap = createBitmap()
  for (const outcome of outcomes) {
    const set = found.get(outcome)
    if (set === undefined) continue
    const best = intersection(difference(set, seen), all)
    counts[outcome] = best.count()
    if (outcome === 'lost') lost = best
    if (counts[outcome] > 0) hashes[outcome] = hashBitmap(best, low, high)
    seen = union([seen, set])
  }
  return {
    topic,
    partition,
    expected: owed.count(),
    received: received.count(),
    outcomes: counts,
    missing: [...runs(missing)],
    missingCount: missing.count(),
    lost: [...runs(lost)],
    unexpected: difference(received, stage === intake ? all : owed).count(),
    hashes,
  }
}

/** What a stage is owed: all that was published on the topic it reads. */
function inputOf(stage: string, { topic, partition }: Range, ledger: LedgerSets): Bitmap {
  const reads = readsOf(stage)
  const writers = (Object.entries(stages) as [string, Stage][]).flatMap(([name, { writes }]) =>
    writes.includes(reads) ? [name] : [],
  )
  const late = isFilterStage(stage) && reads !== 'alert_data'
  const sources = reads === 'alert_data' ? [intake] : late ? [publishedOn(reads)] : writers
  return union(
    sources.flatMap((name) => ledger.setsOf(name, topic, partition).get('published') ?? []),
  )
}

/** What came since a stage began, and what it has seen of what was before. */
function owedLate(
  { from }: LateStage,
  { topic, partition, low, high }: Range,
  input: Bitmap,
  received: Bitmap,
): Bitmap {
  const begun = from.find((one) => one.topic === topic && one.partition === partition)
  if (begun === undefined || begun.offset <= low) return input
  const before = rangeBitmap(low, begun.offset < high ? begun.offset : high)
  return union([difference(input, before), intersection(input, received)])
}

function sum(partitions: readonly PartitionAudit[]): StageAudit['total'] {
  const total = (value: (partition: PartitionAudit) => number): number =>
    partitions.reduce((all, partition) => all + value(partition), 0)
  return {
    expected: total((partition) => partition.expected),
    received: total((partition) => partition.received),
    missingCount: total((partition) => partition.missingCount),
    unexpected: total((partition) => partition.unexpected),
    outcomes: Object.fromEntries(
      outcomes.map((outcome) => [outcome, total((partition) => partition.outcomes[outcome])]),
    ) as Record<Outcome, number>,
  }
}
