import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { openAlert, type Alert } from '../../client/alert.ts'
import { createClient } from '../../client/subscribe.ts'
import { openReader } from '../../cloud/reader.ts'
import { openTopic as openCloudTopic } from '../../cloud/topic.ts'
import { openTopics as openCloudTopics } from '../../cloud/topics.ts'
import type { Topic } from '../../core/ports.ts'
import { openGround } from '../../local/broker.ts'
import { openSubscription } from '../../local/subscription.ts'
import { skipWithoutPubsub, startPubsub } from '../cloud/emulators.ts'
import { repository } from '../night/harness.ts'
import { cameFrom, delivery, exampleRecord, packetOf } from '../functions/fakes.ts'

const dir = mkdtempSync(join(tmpdir(), 'nightjar-client-'))
after(() => rmSync(dir, { recursive: true }))

const packet = packetOf(exampleRecord())

test('openAlert() opens a packet: ids in full, light curve, stamps as pixels', async () => {
  const alert = await openAlert(delivery(packet, { candid: '1' }))
  const { candid, objectId } = exampleRecord()
  assert.equal(alert.isPacket, true)
  assert.equal(alert.packet().record['candid'], candid)
  assert.equal(typeof alert.packet().record['candid'], 'bigint')
  assert.equal(alert.packet().record['objectId'], objectId)
  assert.equal('cutoutScience' in alert.packet().record, false)
  for (const stamp of ['science', 'template', 'difference'] as const) {
    const { width = 0, height = 0, pixels } = alert.cutout(stamp) ?? {}
    assert.ok(width > 20 && pixels?.length === width * height, stamp)
  }
  const points = alert.lightCurve()
  assert.ok(points.length > 0)
  assert.ok(points.every(({ jd }, at) => at === 0 || jd >= (points[at - 1]?.jd ?? 0)))
})

test('openAlert() opens JSON, and says what is none', async () => {
  const alert = await openAlert(delivery(Buffer.from('{"x1":1.5}')))
  assert.equal(alert.isPacket, false)
  assert.deepEqual(alert.json(), { x1: 1.5 })
  const other = await openAlert(delivery(Buffer.from('{')))
  assert.throws(() => other.json(), { code: 'input_invalid' })
})

/** Ten alerts, of which every second is pure, and every third in r. */
async function publishTen(topic: Topic): Promise<void> {
  for (let i = 0; i < 10; i++) {
    const own = { is_pure: String(i % 2), fid: String(1 + (i % 3)), candid: String(i) }
    await topic.publish({ data: packet, attributes: { ...cameFrom(0, i), ...own } })
  }
}

/** The filters of docs/subscribers.md, and the alerts of the ten that pass them. */
const filters: readonly [string, string[]][] = [
  ['attributes.is_pure = "1"', ['1', '3', '5', '7', '9']],
  ['attributes.is_pure = "1" AND attributes.fid = "2"', ['1', '7']],
  ['attributes.fid != "1"', ['1', '2', '4', '5', '7', '8']],
  ['attributes:is_pure AND NOT attributes.fid = "3"', ['0', '1', '3', '4', '6', '7', '9']],
  [
    'hasPrefix(attributes."kafka.topic", "ztf_2026")',
    ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'],
  ],
  ['hasPrefix(attributes.candid, "1") OR attributes.candid = "9"', ['1', '9']],
]

test('docs/subscribers.md shows the filters that are tested here, and no others', () => {
  const text = readFileSync(join(repository, 'docs/subscribers.md'), 'utf8')
  const shown = [...text.matchAll(/^\| `([^`]*attributes[^`]*)` /gm)].map(([, filter]) => filter)
  assert.deepEqual(
    shown,
    filters.map(([filter]) => filter),
  )
})

