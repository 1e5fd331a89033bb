/** The times by which a night is judged, in milliseconds. They bound; no fixed clock decides. */
export interface NightRules {
  /** How long before dusk the topic is looked for. */
  lead: number
  /** How long after dawn a night without a topic, or with an empty one, ends as `no_alerts`. */
  noAlertsAfter: number
  /** How long after dawn at the earliest a night may be drained. */
  gate: number
  /** How long Kafka's end offsets must have stood still. */
  stable: number
  /** How long after dawn, or after it was reopened, a night that still grows is audited all the same. */
  runLimit: number
  /** How long the consumer may take to catch up. */
  drainLimit: number
  /** How long the stages and the ledger may take. */
  auditLimit: number
  /** How long what is missing must stand still before it is sent again. */
  settle: number
  /** How often an incomplete night is audited again. */
  reauditEvery: number
  /** How long Kafka keeps a topic: so long a night may be reopened. */
  retention: number
}

const minute = 60_000
const hour = 60 * minute

/** ZTF's and Rubin's topics are kept for seven days; ZTF's reprocessed batches come within hours of dawn. */
export const defaultRules: NightRules = {
  lead: 2 * hour,
  noAlertsAfter: 4 * hour,
  gate: hour,
  stable: 90 * minute,
  runLimit: 20 * hour,
  drainLimit: 2 * hour,
  auditLimit: 3 * hour,
  settle: 10 * minute,
  reauditEvery: hour,
  retention: 7 * 24 * hour,
}
