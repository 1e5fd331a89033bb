/**
 * A night from its dusk to its proof on emulators, by the ticks of the function alone: real Kafka, real
 * pushes to the functions' own bundles, and a machine whose start is the consumer's process.
 */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { conductOnce, type Conducted } from '../../cli/conductor-request.ts'
import { openCloudGround } from '../../cloud/ground.ts'
import { openTopics } from '../../cloud/topics.ts'
import { darkness } from '../../conductor/darkness.ts'
import type { CloseRecord } from '../../conductor/close.ts'
import { readNightRecord } from '../../conductor/tick.ts'
import { parseEnvironment } from '../../core/environment.ts'
import { machineName, subscriptionName, topicName } from '../../core/names.ts'
import { counter, countedTopics, readersOf } from '../../core/pipeline.ts'
import { bundleReader, type Bundled } from '../../functions/bundle.ts'
import type { Truth } from '../../simulator/truth.ts'
import { skipWithoutKafka, startKafka } from '../consumer/kafka/broker.ts'
import { loadNight } from '../consumer/kafka/night.ts'
import {
  makeNight,
  repository,
  runHere,
  startNightjar,
  startProgram,
  type Started,
} from '../night/harness.ts'
import { startCompute, stopped } from './doubles/compute.ts'
import { startLossyPush, type LossyPush } from './doubles/lossy-push.ts'
import { freePort, skipWithoutBigquery, skipWithoutGcs, skipWithoutPubsub } from './emulators.ts'
import { startInstance } from './instance.ts'

const skip = skipWithoutKafka || skipWithoutPubsub || skipWithoutGcs || skipWithoutBigquery
const at = { survey: 'ztf', project: 'conducted', instance: 'rc1' } as const
const zone = 'us-central1-a'
const hour = 3_600_000

// Below the repository, since what is not bundled is found in its packages.
mkdirSync(join(repository, '.nightjar'), { recursive: true })
const dir = mkdtempSync(join(repository, '.nightjar/conducted-'))
after(() => rmSync(dir, { recursive: true, force: true }))

