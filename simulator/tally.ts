/** The sums of a simulated night, as its summary file says them. */
import type { SimulationOptions } from './night.ts'
import type { Truth } from './truth.ts'

export interface Summary {
  topic: string
  night: string
  options: Omit<SimulationOptions, 'night'>
  /** Records in Kafka: alerts, duplicates, late and damaged ones, without the gaps. */
  records: number
  /** Different alerts that arrive intact at least once. */
  alerts: number
  bytes: number
  kinds: Record<string, number>
  classes: Record<string, number>
  versions: Record<string, number>
  /** Intact alerts that the extragalactic filter should pass, and those that are pure besides. */
  extragalactic: number
  pure: number
  /** Kafka's end offset of each partition. */
  ends: number[]
  /** Kafka's timestamps, ISO 8601 UTC. */
  first: string
  last: string
}

/** Count truths as they pass. */
export function createTally(topic: string, { night, ...options }: SimulationOptions) {
  const sums = { records: 0, alerts: 0, bytes: 0, extragalactic: 0, pure: 0 }
  const kinds = new Map<string, number>()
  const classes = new Map<string, number>()
  const versions = new Map<string, number>()
  const ends = new Array<number>(options.partitions).fill(0)
  let first = Infinity
  let last = -Infinity

  return { add, summary }

  function add(truth: Truth, bytes: number): void {
    count(kinds, truth.kind)
    ends[truth.partition] = truth.offset + 1
    if (truth.kind === 'gap') return
    sums.records += 1
    sums.bytes += bytes
    first = Math.min(first, truth.timestamp)
    last = Math.max(last, truth.timestamp)
    if (truth.kind !== 'alert' && truth.kind !== 'late') return
    sums.alerts += 1
    count(classes, truth.class)
    count(versions, truth.schemavsn)
    if (truth.extragalactic) sums.extragalactic += 1
    if (truth.extragalactic && truth.pure) sums.pure += 1
  }

  function summary(): Summary {
    return {
      topic,
      night,
      options,
      records: sums.records,
      alerts: sums.alerts,
      bytes: sums.bytes,
      kinds: sorted(kinds),
      classes: sorted(classes),
      versions: sorted(versions),
      extragalactic: sums.extragalactic,
      pure: sums.pure,
      ends,
      first: sums.records > 0 ? new Date(first).toISOString() : '',
      last: sums.records > 0 ? new Date(last).toISOString() : '',
    }
  }
}

function count(sums: Map<string, number>, key: string | undefined): void {
  if (key !== undefined) sums.set(key, (sums.get(key) ?? 0) + 1)
}

function sorted(sums: ReadonlyMap<string, number>): Record<string, number> {
  return Object.fromEntries([...sums].sort(([a], [b]) => (a < b ? -1 : 1)))
}
