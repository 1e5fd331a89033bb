import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import { kafkaClient } from '../../../consumer/kafka/client.ts'
import {
  openKafkaSource,
  type KafkaSource,
  type KafkaSourceOptions,
} from '../../../consumer/kafka/source.ts'
import type { SourceGap, SourceItem, SourceRecord } from '../../../consumer/source.ts'
import { readProgress } from '../../../core/progress.ts'
import { skipWithoutKafka, startKafka, type Kafka, type KafkaRecord } from './broker.ts'
import { memoryStore } from '../../memory-store.ts'

const never = new AbortController().signal
const log = (): void => {}

test('a topic of Kafka as a source', { skip: skipWithoutKafka }, async (t) => {
  let kafka: Kafka
  before(async () => void (kafka = await startKafka()))
  after(() => kafka.stop())
  let count = 0

  /** A topic of its own for each test. */
  async function makeTopic(partitions = 1, configs: Record<string, string> = {}): Promise<string> {
    const topic = `ztf_20261121_programid${++count}`
    await kafka.hand({ do: 'create', topic, partitions, configs })
    return topic
  }

  const open = (topic: string, rest: Partial<KafkaSourceOptions> = {}): Promise<KafkaSource> =>
    openKafkaSource({
      connect: () => kafkaClient({ brokers: kafka.bootstrap.split(',') }, log),
      topic,
      group: `nightjar-ztf-test-${topic}`,
      store: memoryStore(),
      log,
      once: true,
      ...rest,
    })

  /** Everything until the source ends, each item committed as if it were durable. */
  async function readAll(source: KafkaSource): Promise<SourceItem[]> {
    const items: SourceItem[] = []
    for await (const item of source.records(never)) {
      items.push(item)
      if (item.kind === 'start') continue
      const next = item.offset + (item.kind === 'gap' ? item.span : 1n)
      await source.commit([{ topic: item.topic, partition: item.partition, next }])
    }
    await source.close()
    return items
  }

  const recordsOf = (items: readonly SourceItem[]): SourceRecord[] =>
    items.filter((item): item is SourceRecord => item.kind === undefined)
  const gapsOf = (items: readonly SourceItem[]): SourceGap[] =>
    items.filter((item): item is SourceGap => item.kind === 'gap')
  const text = (value: string): KafkaRecord => ({ base64: Buffer.from(value).toString('base64') })

  await t.test('every codec of the real producer gives the bytes that were put in', async () => {
    const topic = await makeTopic(5)
    const payloads = [
      Buffer.from('a'),
      Buffer.alloc(300_000, 'nightjar '),
      randomBytes(70_000),
      Buffer.concat([randomBytes(30_000), Buffer.alloc(200_000), randomBytes(5)]),
      readFileSync(process.execPath).subarray(1000, 900_000),
    ]
    const files = payloads.map((payload, i) => {
      const file = join(kafka.folder, `payload-${i}`)
      writeFileSync(file, payload)
      return file
    })
    const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
    for (const [partition, compression] of codecs.entries()) {
      const records = files.map((file) => ({ file, partition }))
      await kafka.hand({ do: 'produce', topic, compression, records })
    }
    const found = recordsOf(await readAll(await open(topic)))
    const digest = (bytes: Uint8Array | null): string =>
      createHash('sha256')
        .update(bytes ?? '')
        .digest('hex')
    for (const [partition, compression] of codecs.entries()) {
      const of = found.filter((record) => record.partition === partition)
      assert.deepEqual(
        of.map(({ offset, value }) => [offset, digest(value)]),
        payloads.map((payload, i) => [BigInt(i), digest(payload)]),
        compression,
      )
    }
  })

  await t.test(
    'keys, headers and timestamps come as text; what does not fit is counted',
    async () => {
      const topic = await makeTopic()
      await kafka.hand({
        do: 'produce',
        topic,
        records: [
          {
            ...text('x'),
            key: 'ZTF26aaaaaaa',
            headers: { survey: 'ztf' },
            timestamp: 1790000000123,
          },
          { ...text('y'), headers: { long: 'x'.repeat(2000), 'goog-x': '1', ok: 'é' } },
          { key: 'tombstone' },
        ],
      })
      const [first, second, third] = recordsOf(await readAll(await open(topic)))
      assert.equal(first?.key, 'ZTF26aaaaaaa')
      assert.deepEqual({ ...first?.headers }, { survey: 'ztf' })
      assert.equal(first?.timestamp, 1790000000123)
      assert.deepEqual({ ...second?.headers }, { ok: 'é', headers_dropped: '2' })
      assert.equal(third?.value, null)
      assert.equal(third?.refused, undefined)
    },
  )

  await t.test(
    'a transaction that is open is not waited for, and comes when it has ended',
    async () => {
      const topic = await makeTopic()
      await kafka.hand({ do: 'produce', topic, records: [text('whole')] })
      const client = await kafkaClient({ brokers: kafka.bootstrap.split(',') }, log)
      const producer = client.producer({
        ...{ transactionalId: 'stays-open', idempotent: true, maxInFlightRequests: 1 },
        transactionTimeout: 600_000,
      })
      await producer.connect()
      const transaction = await producer.transaction()
      await transaction.send({ topic, messages: [{ partition: 0, value: 'half' }] })
      const store = memoryStore()
      const valuesOf = (items: readonly SourceItem[]): string[] =>
        recordsOf(items).map(({ value }) => Buffer.from(value ?? '').toString())
      assert.deepEqual(valuesOf(await readAll(await open(topic, { store }))), ['whole'])
      await transaction.commit()
      await producer.disconnect()
      const admin = client.admin()
      await admin.connect()
      // The coordinator writes the marker after it has answered.
      while ((await admin.fetchTopicOffsets(topic))[0]?.high !== '3') {
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
      await admin.disconnect()
      assert.deepEqual(valuesOf(await readAll(await open(topic, { store }))), ['half'])
    },
  )

  await t.test(
    'control records and aborted transactions are gaps, up to the very end',
    async () => {
      const topic = await makeTopic(2)
      const produce = (transaction: 'commit' | 'abort', partition: number) =>
        kafka.hand({
          do: 'produce',
          topic,
          transaction,
          records: [
            { ...text('a'), partition },
            { ...text('b'), partition },
          ],
        })
      await produce('commit', 0)
      await produce('abort', 0)
      await produce('commit', 0)
      await produce('abort', 1)
      const items = await readAll(await open(topic))
      const offsets = recordsOf(items).map(({ partition, offset }) => [partition, offset])
      assert.deepEqual(offsets, [
        [0, 0n],
        [0, 1n],
        [0, 6n],
        [0, 7n],
      ])
      const gone = new Set(
        gapsOf(items).flatMap(({ partition, offset, span, lost }) => {
          assert.equal(lost, undefined)
          return Array.from(
            { length: Number(span) },
            (_, i) => `${partition}@${offset + BigInt(i)}`,
          )
        }),
      )
      assert.deepEqual(
        [...gone].sort(),
        ['0@2', '0@3', '0@4', '0@5', '0@8', '1@0', '1@1', '1@2'].sort(),
      )
    },
  )

  await t.test('what compaction took is a gap', async () => {
    const topic = await makeTopic(1, {
      'cleanup.policy': 'compact',
      'segment.ms': '100',
      'min.cleanable.dirty.ratio': '0.01',
      'max.compaction.lag.ms': '100',
    })
    for (let turn = 0; turn < 5; turn++) {
      const records = ['a', 'b', 'c'].map((key) => ({ ...text(`${key}${turn}`), key }))
      await kafka.hand({ do: 'produce', topic, records })
      await new Promise((resolve) => setTimeout(resolve, 250))
    }
    let items: SourceItem[] = []
    for (let turn = 0; turn < 40; turn++) {
      items = await readAll(await open(topic, { group: `compacted-${turn}` }))
      if (recordsOf(items).length < 15) break
      await new Promise((resolve) => setTimeout(resolve, 250))
    }
    const found = recordsOf(items)
    const gaps = gapsOf(items).reduce((sum, { span }) => sum + Number(span), 0)
    assert.ok(found.length < 15, 'nothing was compacted')
    assert.equal(found.length + gaps, 15)
  })

  await t.test('reading goes on where the last commit left it', async () => {
    const topic = await makeTopic()
    const store = memoryStore()
    await kafka.hand({ do: 'produce', topic, records: [text('a'), text('b'), text('c')] })
    const first = await open(topic, { store, once: false })
    const stop = new AbortController()
    for await (const item of first.records(stop.signal)) {
      if (item.kind !== undefined || item.offset !== 1n) continue
      await first.commit([{ topic, partition: 0, next: 2n }])
      stop.abort()
    }
    await first.close()
    await kafka.hand({ do: 'produce', topic, records: [text('d')] })
    const found = recordsOf(await readAll(await open(topic, { store })))
    assert.deepEqual(
      found.map(({ value }) => String(Buffer.from(value ?? []))),
      ['c', 'd'],
    )
    const { progress } = await readProgress(store, topic)
    assert.deepEqual(progress.partitions, [
      { partition: 0, source: `kafka:nightjar-ztf-test-${topic}`, low: 0n, next: 4n, high: 4n },
    ])
    assert.equal(progress.sources[0]?.ended, true)
  })

  await t.test('what retention took before it was read is lost, and said so', async () => {
    const topic = await makeTopic()
    const store = memoryStore()
    await kafka.hand({ do: 'produce', topic, records: [text('a'), text('b'), text('c')] })
    await readAll(await open(topic, { store }))
    await kafka.hand({ do: 'produce', topic, records: [text('d'), text('e'), text('f')] })
    await kafka.hand({ do: 'truncate', topic, partition: 0, before: 5 })
    const items = await readAll(await open(topic, { store }))
    assert.deepEqual(gapsOf(items), [
      { kind: 'gap', lost: true, topic, partition: 0, offset: 3n, span: 2n },
    ])
    assert.deepEqual(
      recordsOf(items).map(({ offset }) => offset),
      [5n],
    )
  })

  await t.test('a group whose offsets are gone begins where our own progress stands', async () => {
    const topic = await makeTopic()
    const store = memoryStore()
    await kafka.hand({ do: 'produce', topic, records: [text('a'), text('b')] })
    await readAll(await open(topic, { store }))
    await kafka.hand({ do: 'produce', topic, records: [text('c')] })
    const items = await readAll(await open(topic, { store, group: 'another' }))
    assert.deepEqual(
      recordsOf(items).map(({ offset }) => offset),
      [2n],
    )
  })

  await t.test('a topic that was made again under its name is refused', async () => {
    const topic = await makeTopic()
    const store = memoryStore()
    await kafka.hand({ do: 'produce', topic, records: [text('a'), text('b')] })
    await readAll(await open(topic, { store }))
    await kafka.hand({ do: 'delete', topic })
    await new Promise((resolve) => setTimeout(resolve, 300))
    await kafka.hand({ do: 'create', topic })
    await kafka.hand({ do: 'produce', topic, records: [text('other')] })
    const source = await open(topic, { store })
    await assert.rejects(readAll(source), /partition 0: it ends at offset 1, but offsets up to 2/)
    await source.close()
  })

  await t.test('a topic that is not there is refused, and not made', async () => {
    await assert.rejects(open('ztf_20261122_programid1'), /the broker has no such topic/)
    const client = await kafkaClient({ brokers: kafka.bootstrap.split(',') }, log)
    const admin = client.admin()
    await admin.connect()
    assert.ok(!(await admin.listTopics()).includes('ztf_20261122_programid1'))
    await admin.disconnect()
  })

  await t.test(
    'a slow reader slows the fetching: the queue holds no more than it may',
    async () => {
      const topic = await makeTopic()
      const file = join(kafka.folder, 'large')
      writeFileSync(file, randomBytes(100_000))
      const records = Array.from({ length: 300 }, () => ({ file }))
      await kafka.hand({ do: 'produce', topic, records })
      const source = await open(topic, { queueBytes: 1 << 20, once: false })
      const stop = new AbortController()
      let taken = 0
      for await (const item of source.records(stop.signal)) {
        if (item.kind !== undefined) continue
        taken++
        if (taken === 1) await new Promise((resolve) => setTimeout(resolve, 1500))
        const [at] = source.lag()
        const ahead = Number(at?.next ?? 0n) - taken
        assert.ok(ahead <= 12, `${ahead} records of 100 kB are handed out and not taken`)
        if (taken === 300) stop.abort()
      }
      await source.close()
      assert.equal(taken, 300)
    },
  )

  await t.test('a new connection goes on without a record lost or doubled', async () => {
    const topic = await makeTopic(2)
    const produce = (from: number) =>
      kafka.hand({
        do: 'produce',
        topic,
        records: Array.from({ length: 40 }, (_, i) => ({
          ...text(`${from + i}`),
          partition: i % 2,
        })),
      })
    await produce(0)
    const source = await open(topic, { once: false })
    const stop = new AbortController()
    const seen: string[] = []
    let renewed: Promise<unknown> | undefined
    for await (const item of source.records(stop.signal)) {
      if (item.kind !== undefined) continue
      seen.push(String(Buffer.from(item.value ?? [])))
      await source.commit([{ topic, partition: item.partition, next: item.offset + 1n }])
      if (seen.length === 40) renewed ??= source.renew().then(() => produce(40))
      if (seen.length === 80) stop.abort()
    }
    await renewed
    await source.close()
    assert.equal(new Set(seen).size, 80)
    assert.equal(source.connections(), 2)
  })
})
