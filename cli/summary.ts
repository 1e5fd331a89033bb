/** What a person reads at the end of a run. */
import type { Ground } from '../local/broker.ts'
import { formatAudit, verdict, type NightAudit } from './audit.ts'
import type { Broker } from './broker.ts'
import { formatBytes, formatCount, formatDuration, formatTable } from './text-table.ts'
import type { World } from './world.ts'

/** The summary of a run: what came, what became of it by stage, what stands out, and the proof. */
export async function formatSummary(options: {
  world: World
  ground: Ground
  broker: Broker
  taken: { records: number; bytes: number }
  seconds: number
  audits: readonly NightAudit[]
}): Promise<string> {
  const { ground, broker, taken, seconds, audits } = options
  const rate = taken.records / seconds
  let text =
    `\nTook in ${formatCount(taken.records)} alerts (${formatBytes(taken.bytes)}) ` +
    `in ${formatDuration(seconds)}: ${Math.round(rate)} alerts/s.\n`
  for (const one of audits) {
    const { audit, record } = one
    text += `\nNight ${audit.night}\n`
    const rows = audit.stages.map(({ stage, total }) => [
      stage,
      formatCount(total.received),
      ...Object.values(total.outcomes).map(formatCount),
      formatCount(total.missingCount),
    ])
    const heads = Object.keys(audit.stages[0]?.total.outcomes ?? {})
    text += formatTable(
      ['stage', 'received', ...heads.map((head) => head.replace('_', '-')), 'missing'],
      rows,
    )
    text +=
      record.state === 'complete'
        ? `${verdict(audit, record)}\nProof: ${one.stored}, digest ${record.digest.slice(0, 16)}…\n`
        : formatAudit(one, 20)
  }
  const reasons = await deadLetterReasons(broker)
  if (reasons !== '') text += `\nDead letters by reason\n${reasons}`
  return `${text}\nEverything is in ${ground.home.path}\n`
}

async function deadLetterReasons(broker: Broker): Promise<string> {
  const rows: string[][] = []
  const sql = `
    SELECT stage, REGEXP_REPLACE(reason, '[0-9]+', '#', 'g') AS reason,
           COUNT(DISTINCT (kafka_topic, kafka_partition, kafka_offset)) AS n
    FROM ledger WHERE outcome = 'dead_lettered'
    GROUP BY ALL ORDER BY n DESC, reason, stage LIMIT 12`
  for await (const { stage, reason, n } of broker.query(sql)) {
    rows.push([formatCount(Number(n)), String(stage), String(reason).slice(0, 100)])
  }
  return rows.length === 0 ? '' : formatTable(['alerts', 'stage', 'reason'], rows)
}
