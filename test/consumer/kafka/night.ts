/** A simulated night put into a real Kafka, record for record at the offsets that its truth names. */
import { join } from 'node:path'

import type { Truth } from '../../../simulator/truth.ts'
import type { Night } from '../../night/harness.ts'
import type { Compression, Kafka, KafkaRecord } from './broker.ts'

/**
 * Make the night's topic and fill it. A gap becomes what it is in life: one offset the commit marker
 * behind a record, several an aborted transaction, and those at the very beginning deleted records.
 */
export async function loadNight(
  kafka: Kafka,
  night: Night,
  options: {
    compression?: Compression
    replicas?: number[][]
    partitions?: number
    part?: (truth: Truth) => boolean
  } = {},
): Promise<void> {
  const { compression = 'lz4', partitions = 4, replicas, part = () => true } = options
  const { topic } = night
  if (options.part === undefined || replicas !== undefined || options.partitions !== undefined) {
    const layout = replicas === undefined ? { partitions } : { replicas }
    await kafka.hand({ do: 'create', topic, ...layout })
  }
  const byPartition = Map.groupBy(night.truths.filter(part), ({ partition }) => partition)
  for (const [partition, truths] of byPartition) {
    let batch: KafkaRecord[] = []
    const flush = async (transaction?: 'commit'): Promise<void> => {
      if (batch.length === 0) return
      const records = batch
      batch = []
      await kafka.hand({
        do: 'produce',
        topic,
        records,
        compression,
        ...(transaction && { transaction }),
      })
    }
    const sorted = [...truths].sort((a, b) => a.offset - b.offset)
    for (let i = 0; i < sorted.length; i++) {
      const truth = sorted[i] as Truth
      if (truth.kind !== 'gap') {
        const file = join(night.from, night.nameOf(truth))
        const next = sorted[i + 1]
        const single = next?.kind === 'gap' && sorted[i + 2]?.kind !== 'gap'
        if (single) await flush()
        batch.push({ partition, timestamp: truth.timestamp, file })
        if (!single) continue
        await flush('commit')
        i++
        continue
      }
      await flush()
      let run = 1
      while (sorted[i + run]?.kind === 'gap') run++
      const blank = Array.from({ length: Math.max(1, run - 1) }, () => ({ partition }))
      if (i === 0 && run === 1) {
        await kafka.hand({ do: 'produce', topic, records: blank })
        await kafka.hand({ do: 'truncate', topic, partition, before: 1 })
      } else {
        await kafka.hand({ do: 'produce', topic, records: blank, transaction: 'abort' })
      }
      i += run - 1
    }
    await flush()
  }
}
