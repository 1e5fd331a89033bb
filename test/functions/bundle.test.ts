import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { after, before, test } from 'node:test'

import { openStore } from '../../cloud/store.ts'
import { openStores } from '../../cloud/stores.ts'
import { openTopics } from '../../cloud/topics.ts'
import { archiveName, bucketName, topicName } from '../../core/names.ts'
import { bundleReader, type Bundle } from '../../functions/bundle.ts'
import { fixPacket } from '../../schemas/fix.ts'
import {
  freePort,
  skipWithoutBigquery,
  skipWithoutGcs,
  skipWithoutPubsub,
} from '../cloud/emulators.ts'
import { startInstance } from '../cloud/instance.ts'
import { repository, startProgram } from '../night/harness.ts'
import { cameFrom, exampleRecord, packetOf } from './fakes.ts'

// Below the repository, since what is not bundled is found in its packages.
mkdirSync(join(repository, '.nightjar'), { recursive: true })
const dir = mkdtempSync(join(repository, '.nightjar/bundle-'))
after(() => rmSync(dir, { recursive: true }))
let packets: Bundle
before(async () => {
  packets = await bundleReader('packets', dir)
})

test('a bundle is the same bytes again, and its zip is named after them', async () => {
  const again = mkdtempSync(join(dir, 'again-'))
  const second = await bundleReader('packets', again)
  assert.equal(second.sha256, packets.sha256)
  assert.equal(basename(second.zip), `packets-${second.sha256.slice(0, 16)}.zip`)
  assert.deepEqual(readFileSync(second.zip), readFileSync(packets.zip))
})

test('a bundle has the code of its stages and no other, and the schemas that it reads', async () => {
  const salt2 = await bundleReader('salt2', dir)
  const [own, other] = [packets, salt2].map(({ folder }) =>
    readFileSync(join(folder, 'index.js'), 'utf8'),
  )
  for (const words of [/other bytes stand under/, /no_pointsource_counterpart/]) {
    assert.match(own ?? '', words)
    assert.doesNotMatch(other ?? '', words)
  }
  assert.doesNotMatch(own ?? '', /salt2\/light_curve/)
  assert.match(other ?? '', /salt2\/light_curve/)
  const foreign = packets.packages.filter(({ name }) => /duckdb|resvg|kafkajs/.test(name))
  assert.deepEqual(foreign, [])
  assert.ok(readFileSync(join(packets.folder, 'schemas/lsst/7.0/alert.avsc')).length > 1000)
  assert.deepEqual(JSON.parse(readFileSync(join(packets.folder, 'package.json'), 'utf8')), {
    name: 'nightjar-packets',
    private: true,
    main: 'index.js',
    engines: { node: '24' },
    dependencies: { '@google-cloud/functions-framework': '5.0.5', '@node-rs/crc32': '1.10.8' },
  })
})

test('the bundle of salt2 has its tables beside it, and names its fonts and what draws', async () => {
  const { folder, packages } = await bundleReader('salt2', dir)
  assert.ok(readFileSync(join(folder, 'salt2/tables/salt2-4.bin.gz')).length > 100_000)
  assert.deepEqual(
    packages.filter(({ name }) => /resvg|dejavu|duckdb/.test(name)),
    [],
  )
  const manifest = readFileSync(join(folder, 'package.json'), 'utf8')
  const { dependencies } = JSON.parse(manifest) as { dependencies: Record<string, string> }
  assert.ok('@resvg/resvg-js' in dependencies && 'dejavu-fonts-ttf' in dependencies, manifest)
})

const framework = join(repository, 'node_modules/.bin/functions-framework')
const node = join(repository, 'node_modules/.bin/node')

function serve(port: number, env: Record<string, string>) {
  const words = [framework, `--source=${packets.folder}`, '--target=packets', `--port=${port}`]
  return startProgram(node, [...words, '--signature-type=cloudevent'], { env })
}

test('a wrong environment stops the start with a sentence that names every fault', async () => {
  const { status, err } = await serve(await freePort(), { NIGHTJAR_SURVEY: 'sdss' }).ended
  assert.equal(status, 1)
  assert.match(
    err,
    /Cannot read the environment: GOOGLE_CLOUD_PROJECT is not set; survey "sdss": known are ztf and lsst/,
  )
})

const at = { survey: 'ztf', project: 'bundled' } as const
const packet = packetOf(exampleRecord())

