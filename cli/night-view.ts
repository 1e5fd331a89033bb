/** One look at a night, as a person reads it: what `nightjar conductor watch` and `status` show. */
import type { NightRecord } from '../conductor/night-record.ts'
import type { Observations } from '../conductor/step.ts'
import { formatCount, formatDuration, formatTable } from './text-table.ts'

export interface NightLook {
  at: number
  record: NightRecord
  seen: Observations
  /** Messages that each stage has to do yet, where the home has it. */
  backlog: Readonly<Record<string, number>>
}

/** Records that Kafka holds, and those that are committed; undefined where Kafka was not heard. */
export function countsOf({ seen }: NightLook): { held: number; lag: number } | undefined {
  const { topic, committed } = seen
  if (topic === undefined || committed === undefined) return undefined
  let held = 0
  let lag = 0
  for (const { topic: name, partition, low, high } of topic.ends) {
    const at = BigInt(committed[`${name}/${partition}`] ?? low)
    held += Number(BigInt(high) - BigInt(low))
    if (at < BigInt(high)) lag += Number(BigInt(high) - at)
  }
  return { held, lag }
}

/** Records a second between two looks: what came to the topic, and what was committed. */
export function ratesBetween(
  before: NightLook | undefined,
  now: NightLook,
): { came: number; done: number } | undefined {
  const [old, fresh] = [before && countsOf(before), countsOf(now)]
  if (before === undefined || old === undefined || fresh === undefined) return undefined
  const seconds = (now.at - before.at) / 1000
  if (seconds <= 0) return undefined
  const came = (fresh.held - old.held) / seconds
  const done = (fresh.held - fresh.lag - (old.held - old.lag)) / seconds
  return { came: Math.max(0, came), done: Math.max(0, done) }
}

/** One line, for a log. */
export function formatLine(look: NightLook, before?: NightLook): string {
  const { record, seen, backlog } = look
  const counts = countsOf(look)
  const rates = ratesBetween(before, look)
  const parts = [
    new Date(look.at).toISOString().slice(11, 19),
    record.state,
    `topic ${topicText(look)}`,
    counts === undefined ? 'lag unknown' : `lag ${formatCount(counts.lag)}`,
    ...(rates === undefined ? [] : [`${Math.round(rates.done)}/s`]),
    `consumer ${seen.consumer ?? 'unknown'}`,
    `to do ${formatCount(Object.values(backlog).reduce((sum, n) => sum + n, 0))}`,
    auditText(look),
  ]
  return `${parts.join(' · ')}\n`
}

/** The whole view. */
export function formatView(look: NightLook, before?: NightLook): string {
  const { record, seen, backlog, at } = look
  const utc = (ms: number): string =>
    `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')}Z`
  const left = (ms: number): string =>
    ms > at ? `in ${formatDuration((ms - at) / 1000)}` : `${formatDuration((at - ms) / 1000)} ago`
  const counts = countsOf(look)
  const rates = ratesBetween(before, look)
  const last = record.history.at(-1)
  const lines: [string, string][] = [
    ['state', `${record.state} since ${utc(record.since)}${last ? ` (${last.why})` : ''}`],
    [
      'dark',
      `${utc(record.dusk)} (${left(record.dusk)}) to ${utc(record.dawn)} (${left(record.dawn)})`,
    ],
    [
      'deadline',
      record.deadline === null ? 'none' : `${utc(record.deadline)} (${left(record.deadline)})`,
    ],
    ['topic', topicText(look)],
    ['consumer', `${seen.consumer ?? 'unknown'}`],
    [
      'lag',
      counts === undefined
        ? 'unknown'
        : `${formatCount(counts.lag)} of ${formatCount(counts.held)} not committed`,
    ],
    [
      'rates',
      rates === undefined
        ? '–'
        : `${rates.came.toFixed(1)}/s came, ${rates.done.toFixed(1)}/s done`,
    ],
    ['audit', auditText(look)],
  ]
  if (record.pending.length > 0) {
    lines.push(['pending', record.pending.map((action) => action.do).join(', ')])
  }
  const rows = Object.entries(backlog).map(([name, messages]) => [name, formatCount(messages)])
  const table = rows.length === 0 ? '' : `\n${formatTable(['stage', 'to do'], rows)}`
  const title = `Night ${record.night} of ${record.survey}, ${new Date(at).toISOString().slice(0, 19)}Z\n\n`
  return `${title}${lines.map(([name, text]) => `${name.padEnd(9)} ${text}\n`).join('')}${table}`
}

function topicText({ seen: { topic } }: NightLook): string {
  return topic === undefined ? 'unknown: Kafka does not answer' : topic.state.replace('_', ' ')
}

function auditText({ seen: { audit } }: NightLook): string {
  if (audit === undefined) return 'audit unknown'
  return audit.missing === 0 ? 'audit: nothing missing' : `audit: ${audit.missingText}`
}
