import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import type { TopicReport } from '../../consumer/kafka/topics.ts'
import { freePort } from '../cloud/emulators.ts'
import { skipWithoutKafka, startKafka, type Kafka } from '../consumer/kafka/broker.ts'
import { loadNight } from '../consumer/kafka/night.ts'
import { makeNight, nightjar, runHere, startNightjar } from '../night/harness.ts'
import { prepareHome, verifyHome } from '../night/verify.ts'

test('nightjar consume and topics where no broker listens are one sentence that names them', async (t) => {
  const home = mkdtempSync(join(tmpdir(), 'nightjar-dead-'))
  t.after(() => rmSync(home, { recursive: true }))
  const brokers = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`]
  const sentence =
    /^nightjar: Cannot reach Kafka at (\S+), (\S+): connect ECONNREFUSED \S+; check that these are its brokers, .+[^.]$/m
  const verbs = [['consume', '--once'], ['topics']].map(async (words) => {
    const asked = [...words, '--home', home, '--brokers', ...brokers, '--night', '20261121']
    const { err, status } = await runHere(asked)
    assert.equal(status, 1, err)
    assert.deepEqual(sentence.exec(err)?.slice(1, 3), brokers, err)
  })
  await Promise.all(verbs)
})

test('nightjar consume and topics', { skip: skipWithoutKafka }, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'nightjar-consume-'))
  const night = makeNight(dir, { alerts: 120, seed: 'consume', gaps: 0.1 })
  let kafka: Kafka
  let brokers: string[]
  before(async () => {
    kafka = await startKafka()
    brokers = ['--brokers', ...kafka.bootstrap.split(',')]
  })
  after(async () => {
    await kafka.stop()
    rmSync(dir, { recursive: true })
  })

  await t.test('topics tells what is absent, empty, there and expired', async () => {
    const topicOf = (n: string): string => `ztf_202611${n}_programid1`
    await kafka.hand({ do: 'create', topic: topicOf('02') })
    await kafka.hand({ do: 'create', topic: topicOf('03'), partitions: 2 })
    await kafka.hand({ do: 'create', topic: topicOf('04') })
    const records = [{ base64: 'YQ==' }, { base64: 'Yg==', partition: 1 }, { base64: 'Yw==' }]
    await kafka.hand({ do: 'produce', topic: topicOf('03'), records })
    await kafka.hand({ do: 'produce', topic: topicOf('04'), records: [{ base64: 'YQ==' }] })
    await kafka.hand({ do: 'truncate', topic: topicOf('04'), partition: 0, before: 1 })
    const asked = ['topics', ...brokers, '--nights', '20261101..20261104']
    const { out, status } = await runHere([...asked, '--json'])
    assert.equal(status, 0)
    const reports = JSON.parse(out) as (Omit<TopicReport, 'partitions'> & {
      partitions: { partition: number; low: string; high: string }[]
    })[]
    assert.deepEqual(
      reports.map(({ topic, state, partitions }) => [topic, state, partitions.length]),
      [
        [topicOf('01'), 'absent', 0],
        [topicOf('02'), 'empty', 1],
        [topicOf('03'), 'has data', 2],
        [topicOf('04'), 'expired', 1],
      ],
    )
    assert.deepEqual(reports[2]?.partitions[0], { partition: 0, low: '0', high: '2' })
    const shown = await runHere(asked)
    assert.match(shown.out, /^ztf_20261103_programid1 +has data +2 +3 +– +3$/m)
    const none = await runHere(['topics', ...brokers, '--night', '20261101'])
    assert.equal(none.status, 1)
  })

  await t.test(
    'a stream of no survey goes to a topic of its own, bytes untouched, and no stage reads it',
    async () => {
      const home = join(dir, 'notices')
      const topic = 'gcn.notices.test'
      await kafka.hand({ do: 'create', topic, partitions: 2 })
      const notices = [{ alert: 'one' }, { alert: 'two' }].map((notice) => JSON.stringify(notice))
      const records = notices.map((text, partition) => ({
        base64: Buffer.from(text).toString('base64'),
        partition,
      }))
      await kafka.hand({ do: 'produce', topic, records })
      const config = join(dir, 'gcn.toml')
      const [broker] = kafka.bootstrap.split(',')
      writeFileSync(
        config,
        `[streams.gcn]\nto = "gcn_notices"\nbrokers = ["${broker}"]\ntopics = ["${topic}"]\n`,
      )
      const words = ['--config', config, '--stream', 'gcn', '--home', home, '--once']
      // The topic comes to be with its first record; what is there for a subscriber is what comes after.
      assert.equal((await nightjar('consume', ...words)).status, 0)
      const named = ['subscribe', 'gcn_notices', '--home', home, '--name', 'reader']
      await nightjar(...named, '--max', '0')
      await kafka.hand({ do: 'produce', topic, records })
      assert.equal((await nightjar('consume', ...words)).status, 0)
      const { out } = await nightjar(...named, '--drain')
      const lines = out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { data?: unknown })
      assert.deepEqual(lines.map(({ data }) => JSON.stringify(data)).sort(), notices)
      const { out: ledger } = await nightjar(
        'query',
        '--home',
        home,
        '--json',
        'SELECT stage, COUNT(*) AS n FROM ledger GROUP BY 1',
      )
      assert.match(ledger, /"stage":\s*"intake"/)
      assert.doesNotMatch(ledger, /archive|warehouse/)
    },
  )

  await t.test(
    'consume --wait waits for a topic, takes a whole night in and proves it',
    async () => {
      const home = join(dir, 'waiting')
      await prepareHome(home)
      const running = startNightjar([
        ...['consume', ...brokers, '--home', home, '--night', night.night],
        ...['--wait', '--deadline', '60s', '--once'],
      ])
      await running.until(/topic_probed .*state=absent/)
      await loadNight(kafka, night)
      running.child.kill('SIGINT')
      await running.ended
      const words = ['consume', ...brokers, '--home', home, '--night', night.night, '--once']
      const { out, err, status } = await nightjar(...words)
      assert.equal(status, 0, err)
      assert.match(out, /^Complete: each of \d+ occurrences is accounted for at every stage\.$/m)
      await verifyHome(home, night)
      const again = await nightjar(...words, '--json')
      assert.equal((JSON.parse(again.out) as { records: number }).records, 0)
    },
  )

  await t.test('a configured stream, and a deadline that passes', async () => {
    const config = join(dir, 'nightjar.toml')
    const list = JSON.stringify(kafka.bootstrap.split(','))
    const stream = `survey = "ztf"\nbrokers = ${list}\ntopics = ["ztf_{night}_programid1"]\n`
    writeFileSync(config, `[streams.ztf]\n${stream}`)
    const { err, status } = await nightjar(
      ...['consume', '--config', config, '--home', join(dir, 'late'), '--night', '20261130'],
      ...['--wait', '--deadline', '2s'],
    )
    assert.equal(status, 1)
    assert.match(err, /Cannot consume: "ztf_20261130_programid1" is absent; --wait waits/)
  })

  await t.test('several nights are caught up, and those that are gone are said', async () => {
    const { out, err, status } = await nightjar(
      ...['consume', ...brokers, '--home', join(dir, 'several'), '--once', '--json'],
      ...['--nights', '20261101..20261104'],
    )
    assert.equal(status, 1)
    assert.match(err, /Nothing to consume: "ztf_20261101_programid1" is absent/)
    assert.match(err, /Nothing to consume: "ztf_20261104_programid1" is expired/)
    const { nights } = JSON.parse(out) as { nights: { night: string; state: string }[] }
    assert.deepEqual(
      nights.map(({ night: name, state }) => [name, state]),
      [
        ['20261102', 'complete'],
        ['20261103', 'complete'],
      ],
    )
  })
})