test('a client on a home gets what passes its filter, each acked once', async () => {
  const ground = await openGround(join(dir, 'home'), { survey: 'ztf', project: 'local' })
  const { journal, messages } = ground
  const client = createClient({
    async open({ topic, filter, name = 'reader' }) {
      const wanted = filter === undefined ? {} : { filter }
      return openSubscription({ journal, messages, topic, name, ...wanted })
    },
  })
  try {
    const topic = 'ztf_exgalac_trans'
    for (const [at, [filter]] of filters.entries()) {
      const made = { topic, filter, name: `n${at}`, max: 0, onAlert: () => {} }
      assert.equal(await client.subscribe(made), 0)
    }
    await publishTen(await ground.topic('exgalac_trans'))
    for (const [at, [filter, expected]] of filters.entries()) {
      const got: string[] = []
      const onAlert = ({ attributes }: Alert): void => void got.push(attributes['candid'] ?? '')
      await client.subscribe({ topic, filter, name: `n${at}`, drain: true, onAlert })
      assert.deepEqual(got.sort(), expected, filter)
    }
  } finally {
    await ground.close()
  }
})

test('an alert whose handler rejects comes again, and max counts those that were taken', async () => {
  const ground = await openGround(join(dir, 'again'), { survey: 'ztf', project: 'local' })
  const { journal, messages } = ground
  const client = createClient({
    open: ({ topic, name = 'r' }) => openSubscription({ journal, messages, topic, name }),
  })
  try {
    await client.subscribe({ topic: 'ztf_exgalac_trans', max: 0, onAlert() {} })
    await publishTen(await ground.topic('exgalac_trans'))
    const attempts: number[] = []
    const taken = await client.subscribe({
      topic: 'ztf_exgalac_trans',
      max: 3,
      concurrency: 1,
      onAlert({ attempt }) {
        attempts.push(attempt)
        if (attempts.length === 1) throw new Error('not now')
      },
    })
    assert.equal(taken, 3)
    assert.equal(attempts.length, 4)
  } finally {
    await ground.close()
  }
})

test('a filter that Pub/Sub would refuse is refused before anything is made', async () => {
  let opened = 0
  const client = createClient({
    async open() {
      opened++
      throw new Error('not asked for')
    },
  })
  await assert.rejects(
    client.subscribe({ topic: 't', filter: 'attributes.a >= "1"', onAlert() {} }),
    { message: /^Cannot use filter/ },
  )
  assert.equal(opened, 0)
})

test(
  'a client on Pub/Sub makes its own subscription of another project’s topic, filtered',
  { skip: skipWithoutPubsub },
  async () => {
    const pubsub = await startPubsub()
    const theirs = await openCloudTopics({ project: 'theirs', emulator: pubsub.host })
    const mine = await openCloudTopics({ project: 'mine', emulator: pubsub.host })
    try {
      await theirs.pubsub.createTopic('ztf_exgalac_trans')
      const client = createClient({
        open: ({ topic, filter, name = 'n' }) =>
          openReader({
            ...{ topics: mine, topic, topicProject: 'theirs', name },
            ...(filter !== undefined && { filter }),
          }),
      })
      const wanted = { topic: 'ztf_exgalac_trans', filter: filters[1]?.[0] ?? '', name: 'mine' }
      await client.subscribe({ ...wanted, max: 0, onAlert() {} })
      const topic = await openCloudTopic(theirs, 'ztf_exgalac_trans')
      await publishTen(topic)
      const got: string[] = []
      await client.subscribe({
        ...wanted,
        max: 2,
        onAlert: ({ attributes }) => void got.push(attributes['candid'] ?? ''),
      })
      assert.deepEqual(got.sort(), ['1', '7'])
      await topic.close()
      await assert.rejects(
        createClient({
          open: ({ topic: name }) => openReader({ topics: mine, topic: name, name: 'none' }),
        }).subscribe({ topic: 'nowhere', onAlert() {} }),
        { message: /^Cannot subscribe to topic "nowhere" as "none": project "mine" has no topic/ },
      )
    } finally {
      await mine.close()
      await theirs.close()
      await pubsub.kill()
    }
  },
)
