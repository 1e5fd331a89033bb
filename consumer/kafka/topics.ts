/**
 * Is a night's topic there, and is there anything in it? A topic that is advertised may be empty, or
 * its records may have expired: its name in a list says nothing, watermarks do.
 */
import type { Admin, Kafka } from 'kafkajs'

import type { Log } from '../../core/log.ts'
import { sentenceOf } from '../../core/errors.ts'
import { readWatermarks, type Watermarks } from './watermarks.ts'

/** `expired`: records were there, and retention has deleted all of them. */
export type TopicState = 'absent' | 'empty' | 'has data' | 'expired'

export interface TopicReport {
  topic: string
  state: TopicState
  partitions: Watermarks[]
}

/** Do something with an admin connection of its own. */
export async function withAdmin<T>(kafka: Kafka, work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = kafka.admin({ retry: { initialRetryTime: 200, maxRetryTime: 2000, retries: 3 } })
  try {
    await admin.connect()
    return await work(admin)
  } finally {
    await admin.disconnect().catch(() => {})
  }
}

/** Ask for a topic by its exact name. A probe never creates it. */
export async function describeTopic(
  admin: Admin,
  topic: string,
  group?: string,
): Promise<TopicReport> {
  try {
    await admin.fetchTopicMetadata({ topics: [topic] })
  } catch (error) {
    if (isUnknownTopic(error)) return { topic, state: 'absent', partitions: [] }
    throw error
  }
  const partitions = await readWatermarks(admin, topic, group)
  return { topic, state: stateOf(partitions), partitions }
}

/** How many records there are; compaction and control records make it too large, never too small. */
export function recordsIn({ partitions }: Pick<TopicReport, 'partitions'>): bigint {
  return partitions.reduce((sum, { low, high }) => sum + high - low, 0n)
}

function stateOf(partitions: readonly Watermarks[]): TopicState {
  if (partitions.some(({ low, high }) => high > low)) return 'has data'
  return partitions.some(({ high }) => high > 0n) ? 'expired' : 'empty'
}

function isUnknownTopic(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ('type' in cause && cause.type === 'UNKNOWN_TOPIC_OR_PARTITION') return true
  }
  return false
}

export interface WaitOptions {
  topic: string
  /** Asks once, by a connection of its own, so that one bad connection does not spoil the wait. */
  probe: () => Promise<TopicReport>
  /** Milliseconds to wait at most. */
  deadlineMs: number
  pollMs?: number
  signal: AbortSignal
  log: Log
  /** What is waited for; a topic that is there and empty may be enough for some. */
  enough?: (state: TopicState) => boolean
}

/**
 * Ask again and again until the topic has data. Answers the last report, which may still say that it
 * has none: a night without alerts is a normal night. A probe that fails says nothing about the topic.
 */
export async function waitForTopic(options: WaitOptions): Promise<TopicReport> {
  const { topic, deadlineMs, pollMs = 30_000, signal, log } = options
  const enough = options.enough ?? ((state: TopicState) => state === 'has data')
  const end = performance.now() + deadlineMs
  let last: TopicReport = { topic, state: 'absent', partitions: [] }
  let said = ''
  for (;;) {
    try {
      last = await options.probe()
      const records = String(recordsIn(last))
      if (said !== last.state) log('topic_probed', { topic, state: last.state, records })
      said = last.state
      if (enough(last.state)) return last
    } catch (error) {
      log('topic_probed', { topic, state: `unknown: ${sentenceOf(error)}`, records: '?' })
    }
    const left = end - performance.now()
    if (left <= 0 || signal.aborted) return last
    // Many consumers must not ask in step.
    await pause(Math.min(left, pollMs * (0.8 + 0.4 * Math.random())), signal)
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })
}
