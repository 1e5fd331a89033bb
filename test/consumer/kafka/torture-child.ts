/**
 * The intake of a Kafka topic into a home, as `nightjar consume` wires it but without the stages, that
 * kills itself at a named point:
 *
 *     node torture-child.ts BROKERS TOPIC GROUP HOME POINT COUNT
 */
import { createIntake } from '../../../consumer/intake.ts'
import { kafkaClient } from '../../../consumer/kafka/client.ts'
import { openKafkaSource } from '../../../consumer/kafka/source.ts'
import { createRelay } from '../../../consumer/relay.ts'
import type { Log } from '../../../core/log.ts'
import type { Topic } from '../../../core/ports.ts'
import { openGround } from '../../../local/broker.ts'
import { takeHome } from '../../../local/home.ts'
import { bundledSchemas } from '../../../schemas/registry.ts'
import { quickTuning } from './engine.ts'

const [brokers = '', topic = '', group = '', home = '', wanted = '', count = '1'] =
  process.argv.slice(2)
let left = Number(count)

/** Die here, if this is the point and the time has come; never to return. */
async function pass(point: string): Promise<void> {
  if (point !== wanted || --left > 0) return
  process.kill(process.pid, 'SIGKILL')
  await new Promise(() => {})
}

/** Every effect comes late by chance, so that what does not wait for it is found out. */
const drag = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, Math.random() * 30))

function publishing(to: Topic, point: string): Topic {
  return {
    ...to,
    async publish(message) {
      await drag()
      const id = await to.publish(message)
      await pass(point)
      return id
    },
  }
}

const log: Log = (name) => {
  if (name === 'partitions_assigned') process.stdout.write('assigned\n')
}
const ground = await openGround(home, { survey: 'ztf', project: 'local' })
takeHome(ground.home)
const store = await ground.bucket('broker_files')
const source = await openKafkaSource({
  connect: () => kafkaClient({ brokers: brokers.split(',') }, log),
  topic,
  group,
  store: {
    ...store,
    async replace(...given) {
      const done = await store.replace(...given)
      await pass('progress written')
      return done
    },
  },
  log,
  tuning: { ...quickTuning, sessionTimeoutMs: 1000, heartbeatMs: 250 },
  queueBytes: 500_000,
})
const relay = createRelay({
  alerts: publishing(await ground.topic('alert_data'), 'alert published, ledger not told'),
  ledger: publishing(await ground.topic('ledger'), 'ledger told by intake, not committed'),
  deadLetters: await ground.topic('dead_letter'),
  claims: store,
  schemas: bundledSchemas(),
  log,
})
const intake = createIntake({
  source: {
    ...source,
    async commit(positions) {
      await source.commit(positions)
      await pass('committed')
    },
  },
  relay,
  log,
  commitMs: 40,
})
await intake.run(new AbortController().signal)
