import type { PasswordSasl } from '../../../consumer/config.ts'
import { kafkaClient, type KafkaStream } from '../../../consumer/kafka/client.ts'
import type { Kafka } from './broker.ts'

/** Make users of SCRAM, and wait until the listeners know of them, which is a moment later. */
export async function addScramUsers(
  kafka: Kafka,
  streams: readonly (KafkaStream & { sasl: PasswordSasl })[],
  password: string,
): Promise<void> {
  for (const { sasl } of streams) {
    const mechanism = sasl.mechanism.toUpperCase()
    await kafka.hand({ do: 'scram', user: sasl.username, password, mechanism })
  }
  for (const stream of streams) {
    const sasl: PasswordSasl = { ...stream.sasl, password: { from: 'inline', value: password } }
    for (const begun = performance.now(); ;) {
      const admin = (await kafkaClient({ ...stream, sasl }, () => {}, { retries: 0 })).admin()
      try {
        await admin.connect()
        break
      } catch (error) {
        if (performance.now() - begun > 30_000) throw error
      } finally {
        await admin.disconnect()
      }
    }
  }
}
