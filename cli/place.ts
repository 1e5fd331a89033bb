/** Where a verb's broker keeps things: a home directory, or an instance in the cloud. */
import type { Topic } from '../core/ports.ts'
import { openKnownGround } from '../local/broker.ts'
import { openTopic } from '../local/topic.ts'
import { environmentOf, openCloud, type CloudOptions } from './cloud.ts'
import { openHomeQueries } from './door.ts'
import { instanceOf, type HomeOptions } from './embedded.ts'
import type { Pipeline } from './wiring.ts'
import type { World } from './world.ts'

export interface Place {
  /** A home's path, or `project my-project`. */
  name: string
  ground: Pipeline
  query(sql: string): AsyncIterable<Record<string, unknown>>
  /** A topic by its own name, of the survey's or not. */
  topicNamed(name: string): Promise<Topic>
  close(): Promise<void>
}

/** Open the place that the options mean. A mistyped home is an error, not a new home. */
export async function openPlace(world: World, options: HomeOptions & CloudOptions): Promise<Place> {
  if (options.cloud === true) {
    const ground = await openCloud(world, environmentOf(world, options), options)
    const { query } = await ground.table()
    const { topicNamed, close } = ground
    return { name: `project ${ground.at.project}`, ground, query, topicNamed, close }
  }
  const ground = await openKnownGround(options.home, instanceOf(options))
  let queries: ReturnType<typeof openHomeQueries> | undefined
  return {
    name: ground.home.path,
    ground,
    // A home that no alert has come to yet has no warehouse: who does not ask does not mind.
    async *query(sql) {
      queries ??= openHomeQueries(ground)
      yield* (await queries).query(sql)
    },
    topicNamed: (topic) => openTopic(ground.messages, topic),
    async close() {
      const opened = await queries?.catch(() => undefined)
      await opened?.close()
      await ground.close()
    },
  }
}
