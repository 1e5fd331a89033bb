import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { kafkaClient } from '../../../consumer/kafka/client.ts'
import { skipWithoutKafka, startKafka, type Kafka } from './broker.ts'

const topic = 'ztf_20261121_programid1'

test('a real Kafka', { skip: skipWithoutKafka }, async (t) => {
  let kafka: Kafka
  before(async () => {
    kafka = await startKafka()
    await kafka.hand({ do: 'create', topic, partitions: 2 })
  })
  after(() => kafka.stop())

  await t.test('its own producer says where it put what', async () => {
    const value = Buffer.from('an alert').toString('base64')
    const records = [{ base64: value, key: 'k', headers: { a: 'b' } }, { base64: value }, {}]
    const { offsets } = await kafka.hand({ do: 'produce', topic, records })
    assert.deepEqual(offsets, [0, 1, 2])
  })

  await t.test('it keeps what it acknowledged when it is killed', async () => {
    await kafka.kill()
    await kafka.start()
    const client = await kafkaClient({ brokers: kafka.bootstrap.split(',') }, () => {})
    const admin = client.admin()
    await admin.connect()
    const [first] = (await admin.fetchTopicOffsets(topic)).filter(
      ({ partition }) => partition === 0,
    )
    await admin.disconnect()
    assert.deepEqual([first?.low, first?.high], ['0', '3'])
  })

  await t.test('what its hand cannot do is an error', async () => {
    await assert.rejects(
      kafka.hand({ do: 'create', topic }),
      /Kafka's hand cannot create: .*already exists/,
    )
  })
})
