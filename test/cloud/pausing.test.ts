import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { openCloudGround, type CloudGround } from '../../cloud/ground.ts'
import { openStores } from '../../cloud/stores.ts'
import { openTopics, type Topics } from '../../cloud/topics.ts'
import { parseEnvironment } from '../../core/environment.ts'
import { bucketName, subscriptionName, topicName } from '../../core/names.ts'
import { counter } from '../../core/pipeline.ts'
import {
  skipWithoutGcs,
  skipWithoutPubsub,
  startGcs,
  startPubsub,
  type Emulator,
} from './emulators.ts'

const at = { survey: 'ztf', project: 'pausing' } as const
const stage = subscriptionName(at, 'exgalac_trans', 'salt2')
const config = {
  pushEndpoint: 'http://127.0.0.1:9/projects/pausing/topics/ztf_exgalac_trans',
  attributes: { 'x-goog-version': 'v1' },
  oidcToken: { serviceAccountEmail: 'ztf-caller@pausing.example', audience: 'https://f.example' },
}

test(
  'pausing and resuming a push, and seeking',
  {
    skip: skipWithoutPubsub || skipWithoutGcs,
  },
  async (t) => {
    let pubsub: Emulator
    let gcs: Emulator
    let topics: Topics
    let ground: CloudGround
    before(async () => {
      pubsub = await startPubsub()
      gcs = await startGcs()
      topics = await openTopics({ project: at.project, emulator: pubsub.host })
      for (const word of ['exgalac_trans', 'salt2'] as const) {
        await topics.pubsub.createTopic(topicName(at, word))
      }
      const topic = topics.pubsub.topic(topicName(at, 'exgalac_trans'))
      await topic.createSubscription(stage, { pushConfig: config })
      await topic.createSubscription(subscriptionName(at, 'exgalac_trans', 'reader'))
      await topics.pubsub
        .topic(topicName(at, 'salt2'))
        .createSubscription(subscriptionName(at, 'salt2', counter))
      const { storage } = openStores({ project: at.project, emulator: gcs.host })
      await storage.createBucket(bucketName(at, 'broker_files'))
      ground = openCloudGround(
        parseEnvironment({
          GOOGLE_CLOUD_PROJECT: at.project,
          PUBSUB_EMULATOR_HOST: pubsub.host,
          STORAGE_EMULATOR_HOST: gcs.host,
        }),
      )
    })
    after(async () => {
      await ground.close()
      await topics.close()
      await gcs.kill()
      await pubsub.kill()
    })
    const push = async () => {
      const [{ pushConfig }] = await topics.pubsub.subscription(stage).getMetadata()
      const { pushEndpoint = '', attributes, oidcToken } = pushConfig ?? {}
      return { pushEndpoint, attributes, account: oidcToken?.serviceAccountEmail }
    }

    await t.test('what is paused pushes again to the same endpoint, in the same name', async () => {
      const first = await push()
      assert.equal(first.pushEndpoint, config.pushEndpoint)
      assert.equal(first.account, config.oidcToken.serviceAccountEmail)
      assert.equal(await ground.setPush('exgalac_trans', 'salt2', false), 'paused')
      assert.equal((await push()).pushEndpoint, '')
      assert.equal(await ground.setPush('exgalac_trans', 'salt2', false), 'paused')
      assert.equal(await ground.setPush('exgalac_trans', 'salt2', true), 'pushing')
      assert.deepEqual(await push(), first)
      assert.equal(await ground.setPush('exgalac_trans', 'salt2', true), 'pushing')
    })

    await t.test(
      'an endpoint that is set meanwhile, by a deployment, is left and remembered',
      async () => {
        await ground.setPush('exgalac_trans', 'salt2', false)
        const pushEndpoint = 'http://127.0.0.1:9/projects/pausing/topics/new'
        await topics.pubsub.subscription(stage).modifyPushConfig({ pushEndpoint })
        assert.equal(await ground.setPush('exgalac_trans', 'salt2', true), 'pushing')
        assert.equal((await push()).pushEndpoint, pushEndpoint)
        await ground.setPush('exgalac_trans', 'salt2', false)
        await ground.setPush('exgalac_trans', 'salt2', true)
        assert.deepEqual(await push(), { pushEndpoint, attributes: {}, account: undefined })
      },
    )

    await t.test('what never pushed is left as it is', async () => {
      for (const on of [false, true]) {
        assert.equal(await ground.setPush('exgalac_trans', 'reader', on), 'none')
      }
    })

    await t.test('what is missing is told with the remedy', async () => {
      await assert.rejects(ground.setPush('alert_data', 'packets', false), {
        code: 'source_failed',
        message:
          /^Cannot look at subscription "ztf_alert_data-packets": project "pausing" has no subscription .*; make it with the stack of infra\//,
      })
      await assert.rejects(ground.seek('alert_avro_bucket', counter, new Date()), {
        message: /^Cannot seek subscription "ztf_alert_avro_bucket-counter": project/,
      })
    })

    await t.test(
      'P15 a counter that is sought forgets what was before, and keeps what comes after',
      async () => {
        const topic = await ground.topic('salt2')
        const publish = (text: string) =>
          topic.publish({ data: Buffer.from(text), attributes: { text } })
        await publish('before')
        await new Promise((resolve) => setTimeout(resolve, 1500))
        const instant = new Date()
        await new Promise((resolve) => setTimeout(resolve, 1500))
        await publish('after')
        await ground.seek('salt2', counter, instant)
        await ground.seek('salt2', counter, instant)
        const got: string[] = []
        const stop = new AbortController()
        const reader = await ground.subscription('salt2', counter)
        const receiving = reader.receive(
          async ({ attributes }) => {
            got.push(attributes['text'] ?? '')
            setTimeout(() => stop.abort(), 1000)
          },
          { signal: stop.signal },
        )
        const late = setTimeout(() => stop.abort(), 30_000)
        await receiving
        clearTimeout(late)
        assert.deepEqual([...new Set(got)], ['after'])
      },
    )
  },
)
