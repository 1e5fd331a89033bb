/** VOEvents over a real Kafka, in both directions. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { kafkaClient } from '../../../consumer/kafka/client.ts'
import { openKafkaSource } from '../../../consumer/kafka/source.ts'
import { skipWithoutKafka, startKafka } from '../../consumer/kafka/broker.ts'
import { memoryStore } from '../../memory-store.ts'
import { runHere, startNightjar, type Started } from '../../night/harness.ts'
import { made } from './events.ts'

const dir = mkdtempSync(join(tmpdir(), 'nightjar-voevent-kafka-'))
const stops: (() => unknown)[] = []
after(async () => {
  for (const stop of stops.reverse()) await stop()
  rmSync(dir, { recursive: true, force: true })
})

const ivorn = (number: number): string => `ivo://org.example/stream#ev${number}`
const log = (): void => {}

test(
  'events of a stream come in once, and what is accepted goes out to another',
  { skip: skipWithoutKafka, timeout: 180_000 },
  async () => {
    const kafka = await startKafka()
    stops.push(() => kafka.stop())
    const incoming = 'gcn.classic.voevent.SWIFT_BAT_GRB_POS_ACK'
    await kafka.hand({ do: 'create', topic: incoming, partitions: 2 })
    await kafka.hand({ do: 'create', topic: 'ours' })
    const records = [1, 2, 1, 3].map((number, i) => ({
      partition: i % 2,
      base64: made({ ivorn: ivorn(number) }).toString('base64'),
    }))
    const garbage = { partition: 0, base64: Buffer.from('{"not": "xml"}').toString('base64') }
    await kafka.hand({
      do: 'produce',
      topic: incoming,
      records: [garbage, ...records, { partition: 1 }],
    })
    const config = join(dir, 'nightjar.toml')
    writeFileSync(
      config,
      `[streams.gcn]\nto = "voevent"\nbrokers = ["${kafka.bootstrap}"]\ntopics = ["${incoming}"]\n` +
        `[streams.out]\nto = "voevent"\nbrokers = ["${kafka.bootstrap}"]\ntopics = ["ours"]\n`,
    )
    const home = join(dir, 'home')
    const saved = join(dir, 'saved')
    const words = [
      ...[
        'gateway',
        'voevent',
        '--home',
        home,
        '--eventdb',
        join(home, 'seen'),
        '--config',
        config,
      ],
      ...['--local-ivo', 'ivo://org.nightjar/broker', '-r', 'tcp:0:interface=127.0.0.1'],
      ...[
        '--from-kafka',
        'gcn',
        '--to-kafka',
        'out',
        '--save-event',
        '--save-event-directory',
        saved,
      ],
    ]
    const start = async (): Promise<{ started: Started; endpoint: string }> => {
      const started = startNightjar(words)
      stops.push(() => started.child.kill('SIGKILL'))
      await started.until(/gateway_started .*\n/)
      const [, endpoint = ''] = /listening=\[\\?"([^"\\]+)/.exec(started.said().err) ?? []
      return { started, endpoint }
    }
    const names = (): string[] => {
      try {
        return readdirSync(saved).sort()
      } catch {
        return []
      }
    }
    const first = await start()
    while (names().length < 3) await pause(50)
    const event = join(dir, 'event.xml')
    writeFileSync(event, made({ ivorn: ivorn(4) }))
    assert.equal((await runHere(['sendvo', first.endpoint, event])).status, 0)
    while (names().length < 4) await pause(50)
    first.started.child.kill('SIGTERM')
    const ended = await first.started.ended
    assert.equal(ended.status, 0, ended.err)
    assert.match(ended.err, /voevent_refused .*Cannot parse XML/)

    const second = await start()
    await kafka.hand({
      do: 'produce',
      topic: incoming,
      records: [{ base64: made({ ivorn: ivorn(5) }).toString('base64') }],
    })
    while (names().length < 5) await pause(50)
    second.started.child.kill('SIGTERM')
    assert.equal((await second.started.ended).status, 0)
    assert.deepEqual(
      names(),
      [1, 2, 3, 4, 5].map((number) => `ivo__org.example_streamev${number}`),
    )
    assert.deepEqual(
      readFileSync(join(saved, 'ivo__org.example_streamev2')),
      made({ ivorn: ivorn(2) }),
    )

    const source = await openKafkaSource({
      connect: () => kafkaClient({ brokers: kafka.bootstrap.split(',') }, log),
      topic: 'ours',
      group: 'reader',
      store: memoryStore(),
      log,
      once: true,
    })
    const out = new Map<string, string>()
    for await (const record of source.records(new AbortController().signal)) {
      if (record.kind !== undefined) continue
      assert.equal(record.headers?.['ivorn'], record.key)
      out.set(record.key ?? '', Buffer.from(record.value ?? []).toString())
    }
    await source.close()
    for (const number of [1, 2, 3, 4, 5]) {
      assert.equal(out.get(ivorn(number)), made({ ivorn: ivorn(number) }).toString())
    }
  },
)