test(
  'the bundle serves CloudEvents: stored, dead-lettered, refused while a bucket is missing, flushed at SIGTERM',
  { skip: skipWithoutPubsub || skipWithoutGcs || skipWithoutBigquery },
  async () => {
    const cloud = await startInstance(at)
    const topics = await openTopics({ project: at.project, emulator: cloud.pubsub.host })
    const stores = openStores({ project: at.project, emulator: cloud.gcs.host })
    const port = await freePort()
    const running = serve(port, cloud.env)
    try {
      for (const word of ['ledger', 'dead_letter'] as const) {
        await topics.pubsub.createSubscription(topicName(at, word), `watch_${word}`)
      }
      await stores.storage.bucket(bucketName(at, 'alert_avro_bucket')).delete()
      await running.until(/Serving function/)

      const send = async (data: Uint8Array, offset: number): Promise<number> => {
        const message = {
          data: Buffer.from(data).toString('base64'),
          attributes: cameFrom(0, offset),
          messageId: String(offset),
          publishTime: new Date().toISOString(),
        }
        const response = await fetch(`http://127.0.0.1:${port}/`, {
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            'ce-specversion': '1.0',
            'ce-type': 'google.cloud.pubsub.topic.v1.messagePublished',
            'ce-source': '//pubsub.googleapis.com/projects/bundled/topics/ztf_alert_data',
            'ce-id': String(offset),
          },
          body: JSON.stringify({ message, subscription: 'projects/bundled/subscriptions/s' }),
        })
        await response.arrayBuffer()
        return response.status
      }

      assert.equal(await send(packet, 1), 500, running.said().out)
      assert.match(running.said().out, /"severity":"WARNING".*message_retried.*has no bucket/)
      assert.deepEqual(await outcomes('ledger', 2), ['1 exgalac filtered', '1 warehouse stored'])

      await stores.storage.createBucket(bucketName(at, 'alert_avro_bucket'))
      const first = await send(packet, 1)
      assert.equal(first, 204, running.said().out + running.said().err)
      const second = await send(packet, 2)
      assert.equal(second, 204, running.said().out + running.said().err)
      assert.equal(await send(Buffer.from('poison'), 3), 204)

      const store = await openStore(stores, bucketName(at, 'alert_avro_bucket'))
      const { objectId, candid } = exampleRecord()
      const name = archiveName('ztf_20261121_programid1', String(objectId), BigInt(String(candid)))
      const stored = await store.read(name)
      assert.deepEqual(Buffer.from(stored?.data ?? []), Buffer.from(fixPacket(packet).bytes))
      assert.deepEqual(await outcomes('ledger', 7), [
        '1 archive stored',
        '2 archive duplicate',
        '2 exgalac filtered',
        '2 warehouse duplicate',
        '3 archive dead_lettered',
        '3 exgalac dead_lettered',
        '3 warehouse dead_lettered',
      ])
      for (const letter of await pull('dead_letter', 3)) {
        assert.equal(letter.data.toString(), 'poison')
      }

      // Requests that are under way when the signal comes are answered.
      const last = Array.from({ length: 20 }, (_, i) => send(packet, 10 + i))
      await new Promise((resolve) => setTimeout(resolve, 30))
      running.child.kill('SIGTERM')
      const answers = await Promise.allSettled(last)
      const { status } = await running.ended
      assert.equal(status, 0)
      const done = answers.filter((one) => one.status === 'fulfilled' && one.value === 204).length
      // One that had not arrived is refused by the closed socket; none is half done.
      const told = done === 0 ? [] : await outcomes('ledger', 3 * done)
      assert.ok(told.length >= 3 * done, `${told.length} told of ${done} answered`)
      assert.ok(answers.every((one) => one.status === 'rejected' || one.value === 204))

      async function pull(word: string, count: number) {
        const found: { data: Buffer; attributes: Record<string, string> }[] = []
        const subscription = topics.pubsub.subscription(`watch_${word}`)
        await new Promise<void>((resolve, reject) => {
          const timer = setTimeout(() => reject(new Error(`${found.length} of ${count}`)), 10_000)
          subscription.on('message', (message) => {
            message.ack()
            found.push({ data: message.data, attributes: message.attributes })
            if (found.length < count) return
            clearTimeout(timer)
            resolve()
          })
        })
        await subscription.close()
        return found
      }

      async function outcomes(word: string, count: number): Promise<string[]> {
        const events = (await pull(word, count)).map(
          ({ data }) => JSON.parse(data.toString()) as Record<string, unknown>,
        )
        return events
          .map((event) => `${event['kafka_offset']} ${event['stage']} ${event['outcome']}`)
          .sort()
      }
    } finally {
      running.child.kill('SIGKILL')
      await topics.close()
      await cloud.kill()
    }
  },
)
