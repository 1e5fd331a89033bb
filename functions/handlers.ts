/** Every stage's handler, made from the answers it needs. A stage without one does not compile. */
import type { BucketWord, Instance, TopicWord } from '../core/names.ts'
import type { FilterStage, StageName } from '../core/pipeline.ts'
import type { Store, Table, Topic } from '../core/ports.ts'
import type { SchemaSource } from '../schemas/registry.ts'
import type { StageHandler } from './stage.ts'

type Made = (world: HandlerWorld) => Promise<StageHandler>

/** What the world gives to handlers. */
export interface HandlerWorld {
  at: Pick<Instance, 'survey'>
  topic(word: TopicWord): Promise<Topic>
  bucket(word: BucketWord): Promise<Store>
  table(): Promise<Table>
  schemas: SchemaSource
  /** Directory of a full model for fits; absent: the tables that are here. */
  salt2Dir?: string
  /** A redshift that is known of an object before its fit. */
  redshiftOf?: (objectId: string) => number | undefined
}

/**
 * How each stage's handler is made; only what a stage needs is opened, and only its code is loaded, so
 * that one stage alone starts fast.
 */
export const handlers: Record<StageName | FilterStage, Made> = {
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
  async salt2({ bucket, redshiftOf, salt2Dir, schemas, table, topic }) {
    const { createSalt2 } = await import('./salt2/salt2.ts')
    const { archivedStamps } = await import('./salt2/stamps.ts')
    const { openFitter } = await import('./salt2/fitter.ts')
    const { surroundingsOf } = await import('./salt2/surroundings.ts')
    const archive = await bucket('alert_avro_bucket')
    return createSalt2({
      store: await bucket('sncosmo'),
      table: await table(),
      fits: await topic('salt2'),
      schemas,
      openFitter: () => openFitter(salt2Dir),
      surroundings: surroundingsOf(redshiftOf),
      stamps: (id) => archivedStamps(archive, schemas, id),
    })
  },
  filter: filtering('filter'),
  filter_fits: filtering('filter_fits'),
}

/** How long an instance in the cloud uses a set of filters: each look is a listing, which is paid. */
const refreshMs = 5000

function filtering(stage: FilterStage): Made {
  return async ({ at: { survey }, bucket, schemas, topic }) => {
    const { createFilter } = await import('./filter/filter.ts')
    const archive = (): Promise<Store> => bucket('alert_avro_bucket')
    const store = await bucket('broker_files')
    return createFilter({ stage, survey, store, archive, topic, schemas, refreshMs })
  }
}
