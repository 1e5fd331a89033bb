/** The record of a closed night: what was proven, with the hash of every bitmap it rests on. */
import { createHash } from 'node:crypto'

import type { Store } from '../core/ports.ts'
import type { Audit } from './audit.ts'

export interface CloseRecord {
  survey: string
  night: string
  state: 'complete' | 'incomplete'
  at: string
  /** SHA-256 over every bitmap's hash, in order: two audits of the same night compare by this alone. */
  digest: string
  partitions: { topic: string; partition: number; low: string; high: string }[]
  stages: {
    stage: string
    expected: number
    received: number
    outcomes: Record<string, number>
    missing: string[]
    /** Deleted by Kafka's retention before it was read. */
    lost: string[]
    bitmaps: { topic: string; partition: number; outcome: string; sha256: string }[]
  }[]
  unfinished: readonly string[]
  /** Each version of a named filter that judged alerts of the night; absent where none did. */
  filters?: readonly { name: string; version: number; asked: number; selected: number }[]
}

/** What is written down of an audit. */
export function closeRecord(audit: Audit, unfinished: readonly string[], at: Date): CloseRecord {
  const stages = audit.stages.map(({ stage, total, partitions }) => ({
    stage,
    expected: total.expected,
    received: total.received,
    outcomes: total.outcomes,
    missing: partitions.flatMap(({ topic, partition, missing }) =>
      missing.map(({ first, count }) => formatRun(topic, partition, first, count)),
    ),
    lost: partitions.flatMap(({ topic, partition, lost }) =>
      lost.map(({ first, count }) => formatRun(topic, partition, first, count)),
    ),
    bitmaps: partitions.flatMap(({ topic, partition, hashes }) =>
      Object.entries(hashes).map(([outcome, sha256]) => ({ topic, partition, outcome, sha256 })),
    ),
  }))
  const partitions = audit.ranges.map(({ topic, partition, low, high }) => ({
    topic,
    partition,
    low: String(low),
    high: String(high),
  }))
  const bitmaps = stages.map(({ stage, bitmaps: list }) => ({ stage, bitmaps: list }))
  const digest = createHash('sha256').update(JSON.stringify({ partitions, bitmaps })).digest('hex')
  const state = audit.complete && unfinished.length === 0 ? 'complete' : 'incomplete'
  return {
    survey: audit.survey,
    night: audit.night,
    state,
    at: at.toISOString(),
    digest,
    partitions,
    stages,
    unfinished,
  }
}

/** Store the record under the night's next number; answers its name. */
export async function storeCloseRecord(store: Store, record: CloseRecord): Promise<string> {
  const folder = `audit/${record.survey}_${record.night}/`
  let number = 1
  for await (const _ of store.list(folder)) number++
  for (;;) {
    const name = `${folder}close-${String(number).padStart(4, '0')}.json`
    const data = Buffer.from(`${JSON.stringify(record, null, 1)}\n`)
    if ((await store.create(name, data)).created) return name
    number++
  }
}

/** `ztf_20261121_programid1[3]@1205`, or `@1205–1210` for a run. */
export function formatRun(topic: string, partition: number, first: bigint, count: number): string {
  const last = count > 1 ? `–${first + BigInt(count) - 1n}` : ''
  return `${topic}[${partition}]@${first}${last}`
}
