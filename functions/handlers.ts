/** Every stage's handler, made from the answers it needs. A stage without one does not compile. */
import type { BucketWord, TopicWord } from '../core/names.ts'
import type { StageName } from '../core/pipeline.ts'
import type { Store, Table, Topic } from '../core/ports.ts'
import type { SchemaSource } from '../schemas/registry.ts'
import type { StageHandler } from './stage.ts'

/** What the world gives to handlers. */
export interface HandlerWorld {
  topic(word: TopicWord): Promise<Topic>
  bucket(word: BucketWord): Promise<Store>
  table(): Promise<Table>
  schemas: SchemaSource
}

/**
 * How each stage's handler is made; only what a stage needs is opened, and only its code is loaded, so
 * that one stage alone starts fast.
 */
export const handlers: Record<StageName, (world: HandlerWorld) => Promise<StageHandler>> = {
  archive: async ({ bucket, schemas }) => {
    const { createArchive } = await import('./archive/archive.ts')
    return createArchive({ store: await bucket('alert_avro_bucket'), schemas })
  },
  warehouse: async ({ table, schemas }) => {
    const { createWarehouse } = await import('./warehouse/warehouse.ts')
    return createWarehouse({ table: await table(), schemas })
  },
  exgalac: async ({ topic, schemas }) => {
    const { createExgalac } = await import('./exgalac/exgalac.ts')
    return createExgalac({ transients: await topic('exgalac_trans'), schemas })
  },
}
