/**
 * The night conductor as a function of the cloud: each request of Cloud Scheduler is one tick of every
 * night that is due. It keeps nothing between requests, so any of them may die.
 */
import { createLog } from '../cloud/log.ts'
import { sentenceOf } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import { variables } from '../core/environment.ts'
import { tickDue } from './conducting.ts'
import type { World } from './world.ts'

/** What was done, for who reads the scheduler's log. */
export interface Conducted {
  nights: { night: string; outcome: string; state: string; why: string; left: string[] }[]
  failed: { night: string; reason: string }[]
}

export interface ConductingOptions {
  env: Readonly<Record<string, string | undefined>>
  write(line: string): void
  now(): Date
  /** Fires when this instance is to end: what is begun is left to the next tick. */
  signal: AbortSignal
}

/** The only folder of a function that may be written to; it is memory. */
const home = '/tmp/nightjar'

/** Tick once. Rejects where it could not even be begun. */
export async function conductOnce(options: ConductingOptions): Promise<Conducted> {
  const { env, write, now, signal } = options
  const log: Log = createLog(write)
  const world: World = {
    out: write,
    // A warning about the configuration is one line of the log.
    err: (text) => write(`${JSON.stringify({ severity: 'WARNING', message: text.trim() })}\n`),
    tty: false,
    columns: 100,
    env,
    now,
    signal,
    exit() {},
  }
  const failed: Conducted['failed'] = []
  const ticks = await tickDue(
    world,
    { home, survey: env[variables.survey] ?? 'ztf', cloud: true },
    (night, error) => {
      const reason = sentenceOf(error)
      log('tick_failed', { night, reason })
      failed.push({ night, reason })
    },
    log,
  )
  const nights = ticks.map(({ outcome, record, why, left }) => ({
    night: record.night,
    outcome,
    state: record.state,
    why,
    left: left.map((action) => action.do),
  }))
  return { nights, failed }
}

/** Whether all was done that was to be done; else the scheduler is to see a failure. */
export const isDone = ({ nights, failed }: Conducted): boolean =>
  failed.length === 0 && nights.every(({ left }) => left.length === 0)
