/**
 * The intake of a Kafka topic into a topic, for the bench: nowhere, this machine's, or an emulator's.
 *
 *     node kafka_relay.ts BROKERS TOPIC GROUP null|DIR|HOST:PORT COUNT
 *
 * ends when COUNT records are published and acknowledged, and prints one line of JSON.
 */
import { createIntake } from '../consumer/intake.ts'
import { kafkaClient } from '../consumer/kafka/client.ts'
import { openKafkaSource } from '../consumer/kafka/source.ts'
import { createRelay } from '../consumer/relay.ts'
import { kafkaAttributes } from '../core/alert.ts'
import type { Store, Topic } from '../core/ports.ts'
import { bundledSchemas } from '../schemas/registry.ts'
import { memoryStore } from '../test/memory-store.ts'

const [brokers = '', topic = '', group = '', to = '', count = '0'] = process.argv.slice(2)
const wanted = Number(count)
const nowhere: Topic = { publish: async () => '', close: async () => {} }

const { alerts, ledger, store, close } = await destination()
const latencies: number[] = []
let first = 0
let last = 0
const timed: Topic = {
  ...alerts,
  async publish(message) {
    if (first === 0) first = performance.now()
    const id = await alerts.publish(message)
    latencies.push(Date.now() - Number(message.attributes[kafkaAttributes.timestamp]))
    last = performance.now()
    if (latencies.length === wanted) stop.abort()
    return id
  },
}
const stop = new AbortController()
const log = (): void => {}
const source = await openKafkaSource({
  connect: () => kafkaClient({ brokers: brokers.split(',') }, log),
  topic,
  group,
  store,
  log,
})
const relay = createRelay({
  alerts: timed,
  ledger,
  deadLetters: nowhere,
  claims: store,
  schemas: bundledSchemas(),
  log,
})
process.stdout.write('ready\n')
await createIntake({ source, relay, log }).run(stop.signal)
await source.close()
await close()

latencies.sort((a, b) => a - b)
const at = (share: number): number => latencies[Math.floor(share * (latencies.length - 1))] ?? 0
process.stdout.write(
  `${JSON.stringify({
    rate: wanted / ((last - first) / 1000),
    rssMb: process.resourceUsage().maxRSS / 1024,
    cpuMs: (process.cpuUsage().user + process.cpuUsage().system) / 1000 / wanted,
    p50: at(0.5),
    p99: at(0.99),
  })}\n`,
)

async function destination(): Promise<{
  alerts: Topic
  ledger: Topic
  store: Store
  close(): Promise<void>
}> {
  if (to === 'null') {
    return { alerts: nowhere, ledger: nowhere, store: memoryStore(), close: async () => {} }
  }
  if (to.includes('/')) {
    const { openGround } = await import('../local/broker.ts')
    const ground = await openGround(to, { survey: 'ztf', project: 'local' })
    return {
      alerts: await ground.topic('alert_data'),
      ledger: await ground.topic('ledger'),
      store: await ground.bucket('broker_files'),
      close: ground.close,
    }
  }
  const { openTopics } = await import('../cloud/topics.ts')
  const { openTopic } = await import('../cloud/topic.ts')
  const topics = await openTopics({ project: 'bench', emulator: to })
  const alerts = await openTopic(topics, 'alerts')
  const ledger = await openTopic(topics, 'ledger')
  return {
    alerts,
    ledger,
    store: memoryStore(),
    async close() {
      await alerts.close()
      await ledger.close()
      await topics.close()
    },
  }
}
