/**
 * The simulated night through Google's emulators, held against the simulator's truth. The number of
 * alerts is NIGHTJAR_NIGHT_ALERTS: `make cloudnight` sets 20,000.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { openCloudGround } from '../../cloud/ground.ts'
import { openTopics } from '../../cloud/topics.ts'
import type { CloseRecord } from '../../conductor/close.ts'
import { occurrenceOf } from '../../core/alert.ts'
import { crc32c } from '../../core/crc32c.ts'
import { parseEnvironment } from '../../core/environment.ts'
import { archiveName, datasetName, subscriptionName } from '../../core/names.ts'
import { stagesOf } from '../../core/pipeline.ts'
import { fixPacket } from '../../schemas/fix.ts'
import type { Truth } from '../../simulator/truth.ts'
import type { Table } from '../../core/ports.ts'
import { openTable } from '../../local/table.ts'
import { makeNight, repository, startProgram, type Night } from '../night/harness.ts'
import { skipWithoutBigquery, skipWithoutGcs, skipWithoutPubsub } from './emulators.ts'
import { startInstance, type Emulated } from './instance.ts'

const skip = skipWithoutPubsub || skipWithoutGcs || skipWithoutBigquery
const alerts = Number(process.env['NIGHTJAR_NIGHT_ALERTS'] ?? 400)
const at = { survey: 'ztf', project: 'night', instance: 'rc1' } as const
const dir = mkdtempSync(join(tmpdir(), 'nightjar-cloud-'))
after(() => rmSync(dir, { recursive: true, force: true }))

interface Summary {
  records: number
  seconds: number
  nights: CloseRecord[]
}

const isCorrupt = ({ kind }: Truth): boolean => kind.startsWith('corrupt:')
const idOf = ({ objectId, candid }: Truth): string => `${objectId} ${candid}`

const instance = ['--cloud', '--project', at.project, '--instance', at.instance]

/**
 * The command line with DuckDB in BigQuery's place: the BigQuery emulator stands still for ever where a
 * client is killed while it stores rows.
 */
function start(cloud: Emulated, file: string, ...words: string[]) {
  const child = join(repository, 'test/cloud/child.ts')
  const node = join(repository, 'node_modules/.bin/node')
  return startProgram(node, [child, file, ...words, ...instance], { env: cloud.env })
}

/** Resolves when so many alerts are archived. */
async function archived(cloud: Emulated, atLeast: number): Promise<void> {
  const ground = openCloudGround(parseEnvironment(cloud.env))
  const store = await ground.bucket('alert_avro_bucket')
  for (let tries = 0; tries < 600; tries++) {
    let count = 0
    for await (const _ of store.list('')) count++
    if (count >= atLeast) return
    await pause(100)
  }
  throw new Error(`${atLeast} alerts were not archived in time`)
}

/** Hold buckets, tables and dead letters against the truth. */
async function verify(cloud: Emulated, night: Night, table: Table): Promise<void> {
  const records = night.truths.filter(({ kind }) => kind !== 'gap')
  const intact = Map.groupBy(
    records.filter((truth) => !isCorrupt(truth)),
    idOf,
  )
  const ground = openCloudGround(parseEnvironment(cloud.env))
  try {
    const expected = new Map<string, Truth>()
    for (const [truth] of intact.values()) {
      if (truth === undefined) continue
      const { topic, objectId = '', candid = '' } = truth
      expected.set(archiveName(topic, objectId, BigInt(candid)), truth)
    }
    const store = await ground.bucket('alert_avro_bucket')
    const found: string[] = []
    for await (const object of store.list('')) {
      found.push(object.name)
      const truth = expected.get(object.name)
      assert.ok(truth, `${object.name} is an alert`)
      const { bytes } = fixPacket(night.bytesOf(truth))
      assert.equal(object.crc32c, crc32c(bytes), `${object.name} has the bytes of the alert`)
    }
    assert.deepEqual(found.toSorted(), [...expected.keys()].toSorted(), 'one object an alert')

    const rows: string[] = []
    for await (const row of table.query('SELECT objectId, candid FROM alerts')) {
      rows.push(`${String(row['objectId'])} ${String(row['candid'])}`)
    }
    assert.deepEqual(rows.toSorted(), [...intact.keys()].toSorted(), 'one row an alert in the view')

    const letters = new Set<string>()
    const dead = `SELECT stage, kafka_partition, kafka_offset FROM ledger
      WHERE outcome = 'dead_lettered'`
    for await (const row of table.query(dead)) {
      letters.add(
        `${String(row['stage'])} ${String(row['kafka_partition'])} ${String(row['kafka_offset'])}`,
      )
    }
    const poison = records.filter(isCorrupt).flatMap((truth) =>
      stagesOf('ztf')
        .filter((stage) => ['archive', 'warehouse', 'exgalac'].includes(stage))
        .map((stage) => `${stage} ${truth.partition} ${truth.offset}`),
    )
    assert.deepEqual(
      [...letters].toSorted(),
      poison.toSorted(),
      'the damaged ones are dead letters',
    )
  } finally {
    await table.close()
    await ground.close()
  }
}

