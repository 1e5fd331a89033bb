import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { openSubscription } from '../../cloud/subscription.ts'
import { openTopics } from '../../cloud/topics.ts'
import { subscriptionName, type Instance } from '../../core/names.ts'
import type { Delivery } from '../../core/ports.ts'
import { skipWithoutKafka, startKafka } from '../consumer/kafka/broker.ts'
import { loadNight } from '../consumer/kafka/night.ts'
import { makeNight, startNightjar } from '../night/harness.ts'
import { skipWithoutBigquery, skipWithoutGcs, skipWithoutPubsub } from './emulators.ts'
import { startInstance } from './instance.ts'

const skip = skipWithoutKafka || skipWithoutPubsub || skipWithoutGcs || skipWithoutBigquery
const at: Instance = { survey: 'ztf', project: 'night-p1' }
const dir = mkdtempSync(join(tmpdir(), 'nightjar-p1-'))
after(() => rmSync(dir, { recursive: true }))

test(
  'P1 a night of real Kafka is published on Pub/Sub, every byte as it was, and goes on where it stood',
  { skip, timeout: 180_000 },
  async () => {
    const night = makeNight(dir, { alerts: 150 })
    const kafka = await startKafka()
    const cloud = await startInstance(at)
    const topics = await openTopics({ project: at.project, emulator: cloud.pubsub.host })
    try {
      await loadNight(kafka, night)
      const consume = async (): Promise<{ records: number }> => {
        const words = [
          'consume',
          '--cloud',
          '--brokers',
          ...kafka.bootstrap.split(','),
          '--night',
          night.night,
          '--once',
          '--json',
        ]
        const { status, out, err } = await startNightjar([...words, '--home', join(dir, 'home')], {
          env: cloud.env,
        }).ended
        assert.equal(status, 0, err)
        return JSON.parse(out) as { records: number }
      }
      const there = night.truths.filter(({ kind }) => kind !== 'gap')
      assert.equal((await consume()).records, there.length)
      assert.equal((await consume()).records, 0)

      const name = subscriptionName(at, 'alert_data', 'packets')
      const subscription = await openSubscription({ topics, name })
      const got = new Map<string, Delivery>()
      const stop = new AbortController()
      const late = setTimeout(() => stop.abort(), 60_000)
      await subscription.receive(
        async (delivery) => {
          const { attributes } = delivery
          got.set(`${attributes['kafka.partition']}@${attributes['kafka.offset']}`, delivery)
          if (got.size === there.length) stop.abort()
        },
        { signal: stop.signal },
      )
      clearTimeout(late)
      await subscription.close()
      for (const truth of there) {
        const delivery = got.get(`${truth.partition}@${truth.offset}`)
        assert.ok(delivery, `${truth.partition}@${truth.offset}`)
        assert.ok(Buffer.from(delivery.data).equals(night.bytesOf(truth)))
        assert.equal(delivery.attributes['kafka.topic'], night.topic)
        if (truth.kind === 'alert') assert.equal(delivery.attributes['candid'], truth.candid)
      }
    } finally {
      await topics.close()
      await cloud.kill()
      await kafka.stop()
    }
  },
)
