/**
 * The proof of a night: how long it takes to compare 1e6 and 1e7 occurrences at four stages, and to
 * name a thousand that were lost. No other broker does this, so there is no peer; a plain count of
 * distinct offsets per stage by the same engine, which proves less, stands beside it.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { DuckDBInstance } from '@duckdb/node-api'

import { formatCount, formatTable } from '../cli/text-table.ts'
import { auditNight } from '../conductor/audit.ts'
import { closeRecord } from '../conductor/close.ts'
import { readLedgerSets } from '../conductor/ledger-sets.ts'
import { openTable } from '../local/table.ts'

const night = '20261121'
const topic = `ztf_${night}_programid1`
const partitions = 16
const losses = 1000
const repeats = 5

const rows: string[][] = []
for (const occurrences of [1_000_000, 10_000_000]) rows.push(await measure(occurrences))
const heads = [
  'occurrences',
  'events',
  'audit s',
  'of it SQL s',
  'COUNT DISTINCT s',
  'losses named',
  'RSS MB',
]
process.stdout.write(formatTable(heads, rows))

async function measure(occurrences: number): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'nightjar-audit-'))
  try {
    const file = join(folder, 'warehouse.duckdb')
    await fillLedger(file, occurrences)
    const table = await openTable({ file, dataset: 'ztf_alerts', memoryLimitMb: 1024 })
    const ranges = Array.from({ length: partitions }, (_, partition) => ({
      topic,
      partition,
      low: 0n,
      high: BigInt(occurrences / partitions),
    }))
    const whole: number[] = []
    const sql: number[] = []
    let named = 0
    for (let i = 0; i < repeats; i++) {
      const start = performance.now()
      const ledger = await readLedgerSets(table.query, night, ranges)
      sql.push((performance.now() - start) / 1000)
      const audit = auditNight({ survey: 'ztf', night, ranges, ledger })
      const record = closeRecord(audit, [], new Date(0))
      whole.push((performance.now() - start) / 1000)
      named = record.stages.flatMap(({ missing }) => missing).length
    }
    const plain: number[] = []
    for (let i = 0; i < repeats; i++) {
      const start = performance.now()
      const count = `SELECT stage, COUNT(DISTINCT kafka_offset * 16 + kafka_partition) AS n
                     FROM ledger GROUP BY stage`
      for await (const _ of table.query(count));
      plain.push((performance.now() - start) / 1000)
    }
    await table.close()
    return [
      formatCount(occurrences),
      formatCount(occurrences * 4),
      median(whole).toFixed(2),
      median(sql).toFixed(2),
      median(plain).toFixed(2),
      formatCount(named),
      String(Math.round(process.memoryUsage().rss / 1e6)),
    ]
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** A ledger as a night leaves it, with a thousand occurrences lost in the archive. */
async function fillLedger(file: string, occurrences: number): Promise<void> {
  // The table is made by what makes it in life; its rows come from the engine's own generator.
  const made = await openTable({ file, dataset: 'ztf_alerts' })
  const { ledgerRow, formatLedgerEvent, ledgerEvent } = await import('../core/ledger.ts')
  const event = ledgerEvent({
    topic: 'other',
    partition: 0,
    offset: 0n,
    stage: 'intake',
    outcome: 'published',
    at: new Date(0),
  })
  await made.append(ledgerRow(formatLedgerEvent(event).data))
  await made.close()

  const instance = await DuckDBInstance.create(file, { threads: '2' })
  const connection = await instance.connect()
  const outcomes = {
    intake: 'published',
    archive: 'stored',
    warehouse: 'stored',
    exgalac: 'filtered',
  }
  const every = Math.floor(occurrences / losses)
  for (const [stage, outcome] of Object.entries(outcomes)) {
    const lost = stage === 'archive' ? `WHERE i % ${every} <> 7` : ''
    await connection.run(`
      INSERT INTO ztf_alerts.ledger BY NAME
      SELECT '${night}' AS night, '${stage}' AS stage, '${topic}' AS kafka_topic,
        CAST(i % ${partitions} AS INTEGER) AS kafka_partition, i // ${partitions} AS kafka_offset,
        1 AS span, 'ZTF26' || CAST(i % 100000 AS VARCHAR) AS objectId, 3611000000000000000 + i AS candid,
        '${outcome}' AS outcome, TIMESTAMP '2026-11-21 05:00:00' AS recorded_at
      FROM range(${occurrences}) AS r(i) ${lost}`)
  }
  connection.closeSync()
  instance.closeSync()
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0
}