/** The dead letters themselves, whole. */
async function checkLetters(cloud: Emulated, night: Night): Promise<void> {
  const topics = await openTopics({ project: at.project, emulator: cloud.pubsub.host })
  const name = subscriptionName(at, 'dead_letter', 'replay')
  const subscription = topics.pubsub.subscription(name)
  const byOffset = new Map(
    night.truths.filter(isCorrupt).map((truth) => [`${truth.partition} ${truth.offset}`, truth]),
  )
  const seen = new Set<string>()
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${seen.size} of ${byOffset.size}`)), 20_000)
    subscription.on('message', (message) => {
      const { partition, offset } = occurrenceOf(message.attributes)
      const truth = byOffset.get(`${partition} ${offset}`)
      message.ack()
      if (truth === undefined)
        return reject(new Error(`no damaged packet at ${partition} ${offset}`))
      if (Buffer.compare(message.data, night.bytesOf(truth)) !== 0) {
        return reject(new Error(`the letter of ${partition} ${offset} has other bytes`))
      }
      seen.add(`${partition} ${offset}`)
      if (seen.size < byOffset.size) return
      clearTimeout(timer)
      resolve()
    })
  })
  await subscription.close()
  await topics.close()
}

const summaryOf = (out: string): Summary => JSON.parse(out) as Summary

test(
  'a night with two kill -9 on its way goes on where it stood and is proven complete',
  { skip },
  async () => {
    const night = makeNight(join(dir, 'kills'), { alerts })
    const file = join(dir, 'kills.duckdb')
    const cloud = await startInstance(at)
    try {
      for (const share of [0.2, 0.5]) {
        const running = start(cloud, file, 'run', '--from', night.from, '--once')
        await archived(cloud, Math.floor(share * alerts * 0.9))
        running.child.kill('SIGKILL')
        await running.ended
      }
      const last = start(cloud, file, 'run', '--from', night.from, '--once', '--json')
      const { out, err, status } = await last.ended
      assert.equal(status, 0, `${out}${err.slice(-2000)}`)
      assert.equal(summaryOf(out).nights[0]?.state, 'complete')
      await verify(cloud, night, await openTable({ file, dataset: datasetName(at) }))
      await checkLetters(cloud, night)
    } finally {
      await cloud.kill()
    }
  },
)

test(
  'a Pub/Sub that dies half-way and forgets everything costs a replay of what is missing, and no alert',
  { skip },
  async () => {
    const most = Math.min(alerts, 1000)
    const night = makeNight(join(dir, 'forgets'), { alerts: most, seed: 'forgets' })
    const file = join(dir, 'forgets.duckdb')
    const cloud = await startInstance(at)
    try {
      const first = start(cloud, file, 'run', '--from', night.from, '--once', '--rate', '200')
      await archived(cloud, Math.floor(0.3 * most))
      await cloud.pubsub.kill()
      await cloud.pubsub.restart()
      await cloud.makeTopics()
      // Whether it gets over it or not: the next one goes on where it stood.
      await Promise.race([first.ended, pause(3000)])
      first.child.kill('SIGKILL')
      await first.ended
      const words = ['run', '--from', night.from, '--once', '--patience', '4s']
      const second = await start(cloud, file, ...words).ended
      assert.equal(second.status, 1, 'what was forgotten is told')
      assert.match(second.out, /NOT complete: [\d,]+ missing/)
      const replay = await start(cloud, file, 'replay', '--missing', '--night', night.night).ended
      assert.equal(replay.status, 0, replay.err.slice(-2000))
      const { out, err, status } = await start(cloud, file, 'run', '--once', '--json').ended
      assert.equal(status, 0, `${replay.out}${out}${err.slice(-2000)}`)
      assert.equal(summaryOf(out).nights[0]?.state, 'complete')
      await verify(cloud, night, await openTable({ file, dataset: datasetName(at) }))
    } finally {
      await cloud.kill()
    }
  },
)
