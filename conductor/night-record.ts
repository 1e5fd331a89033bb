/**
 * What a conductor knows of a night between two ticks: one small JSON object, written by compare-and-set.
 * Instants are milliseconds since 1970, offsets are decimal strings.
 */
import type { Survey } from '../core/names.ts'
import type { Night } from '../core/night.ts'

/**
 * `idle`: before its dusk. `waiting`: for the topic to have data. `running`: alerts come in. `draining`:
 * nothing new, the consumer catches up. `auditing`: the proof is sought. `complete`, `incomplete`,
 * `no_alerts`: how a night ends. `reopened`: alerts came after its end; it runs again. `failed`: nothing
 * can be said of it, since its source could not be asked.
 */
export const nightStates = [
  'idle',
  'waiting',
  'running',
  'draining',
  'auditing',
  'complete',
  'incomplete',
  'no_alerts',
  'reopened',
  'failed',
] as const

export type NightState = (typeof nightStates)[number]

export interface Transition {
  from: NightState
  to: NightState
  at: number
  why: string
}

/** The offsets [low, high) that Kafka holds of a partition. */
export interface Ends {
  topic: string
  partition: number
  low: string
  high: string
}

export type Action =
  /** Publish that the night has moved. */
  | { do: 'announce'; move: Transition }
  /** Forget what the original's counting subscriptions hold: seek them to now. */
  | { do: 'reset_counters' }
  /** Let the stages receive. */
  | { do: 'attach_stages' }
  | { do: 'detach_stages' }
  | { do: 'start_consumer' }
  /** Drain the consumer and stop its machine. */
  | { do: 'stop_consumer' }
  /** Send again what the audit misses, each to the stage that lacks it. */
  | { do: 'replay_missing' }
  /** Store the close record of the audit with this digest. */
  | { do: 'close'; digest: string; state: 'complete' | 'incomplete' }
  | { do: 'report' }
  /** `at` tells an alarm from one with the same words of an earlier opening of the night. */
  | { do: 'alarm'; key: string; text: string; at: number }
  /** The conductor's own machine is not needed until the next night. */
  | { do: 'power_off' }

export interface NightRecord {
  survey: Survey
  night: Night
  state: NightState
  /** When this state was entered. */
  since: number
  /** When this state ends at the latest; `null` where a night may rest for ever. */
  deadline: number | null
  dusk: number
  dawn: number
  /** What Kafka held when it was last seen to grow, and since when it has not grown. */
  ends: Ends[]
  stableSince: number | null
  /** Alerts came after the night had ended once. */
  late: boolean
  replayedAt: number | null
  auditedAt: number | null
  /** How many the last audit missed, and since when it is so many. */
  owed: { missing: number; since: number } | null
  closed: { at: number; state: 'complete' | 'incomplete'; digest: string; ends: Ends[] } | null
  /** Alarms that were raised since the night was (re)opened, so that each is raised once. */
  alarms: string[]
  /** Actions decided and not known to be done. */
  pending: Action[]
  /** Who may act, and until when; and the process that is, where one machine can tell that it died. */
  lease: { owner: string; until: number; process?: string } | null
  /** The latest transitions, oldest first. */
  history: Transition[]
}

/** A night before anything is known of it. */
export function newNightRecord(
  survey: Survey,
  night: Night,
  dark: { dusk: Date; dawn: Date },
  now: number,
): NightRecord {
  return {
    survey,
    night,
    state: 'idle',
    since: now,
    deadline: null,
    dusk: dark.dusk.getTime(),
    dawn: dark.dawn.getTime(),
    ends: [],
    stableSince: null,
    late: false,
    replayedAt: null,
    auditedAt: null,
    owed: null,
    closed: null,
    alarms: [],
    pending: [],
    lease: null,
    history: [],
  }
}
