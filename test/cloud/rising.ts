/**
 * A night that comes no faster than it is taken. Google's Pub/Sub emulator holds nothing back from a reader
 * that is behind: it counts as delivered what still lies in its own buffers, and once that takes longer than the
 * ack deadline it sends all of it again, and again, and keeps every copy. So the records of a large night
 * come to the watched folder in portions, each when little of those before is still under way: at no time
 * more than a reader holds itself, whose leases it extends. What is under way is told by the ledger.
 */
import { once } from 'node:events'
import { mkdirSync, renameSync } from 'node:fs'
import { dirname, join } from 'node:path'

import { openTopics } from '../../cloud/topics.ts'
import { topicName, type Instance } from '../../core/names.ts'
import { stages, stagesOf, type Stage } from '../../core/pipeline.ts'
import type { Truth } from '../../simulator/truth.ts'
import type { Night } from '../night/harness.ts'

export interface Rising {
  /** Let the next records come; answers them, none at the end. */
  next(count: number): Truth[]
  /** Resolves when at most so many of those that have come are still to be accounted for. */
  takenBut(most: number): Promise<void>
  close(): Promise<void>
}

/** For how long nothing at all may be accounted for: a killed reader's leases lapse after a minute. */
const silenceMs = 300_000

/** Take a night's records out of its folder, to let them come one by one. */
export async function createRising(
  night: Night,
  at: Instance,
  pubsubEmulator: string,
): Promise<Rising> {
  const reserve = `${night.from}-below`
  renameSync(night.from, reserve)
  const records = night.truths.filter(({ kind }) => kind !== 'gap')
  for (const truth of records) {
    mkdirSync(dirname(join(night.from, night.nameOf(truth))), { recursive: true })
  }

  /** What the stages that take every packet have still to say, by stage and occurrence. */
  const awaited = new Set<string>()
  const takers = stagesOf(at.survey).filter(
    (name) => (stages[name] as Stage).reads === 'alert_data',
  )
  const topics = await openTopics({ project: at.project, emulator: pubsubEmulator })
  const name = 'rising'
  await topics.pubsub.topic(topicName(at, 'ledger')).createSubscription(name)
  const ledger = topics.pubsub.subscription(name)
  ledger.on('message', (message) => {
    const { stage, kafka_partition, kafka_offset } = JSON.parse(String(message.data)) as Heard
    message.ack()
    if (awaited.delete(`${stage} ${kafka_partition} ${kafka_offset}`)) ledger.emit('heard')
  })

  let come = 0
  return {
    next(count) {
      const portion = records.slice(come, (come += count))
      for (const truth of portion) {
        for (const taker of takers) awaited.add(`${taker} ${truth.partition} ${truth.offset}`)
        const file = night.nameOf(truth)
        renameSync(join(reserve, file), join(night.from, file))
      }
      return portion
    },
    async takenBut(most) {
      while (awaited.size > most * takers.length) {
        await once(ledger, 'heard', { signal: AbortSignal.timeout(silenceMs) }).catch(() => {
          const [first] = awaited
          throw new Error(`${awaited.size} are not accounted for, of them ${first}`)
        })
      }
    },
    async close() {
      await ledger.close()
      await topics.close()
    },
  }
}

interface Heard {
  stage: string
  kafka_partition: number
  kafka_offset: string
}
