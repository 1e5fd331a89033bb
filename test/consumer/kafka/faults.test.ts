/**
 * What goes wrong on the way from Kafka to a topic, done to a real broker; after each the audit judges
 * every offset. Kill -9 of the consumer is in `torture.test.ts`.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { NightjarError } from '../../../core/errors.ts'
import { makeNight } from '../../night/harness.ts'
import { skipWithoutKafka, startKafka, type Compression, type Kafka } from './broker.ts'
import {
  digestOf,
  judge,
  makeDestination,
  payloads,
  quickTuning,
  startEngine,
  watermarksOf,
  type Destination,
  type Engine,
} from './engine.ts'
import { api, refuseCommit, startProxy, type Proxy } from './proxy.ts'

const partitions = 3
const codecs: readonly Compression[] = ['lz4', 'snappy', 'zstd', 'gzip', 'none']

test('faults between Kafka and a topic', { skip: skipWithoutKafka }, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'nightjar-faults-'))
  const night = makeNight(dir, { alerts: 40, corrupt: 0, gaps: 0, seed: 'faults' })
  const files = payloads(night.truths.map((truth) => join(night.from, night.nameOf(truth))))
  const digests = files.map((file) => digestOf(readFileSync(file)))
  let kafka: Kafka
  let proxy: Proxy
  let proxied: string
  let count = 0

  before(async () => {
    proxy = await startProxy()
    const advertisedPort = proxy.port
    kafka = await startKafka({ listeners: { PROXIED: { protocol: 'PLAINTEXT', advertisedPort } } })
    proxy.target = kafka.portOf('PROXIED')
    proxied = `127.0.0.1:${proxy.port}`
  })
  after(async () => {
    await kafka.stop()
    await proxy.close()
    rmSync(dir, { recursive: true })
  })

  /** A topic with `records` alerts in it, spread over its partitions in turn. */
  async function makeTopic(records: number): Promise<string> {
    const topic = `ztf_20261121_programid${++count}`
    await kafka.hand({ do: 'create', topic, partitions })
    await fill(topic, records)
    return topic
  }

  const fill = (topic: string, records: number, of = kafka) => {
    const compression = codecs[count % codecs.length] ?? 'lz4'
    return of.hand({ do: 'fill', topic, files, count: records, partitions, compression })
  }

  const start = (
    topic: string,
    destination: Destination,
    rest: Partial<Parameters<typeof startEngine>[0]> = {},
  ): Promise<Engine> =>
    startEngine({
      brokers: kafka.bootstrap,
      topic,
      group: `nightjar-ztf-test-${topic}`,
      destination,
      ...rest,
    })

  /** Wait until so many different records are published. */
  async function until(destination: Destination, records: number, engine?: Engine): Promise<void> {
    const begun = performance.now()
    while (destination.published.size < records) {
      if (performance.now() - begun > 60_000) {
        const said = JSON.stringify(engine?.said.slice(-10))
        throw new Error(`only ${destination.published.size} of ${records} came: ${said}`)
      }
      await Promise.race([
        pause(20),
        engine?.ended.then(() => {
          if (destination.published.size < records) throw new Error('it ended before')
        }) ?? pause(20),
      ])
    }
  }

  /** Nothing is lost, the bytes are those of the producer, and all is committed. */
  async function check(topic: string, destination: Destination, of = kafka): Promise<void> {
    const watermarks = await watermarksOf(of.bootstrap, topic, `nightjar-ztf-test-${topic}`)
    const { intake, complete } = judge(topic, watermarks, destination)
    assert.deepEqual(
      intake.partitions.flatMap(({ missing }) => missing),
      [],
      'nothing is missing',
    )
    assert.equal(complete, true)
    for (const { partition, high, committed } of watermarks) {
      assert.equal(committed, high, `partition ${partition} is committed to its end`)
      for (let offset = 0n; offset < high; offset++) {
        const found = destination.published.get(`${topic}[${partition}]@${offset}`)
        const file = (Number(offset) * partitions + partition) % files.length
        assert.equal(found?.digest, digests[file], `bytes of [${partition}]@${offset}`)
      }
    }
  }

  const slow = (ms: number) => () => pause(ms)

  await t.test('broker killed and restarted', async () => {
    const topic = await makeTopic(300)
    const destination = makeDestination()
    destination.before = slow(30)
    const engine = await start(topic, destination)
    await until(destination, 60, engine)
    await kafka.kill()
    await pause(500)
    await kafka.start()
    await until(destination, 300, engine)
    await engine.stop()
    await check(topic, destination)
  })

  await t.test('OffsetCommit errors', async () => {
    const topic = await makeTopic(150)
    const destination = makeDestination()
    destination.before = slow(10)
    const engine = await start(topic, destination, { brokers: proxied })
    const before = proxy.spoiled()
    // Coordinator loading, not coordinator, not enough replicas in time, illegal generation.
    for (const error of [14, 16, 7, 22]) proxy.spoil(api.offsetCommit, 2, refuseCommit(error))
    await until(destination, 150, engine)
    await engine.stop()
    assert.equal(proxy.spoiled() - before, 8)
    await check(topic, destination)
  })

  await t.test('a second member comes, shares and goes', async () => {
    const topic = await makeTopic(600)
    const destination = makeDestination()
    destination.before = slow(25)
    const first = await start(topic, destination)
    await until(destination, 50, first)
    const second = await start(topic, destination)
    const assigned = (engine: Engine): number =>
      engine.said.filter(({ name }) => name === 'partitions_assigned').length
    while (assigned(second) === 0 || second.intake.counts().records < 10) await pause(20)
    await second.stop()
    const third = await start(topic, destination)
    await pause(600)
    await first.stop()
    await until(destination, 600, third)
    await third.stop()
    await check(topic, destination)
  })

  await t.test('topic deleted', async () => {
    const topic = await makeTopic(200)
    const destination = makeDestination()
    destination.before = slow(40)
    const engine = await start(topic, destination)
    await until(destination, 30, engine)
    await kafka.hand({ do: 'delete', topic })
    await assert.rejects(engine.ended, /Cannot go on consuming .*: the topic was deleted while/)
  })

  await t.test('retention overtaking the position', async () => {
    const topic = await makeTopic(90)
    // Small batches, since a fetch brings one whole at least.
    for (let turn = 0; turn < 9; turn++) await fill(topic, 90)
    const destination = makeDestination()
    const gate = Promise.withResolvers<void>()
    let held = 0
    destination.before = () => (++held > 30 ? gate.promise : undefined)
    const engine = await start(topic, destination, {
      source: {
        queueBytes: 200_000,
        tuning: { ...quickTuning, maxBytes: 500_000, maxBytesPerPartition: 100_000 },
      },
    })
    await until(destination, 30, engine)
    await pause(300)
    for (let partition = 0; partition < partitions; partition++) {
      await kafka.hand({ do: 'truncate', topic, partition, before: 290 })
    }
    gate.resolve()
    const last = (): boolean =>
      engine.source.lag().every(({ next, high, committed }) => next === high && committed === high)
    while (!last()) await pause(20)
    await engine.stop()
    assert.ok(
      engine.said.some(({ name }) => name === 'offsets_lost'),
      'it is said aloud',
    )
    const { intake, complete } = judge(
      topic,
      await watermarksOf(kafka.bootstrap, topic),
      destination,
    )
    assert.equal(complete, false, 'a night with losses is never complete')
    assert.equal(intake.total.missingCount, 0, 'each offset is accounted for')
    const { lost, published } = intake.total.outcomes
    assert.equal(lost + published, 900)
    assert.ok(lost > 0)
    for (const { partition, lost: runs } of intake.partitions) {
      for (const { first, count: span } of runs) {
        assert.equal(
          first + BigInt(span),
          290n,
          `partition ${partition}: lost up to the low watermark`,
        )
      }
    }
  })

  await t.test('destination stalled', async () => {
    const topic = await makeTopic(120)
    const destination = makeDestination()
    let publishes = 0
    destination.before = () => (++publishes > 40 ? new Promise(() => {}) : undefined)
    const engine = await start(topic, destination, { intake: { deadlineMs: 1500 } })
    await assert.rejects(engine.ended, /is under way for more than 1.5 s/)
    const marks = await watermarksOf(kafka.bootstrap, topic, `nightjar-ztf-test-${topic}`)
    const committed = marks.reduce((sum, one) => sum + Number(one.committed ?? 0n), 0)
    assert.ok(committed <= 40, `${committed} are committed, 40 were published`)
    destination.before = () => {}
    const next = await start(topic, destination, { source: { once: true } })
    await next.ended
    await check(topic, destination)
  })

  await t.test('destination down', async () => {
    const topic = await makeTopic(120)
    const destination = makeDestination()
    let down = true
    let refused = 0
    destination.before = () => {
      if (!down || destination.published.size < 20) return
      refused++
      throw new NightjarError('publish_failed', 'Cannot publish: nobody is there')
    }
    const engine = await start(topic, destination)
    while (refused < 100) await pause(20)
    const marks = await watermarksOf(kafka.bootstrap, topic, `nightjar-ztf-test-${topic}`)
    const committed = marks.reduce((sum, one) => sum + Number(one.committed ?? 0n), 0)
    assert.ok(committed <= 20, `${committed} are committed while it is down`)
    down = false
    await until(destination, 120, engine)
    await engine.stop()
    await check(topic, destination)
  })

  await t.test('network cut half-way through an answer, and for a while', async () => {
    const topic = await makeTopic(300)
    const destination = makeDestination()
    destination.before = slow(20)
    const engine = await start(topic, destination, {
      brokers: proxied,
      source: {
        tuning: { ...quickTuning, maxBytes: 300_000 },
      },
    })
    await until(destination, 30, engine)
    proxy.cutFetchAfter(50_000)
    await until(destination, 100, engine)
    proxy.cut()
    await pause(1500)
    proxy.mend()
    await until(destination, 200, engine)
    proxy.stall()
    await pause(3000)
    proxy.mend()
    await until(destination, 300, engine)
    await engine.stop()
    await check(topic, destination)
  })

  await t.test(
    'an answer that kafkajs chokes on ends the run, and the next one goes on',
    async () => {
      const topic = await makeTopic(200)
      const destination = makeDestination()
      destination.before = slow(20)
      const engine = await start(topic, destination, {
        brokers: proxied,
        source: { queueBytes: 200_000 },
      })
      await until(destination, 20, engine)
      // A record batch that promises more than it has: a RangeError deep in kafkajs.
      proxy.spoil(api.fetch, 1000, (answer) => answer.subarray(0, answer.length).fill(0x7f, 30))
      await assert.rejects(engine.ended, NightjarError)
      proxy.spoil(api.fetch, -1, (answer) => answer)
      const next = await start(topic, destination, { source: { once: true } })
      await next.ended
      await check(topic, destination)
    },
  )

  await t.test('leader moved', async () => {
    const cluster = await startKafka({ brokers: 2 })
    try {
      const topic = 'ztf_20261122_programid1'
      const replicas = [
        [1, 2],
        [2, 1],
        [1, 2],
      ]
      await cluster.hand({ do: 'create', topic, replicas })
      await fill(topic, 300, cluster)
      const destination = makeDestination()
      destination.before = slow(30)
      const engine = await start(topic, destination, { brokers: cluster.bootstrap })
      await until(destination, 40, engine)
      await cluster.hand({ do: 'lead', topic, partition: 0, replicas: [2, 1] })
      await until(destination, 120, engine)
      await cluster.hand({ do: 'lead', topic, partition: 1, replicas: [1, 2] })
      await until(destination, 200, engine)
      await cluster.kill(2)
      await until(destination, 250, engine)
      await cluster.start(2)
      await until(destination, 300, engine)
      await engine.stop()
      await check(topic, destination, cluster)
    } finally {
      await cluster.stop()
    }
  })
})
