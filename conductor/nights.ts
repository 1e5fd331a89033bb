/** Which nights a broker knows of, and up to where their topics reach. */
import { lateStages, type LateStage } from '../core/late-stage.ts'
import { nightOfTopic, type Night } from '../core/night.ts'
import type { Store } from '../core/ports.ts'
import { listProgress, type TopicProgress } from '../core/progress.ts'
import type { Range } from './audit.ts'

export interface KnownNight {
  night: Night
  ranges: Range[]
  /** Sources that were not read to their end, so that more may come. */
  unfinished: string[]
  /** Where the records of each partition come from. */
  topics: TopicProgress[]
  /** Stages that began when somebody wanted them. */
  lateStages: LateStage[]
}

/** The nights whose topics were taken in, oldest first. */
export async function knownNights(store: Store): Promise<KnownNight[]> {
  const nights = new Map<Night, KnownNight>()
  const late = await lateStages(store)
  for (const progress of await listProgress(store)) {
    const night = nightOfTopic(progress.topic)
    if (night === undefined) continue
    const known = nights.get(night) ?? {
      ...{ night, ranges: [], unfinished: [], topics: [] },
      lateStages: late,
    }
    nights.set(night, known)
    known.topics.push(progress)
    for (const { partition, low, high } of progress.partitions) {
      known.ranges.push({ topic: progress.topic, partition, low, high })
    }
    for (const { source, ended } of progress.sources) if (!ended) known.unfinished.push(source)
  }
  return [...nights.values()].sort((a, b) => a.night.localeCompare(b.night))
}
