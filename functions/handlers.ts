/** Every stage's handler, made from the answers it needs. A stage without one does not compile. */
import type { BucketWord, TopicWord } from '../core/names.ts'
import type { StageName } from '../core/pipeline.ts'
import type { Store, Table, Topic } from '../core/ports.ts'
import type { SchemaSource } from '../schemas/registry.ts'
import { createArchive } from './archive/archive.ts'
import { createExgalac } from './exgalac/exgalac.ts'
import type { StageHandler } from './stage.ts'
import { createWarehouse } from './warehouse/warehouse.ts'

/** What the world gives to handlers. */
export interface HandlerWorld {
  topic(word: TopicWord): Promise<Topic>
  bucket(word: BucketWord): Promise<Store>
  table(): Promise<Table>
  schemas: SchemaSource
}

/** How each stage's handler is made; only what a stage needs is opened. */
export const handlers: Record<StageName, (world: HandlerWorld) => Promise<StageHandler>> = {
  archive: async ({ bucket, schemas }) =>
    createArchive({ store: await bucket('alert_avro_bucket'), schemas }),
  warehouse: async ({ table, schemas }) => createWarehouse({ table: await table(), schemas }),
  exgalac: async ({ topic, schemas }) =>
    createExgalac({ transients: await topic('exgalac_trans'), schemas }),
}
