/** Tries every answer against Google's own services, of which nothing is reached without credentials. */
import { openDatasets } from '../../cloud/datasets.ts'
import { openStore } from '../../cloud/store.ts'
import { openStores } from '../../cloud/stores.ts'
import { openSubscription } from '../../cloud/subscription.ts'
import { openTable } from '../../cloud/table.ts'
import { openTopic } from '../../cloud/topic.ts'
import { openTopics } from '../../cloud/topics.ts'
import { NightjarError } from '../../core/errors.ts'

const project = 'my-project'
const topics = await openTopics({ project })
const topic = await openTopic(topics, 'alerts')
const subscription = await openSubscription({ topics, name: 'alerts-reader' })
const store = await openStore(openStores({ project }), 'bucket')
const table = await openTable({ datasets: openDatasets({ project }), dataset: 'd' })
const data = Buffer.from('x')
const shape = { table: 't', columns: [{ name: 'a', type: 'INT64', mode: 'NULLABLE' }] } as const

const works: Record<string, () => Promise<unknown>> = {
  publish: () => topic.publish({ data, attributes: {} }),
  receive: () => subscription.receive(async () => {}, { signal: AbortSignal.timeout(10_000) }),
  backlog: () => subscription.backlog(),
  create: () => store.create('x', data),
  append: () => table.append({ shape, values: { a: 1 } }),
}
const said: Record<string, string> = {}
for (const [deed, work] of Object.entries(works)) {
  said[deed] = await work().then(
    () => 'it was done',
    (error: unknown) =>
      error instanceof NightjarError ? `${error.code}: ${error.message}` : String(error),
  )
}
// Whatever rejects with nobody listening does so within a turn or two.
await new Promise((resolve) => setTimeout(resolve, 200))
console.log(JSON.stringify(said))
process.exit(0)
