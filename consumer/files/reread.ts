/** Read chosen records of a file source again, whatever was committed. */
import type { Store } from '../../core/ports.ts'
import { formatProgress, parseProgress } from '../../core/progress.ts'
import type { SourceRecord } from '../source.ts'
import { openFileSource } from './source.ts'

/** The records of a source that `wanted` says yes to; everything else is passed over. */
export async function* rereadFiles(
  options: { from: string; topic: string; store: Store },
  wanted: (record: SourceRecord) => boolean,
  signal: AbortSignal,
): AsyncGenerator<SourceRecord> {
  const source = await openFileSource({ ...options, store: rewound(options.store) })
  for await (const record of source.records(signal)) if (wanted(record)) yield record
  await source.close()
}

/** A store in which every source stands at its beginning; nothing that is written to it is kept. */
function rewound(store: Store): Store {
  return {
    list: store.list,
    create: store.create,
    replace: () => Promise.resolve(null),
    async read(name) {
      const found = await store.read(name)
      if (found === null || !name.endsWith('.json')) return found
      const progress = parseProgress(found.data)
      for (const partition of progress.partitions) partition.next = partition.low
      for (const source of progress.sources) {
        source.files = 0
        const own = progress.partitions.find((partition) => partition.source === source.source)
        if (source.at !== undefined) source.at = own?.low ?? 0n
      }
      return { ...found, data: formatProgress(progress) }
    },
  }
}