test(
  'P12 P16 P18 P19 P20 P21 a night in the cloud is waited for, run, drained, proven, stopped and reported by ticks alone',
  {
    skip,
    timeout: 600_000,
  },
  async (t) => {
    const night = makeNight(dir, { alerts: 160, seed: 'conducted', gaps: 0 })
    const dark = darkness('ztf', night.night)
    const lastOf = (partition: number): number =>
      Math.max(
        ...night.truths.filter((one) => one.partition === partition).map((one) => one.offset),
      )
    const isLate = ({ partition, offset }: Truth): boolean => offset > lastOf(partition) - 3
    const inTime = night.truths.filter((truth) => !isLate(truth)).length
    const lost = night.truths.find(
      (truth) =>
        truth.kind === 'alert' &&
        !isLate(truth) &&
        night.truths.filter(({ candid }) => candid === truth.candid).length === 1,
    )
    assert.ok(lost)
    const kafka = await startKafka()
    const cloud = await startInstance(at)
    const compute = await startCompute()
    const topics = await openTopics({ project: at.project, emulator: cloud.pubsub.host })
    const programs: Started[] = []
    let lossy: LossyPush | undefined
    const config = `gs://${at.project}-broker_files-${at.instance}/nightjar.toml`
    const env: Record<string, string> = {
      ...cloud.env,
      NIGHTJAR_ZONE: zone,
      NIGHTJAR_CONFIG: config,
      COMPUTE_EMULATOR_HOST: compute.host,
      MONITORING_EMULATOR_HOST: compute.host,
    }
    const ground = openCloudGround(parseEnvironment(env))
    const vm = stopped()
    compute.instances.set(`${zone}/${machineName(at, 'consumer')}`, vm)
    let now = 0
    let said = ''

    async function tick(): Promise<Conducted['nights'][number]> {
      const signal = new AbortController().signal
      const write = (line: string): void => void (said += line)
      const done = await conductOnce({ env, write, now: () => new Date(now), signal })
      assert.deepEqual(done.failed, [], said)
      const own = done.nights.find((one) => one.night === night.night)
      assert.ok(own, JSON.stringify(done))
      return own
    }
    /** Tick, while the clock goes on as it does, until the night is in a state. */
    async function until(state: string, seconds: number, because = /./): Promise<void> {
      for (const end = Date.now() + seconds * 1000; Date.now() < end;) {
        const before = Date.now()
        const found = await tick()
        if (found.state === state && because.test(found.why)) return
        await new Promise((resolve) => setTimeout(resolve, 500))
        now += Date.now() - before
      }
      assert.fail(`it is not ${state}: ${said.slice(-4000)}`)
    }
    const endpoints = async (): Promise<string[]> => {
      const found = readersOf('ztf').map(async ({ name, reads }) => {
        const id = subscriptionName(at, reads, name)
        const [{ pushConfig }] = await topics.pubsub.subscription(id).getMetadata()
        return pushConfig?.pushEndpoint ?? ''
      })
      return Promise.all(found)
    }
    async function serve(target: Bundled): Promise<string> {
      const { folder } = await bundleReader(target, dir)
      const port = await freePort()
      const words = [`--source=${folder}`, `--target=${target}`, `--port=${port}`]
      const signature = target === 'conductor' ? 'http' : 'cloudevent'
      const framework = join(repository, 'node_modules/.bin/functions-framework')
      const program = startProgram(
        join(repository, 'node_modules/.bin/node'),
        [framework, ...words, `--signature-type=${signature}`],
        { env },
      )
      programs.push(program)
      await program.until(/Serving function/)
      return `http://127.0.0.1:${port}`
    }

    try {
      const store = await ground.bucket('broker_files')
      const toml = `[streams.ztf]
survey = "ztf"
brokers = ${JSON.stringify(kafka.bootstrap.split(','))}
topics = ["ztf_{night}_programid1"]

[conductor]
gate = "1s"
stable = "2s"
settle = "1m"
drain_limit = "3m"
audit_limit = "20m"
`
      await store.create('nightjar.toml', Buffer.from(toml))
      for (const word of countedTopics('ztf')) {
        const name = subscriptionName(at, word, counter)
        await topics.pubsub.topic(topicName(at, word)).createSubscription(name)
      }
      await topics.pubsub.topic(topicName(at, 'night')).createSubscription('told')
      // The stages as functions that are pushed to, and the ledger into its table, as infra/ has them.
      for (const { name, reads } of readersOf('ztf')) {
        let url = await serve(name)
        if (name === 'packets') {
          lossy = await startLossyPush(url, lost, ['archive', 'exgalac'])
          url = lossy.url
        }
        const pushEndpoint = `${url}/projects/${at.project}/topics/${topicName(at, reads)}`
        const subscription = topics.pubsub.subscription(subscriptionName(at, reads, name))
        await subscription.modifyPushConfig({ pushEndpoint })
      }
      const pushing = await endpoints()
      const instance = ['--cloud', '--project', at.project, '--instance', at.instance]
      const home = join(dir, 'home')
      programs.push(
        startNightjar(['run', ...instance, '--stages', 'none', '--home', home], { env: cloud.env }),
      )
      let consumer: Started | undefined
      const asked: Record<string, string>[] = []
      compute.onStart = (_, metadata) => {
        asked.push(metadata)
        const words = ['--topic', ...(metadata['KAFKA_TOPIC'] ?? '').split(',')]
        consumer = startNightjar(['consume', ...instance, '--home', home, ...words], { env })
        programs.push(consumer)
      }
      compute.onStop = async () => {
        consumer?.child.kill('SIGTERM')
        const ended = await consumer?.ended
        assert.equal(ended?.status, 0, ended?.err)
      }
      // As the night before has left them.
      for (const { name, reads } of readersOf('ztf')) await ground.setPush(reads, name, false)
      assert.deepEqual(
        await endpoints(),
        pushing.map(() => ''),
      )

      await t.test('before dusk it waits for the topic, and no machine runs', async () => {
        now = dark.dusk.getTime() - hour
        assert.equal((await tick()).state, 'waiting')
        assert.equal((await tick()).why, 'the topic is absent')
        assert.equal(vm.status, 'TERMINATED')
        assert.deepEqual(
          await endpoints(),
          pushing.map(() => ''),
        )
      })

      await t.test(
        'the topic has data: stages are attached, and the machine is told and started',
        async () => {
          await loadNight(kafka, night, { partitions: 4, part: (truth) => !isLate(truth) })
          const { state, left } = await tick()
          assert.equal(state, 'running', said)
          assert.deepEqual(left, [])
          assert.deepEqual(await endpoints(), pushing)
          assert.equal(vm.status, 'RUNNING')
          assert.deepEqual(asked, [{ NIGHT: night.night, KAFKA_TOPIC: night.topic }])
        },
      )

      await t.test('status tells lag and backlogs, and what is unknown as unknown', async () => {
        compute.samples.set(
          `num_undelivered_messages ${subscriptionName(at, 'alert_data', 'packets')}`,
          7,
        )
        const words = ['conductor', 'status', ...instance, '--night', night.night, '--json']
        const { out, err } = await runHere(words, { env, now: () => new Date(now) })
        const look = JSON.parse(out) as { backlog: object; seen: { consumer: string } }
        assert.deepEqual(look.backlog, { packets: 7 })
        assert.equal(look.seen.consumer, 'running')
        assert.match(err, /Cloud Monitoring has no point/)
      })

      await t.test(
        'what one stage never saw is missed, and sent again to that stage, once',
        async () => {
          now = dark.dawn.getTime() + 2000
          await until('auditing', 300)
          await until('auditing', 200, /^1 missing: warehouse lacks /)
          assert.deepEqual(lossy?.replayed, [])
          // The ledger has had its time.
          now += 2 * 60_000
          await until('complete', 300)
          assert.deepEqual(lossy?.replayed, [`warehouse ${lost.partition}/${lost.offset}`])
          assert.equal(said.match(/"action":"replay_missing"/g)?.length, 1)
          const { query } = await ground.table()
          const became = new Set<string>()
          const rows = query(`SELECT stage, outcome FROM ledger WHERE night = '${night.night}'
          AND kafka_partition = ${lost.partition} AND kafka_offset = ${lost.offset}`)
          for await (const { stage, outcome } of rows) became.add(`${stage} ${outcome}`)
          // The others, which share its subscription, pass over what is sent to the one.
          assert.ok(became.has('warehouse stored'), [...became].join())
          assert.ok(!became.has('archive duplicate'), [...became].join())
        },
      )

      await t.test(
        'after dawn it has drained, audited and closed; machine and stages rest',
        async () => {
          assert.equal(vm.status, 'TERMINATED')
          assert.deepEqual(
            await endpoints(),
            pushing.map(() => ''),
          )
          const { record } = await readNightRecord(store, 'ztf', night.night, now)
          assert.deepEqual(record.pending, [])
          assert.deepEqual(
            record.history.map(({ to }) => to),
            ['waiting', 'running', 'draining', 'auditing', 'complete'],
          )
          assert.deepEqual(record.alarms, [])
        },
      )

      await t.test(
        'close record and report are in the bucket, each transition on its topic',
        async () => {
          const closes: string[] = []
          for await (const { name } of store.list('audit/')) closes.push(name)
          assert.equal(closes.length, 1)
          const close = JSON.parse(
            Buffer.from((await store.read(closes[0] ?? ''))?.data ?? []).toString(),
          ) as CloseRecord
          assert.equal(close.state, 'complete')
          assert.equal(close.stages[0]?.expected, inTime)
          const words = ['conductor', 'report', ...instance, '--night', night.night]
          const { out } = await runHere(words, { env, now: () => new Date(now) })
          const [page = ''] = out.split('\n')
          assert.match(
            page,
            /^gs:\/\/conducted-broker_files-rc1\/report\/ztf_\d{8}\/report-0001\.html$/,
          )
          const html = await store.read(page.replace(/^gs:\/\/[^/]+\//, ''))
          assert.match(
            Buffer.from(html?.data ?? []).toString(),
            /Complete: each of \d+ occurrences/,
          )

          const events: string[] = []
          const subscription = topics.pubsub.subscription('told')
          await new Promise<void>((resolve) => {
            const late = setTimeout(resolve, 20_000)
            subscription.on('message', (message) => {
              message.ack()
              const fact = JSON.parse(message.data.toString()) as { event: string; to?: string }
              events.push(fact.to ?? fact.event)
              if (events.length < 6) return
              clearTimeout(late)
              resolve()
            })
          })
          await subscription.close()
          assert.deepEqual([...new Set(events)].sort(), [
            'auditing',
            'complete',
            'draining',
            'night_reported',
            'running',
            'waiting',
          ])
        },
      )

      await t.test('late alerts reopen the night, and it closes again with them', async () => {
        await loadNight(kafka, night, { part: isLate })
        const { state, left } = await tick()
        assert.equal(state, 'reopened', said.slice(-4000))
        assert.deepEqual(left, [])
        assert.equal(vm.status, 'RUNNING')
        assert.deepEqual(await endpoints(), pushing)
        await until('complete', 300)
        assert.equal(vm.status, 'TERMINATED')
        const { record } = await readNightRecord(store, 'ztf', night.night, now)
        assert.deepEqual(
          record.history.slice(5).map(({ to }) => to),
          ['reopened', 'draining', 'auditing', 'complete'],
        )
        const closes: CloseRecord[] = []
        for await (const { name } of store.list('audit/')) {
          const found = await store.read(name)
          closes.push(JSON.parse(Buffer.from(found?.data ?? []).toString()) as CloseRecord)
        }
        assert.deepEqual(
          closes.map((one) => one.stages[0]?.expected),
          [inTime, night.truths.length],
        )
        assert.notEqual(closes[0]?.digest, closes[1]?.digest)
      })

      await t.test('the bundle of the function ticks when it is called', async () => {
        const url = await serve('conductor')
        const response = await fetch(url, { method: 'POST', signal: AbortSignal.timeout(120_000) })
        const { nights, failed } = (await response.json()) as Conducted
        assert.equal(response.status, 200, programs.at(-1)?.said().out)
        assert.deepEqual(failed, [])
        assert.ok(nights.length > 0)
      })
    } finally {
      for (const { child } of programs) child.kill('SIGKILL')
      await Promise.all(programs.map(({ ended }) => ended))
      await ground.close()
      await topics.close()
      compute.stop()
      lossy?.stop()
      await cloud.kill()
      await kafka.stop()
    }
  },
)
