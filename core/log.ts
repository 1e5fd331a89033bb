/**
 * What programs say while they run, as typed events: a name in the past tense and its facts. A writer
 * turns them into a line of JSON in the cloud and a short line for a person here. One event a batch,
 * never one an alert.
 */
export interface Events {
  intake_started: { from: string }
  intake_ended: { records: number; bytes: number }
  intake_progressed: { records: number; bytes: number; inFlight: number }
  offsets_committed: { topic: string; partitions: number }
  offsets_missing: { topic: string; partition: number; from: string; count: string }
  offsets_lost: { topic: string; partition: number; from: string; count: string }
  commit_retried: { topic: string; reason: string }
  partitions_assigned: { topic: string; partitions: number[]; group: string }
  topic_probed: { topic: string; state: string; records: string }
  publish_retried: { occurrence: string; reason: string; attempt: number }
  message_dead_lettered: { stage: string; occurrence: string; code: string; reason: string }
  message_retried: { stage: string; occurrence: string; reason: string; attempt: number }
  stage_failed: { stage: string; reason: string }
  kafka_said: { level: 'warning' | 'error'; namespace: string; message: string }
  schema_accepted: { id: number; against: number | undefined; changes: string[] }
  schema_parked: { id: number; against: number | undefined; changes: string[] }
  schema_unavailable: { id: number; reason: string }
  broker_started: { home: string; survey: string; stages: string[] }
  metrics_served: { url: string }
  broker_stopped: { reason: string }
  night_moved: { night: string; from: string; to: string; why: string }
  action_done: { night: string; action: string }
  action_failed: { night: string; action: string; reason: string }
  action_idle: { night: string; action: string; why: string }
  alarm_raised: { night: string; key: string; text: string }
  /** A night's tick failed as a whole; the next tick is not hindered. */
  tick_failed: { night: string; reason: string }
  notice_sent: { night: string; key: string; channel: string }
  notice_retried: { night: string; key: string; channel: string; attempts: number; reason: string }
  notice_dropped: { night: string; key: string; channel: string; attempts: number; reason: string }
  night_unseen: { night: string; what: string; reason: string }
  machine_started: { machine: string; night: string }
  machine_killed: { machine: string; pid: number }
  gateway_started: { gateway: string; listening: string[]; metrics?: string }
  gateway_stopped: { gateway: string; reason: string }
  client_refused: { ident: string; fault: string; reason: string }
  credential_failed: { ident: string; reason: string }
  credentials_reloaded: { file: string; idents: number }
  certificate_reloaded: { file: string }
  reload_retried: { file: string; reason: string }
  feed_failed: { channel: string; reason: string }
  feed_retried: { channel: string; reason: string }
  feed_withheld: { channel: string; reason: string }
  voevent_refused: { peer: string; reason: string }
  voevent_withheld: { bytes: number; reason: string }
  subscriber_came: { peer: string }
  subscriber_left: { peer: string; reason: string }
  upstream_linked: { peer: string }
  upstream_retried: { peer: string; reason: string; seconds: number }
  handler_failed: { handler: string; ivorn: string; reason: string }
  handler_said: { handler: string; text: string }
  whitelist_bypassed: { endpoint: string }
  control_opened: { service: string; listening: string[] }
  control_asked: { command: string; peer: string }
  control_refused: { peer: string; reason: string }
  memory_told: { residentMb: number; heapMb: number; outsideMb: number }
}

export type Log = <Name extends keyof Events>(name: Name, facts: Events[Name]) => void

const urgencies: Partial<Record<keyof Events, 'WARNING' | 'ERROR'>> = {
  offsets_missing: 'WARNING',
  publish_retried: 'WARNING',
  message_dead_lettered: 'WARNING',
  message_retried: 'WARNING',
  kafka_said: 'WARNING',
  offsets_lost: 'ERROR',
  commit_retried: 'WARNING',
  stage_failed: 'ERROR',
  schema_parked: 'ERROR',
  schema_unavailable: 'ERROR',
  action_failed: 'ERROR',
  tick_failed: 'ERROR',
  alarm_raised: 'ERROR',
  notice_retried: 'WARNING',
  notice_dropped: 'ERROR',
  night_unseen: 'WARNING',
  client_refused: 'WARNING',
  credential_failed: 'ERROR',
  reload_retried: 'WARNING',
  feed_failed: 'ERROR',
  feed_retried: 'WARNING',
  feed_withheld: 'WARNING',
  voevent_refused: 'WARNING',
  voevent_withheld: 'WARNING',
  upstream_retried: 'WARNING',
  handler_failed: 'WARNING',
  whitelist_bypassed: 'WARNING',
  control_refused: 'WARNING',
  machine_killed: 'ERROR',
}

/** How urgent an event is, for writers that have levels. */
export function severityOf(name: keyof Events): 'INFO' | 'WARNING' | 'ERROR' {
  return urgencies[name] ?? 'INFO'
}
