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

import { openDatasets } from '../../cloud/datasets.ts'
import { openCloudGround } from '../../cloud/ground.ts'
import { openTable as openCloudTable } from '../../cloud/table.ts'
import type { CloseRecord } from '../../conductor/close.ts'
import { parseEnvironment } from '../../core/environment.ts'
import { datasetName } from '../../core/names.ts'
import { openTable } from '../../local/table.ts'
import { makeNight, repository, startNightjar, startProgram } from '../night/harness.ts'
import { skipWithoutBigquery, skipWithoutGcs, skipWithoutPubsub } from './emulators.ts'
import { startInstance, type Emulated } from './instance.ts'
import { createRising } from './rising.ts'
import { checkLetters, outcomesOf, verify } from './truth.ts'

const skip = skipWithoutPubsub || skipWithoutGcs || skipWithoutBigquery
const alerts = Number(process.env['NIGHTJAR_NIGHT_ALERTS'] ?? 2000)
/** A large night gets the stack's own deadline, and room for what is not acked yet. */
const roomy = alerts > 2000 ? { ackDeadlineSeconds: 60, pubsubMb: 2048 } : {}
/** Records that come at once, and those still under way when the next ones come: together what a reader holds. */
const portionSize = Math.min(200, Math.ceil(alerts / 8))
const underWay = 50
const at = { survey: 'ztf', project: 'night', instance: 'rc1' } as const
const dir = mkdtempSync(join(tmpdir(), 'nightjar-cloud-'))
after(() => rmSync(dir, { recursive: true, force: true }))

interface Summary {
  records: number
  seconds: number
  nights: CloseRecord[]
}

const instance = ['--cloud', '--project', at.project, '--instance', at.instance]

/** The command line with DuckDB in BigQuery's place, which takes a large night in a third of the time. */
function start(cloud: Emulated, file: string, ...words: string[]) {
  const child = join(repository, 'test/cloud/child.ts')
  const node = join(repository, 'node_modules/.bin/node')
  return startProgram(node, [child, file, ...words, ...instance], { env: cloud.env })
}

/** Resolves when so many alerts are archived; rejects when none has come for long. */
async function archived(cloud: Emulated, atLeast: number): Promise<void> {
  const ground = openCloudGround(parseEnvironment(cloud.env))
  const store = await ground.bucket('alert_avro_bucket')
  let most = 0
  for (let since = performance.now(); performance.now() - since < 120_000;) {
    let count = 0
    for await (const _ of store.list('')) count++
    if (count >= atLeast) return
    if (count > most) since = performance.now()
    most = count
    // Listing takes the emulator a while, too.
    await pause(Math.max(100, count / 2))
  }
  throw new Error(`${most} alerts were archived, and ${atLeast} never`)
}

const summaryOf = (out: string): Summary => JSON.parse(out) as Summary

test(
  'a night with two kill -9 on its way goes on where it stood and is proven complete',
  { skip },
  async (t) => {
    const night = makeNight(join(dir, 'kills'), { alerts })
    const file = join(dir, 'kills.duckdb')
    const cloud = await startInstance(at, roomy)
    const sky = await createRising(night, at, cloud.pubsub.host)
    const words = ['run', '--from', night.from]
    let running = start(cloud, file, ...words)
    try {
      const kills = [0.2, 0.5].map((share) => share * alerts)
      let come = 0
      for (;;) {
        const { length } = sky.next(portionSize)
        if (length === 0) break
        come += length
        if (come >= (kills[0] ?? Infinity)) {
          kills.shift()
          // In the midst of it: the folder is looked at each second.
          await pause(1500)
          running.child.kill('SIGKILL')
          await running.ended
          running = start(cloud, file, ...words)
        }
        await sky.takenBut(underWay)
      }
      await sky.takenBut(0)
      await sky.close()
      running.child.kill('SIGTERM')
      assert.equal((await running.ended).status, 0)
      const { out, err, status } = await start(cloud, file, ...words, '--once', '--json').ended
      assert.equal(status, 0, `${out}${err.slice(-2000)}`)
      assert.equal(summaryOf(out).nights[0]?.state, 'complete')
      const table = await openTable({ file, dataset: datasetName(at) })
      t.diagnostic(await outcomesOf(table))
      await verify(cloud.env, night, table)
      await checkLetters(cloud.env, night)
    } finally {
      running.child.kill('SIGKILL')
      await cloud.kill()
    }
  },
)

test(
  'a Pub/Sub that dies half-way and forgets everything costs a replay of what is missing, and no alert',
  { skip },
  async () => {
    const most = Math.min(alerts, alerts > 2000 ? 1000 : 400)
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
      await verify(cloud.env, night, await openTable({ file, dataset: datasetName(at) }))
    } finally {
      await cloud.kill()
    }
  },
)

test(
  'a BigQuery that dies half-way, with the rows that it had stored, costs nothing: no alert, no row twice',
  { skip },
  async () => {
    const most = Math.min(alerts, 200)
    const night = makeNight(join(dir, 'warehouse'), { alerts: most, seed: 'warehouse' })
    const cloud = await startInstance(at, { bigqueryFolder: join(dir, 'bigquery') })
    const env = { ...cloud.env, NIGHTJAR_HOME: join(dir, 'warehouse', 'home') }
    try {
      const words = ['run', '--from', night.from, '--once', '--json', '--rate', '60', ...instance]
      const running = startNightjar(words, { env })
      try {
        await archived(cloud, Math.floor(0.3 * most))
        await cloud.bigquery.kill()
        await pause(1000)
        await cloud.bigquery.restart()
        const { out, err, status } = await running.ended
        assert.equal(status, 0, `${out}${err.slice(-2000)}`)
        assert.equal(summaryOf(out).nights[0]?.state, 'complete')
      } finally {
        running.child.kill('SIGKILL')
      }
      const { host: rest, grpc } = cloud.bigquery
      const datasets = openDatasets({ project: at.project, emulator: { rest, grpc } })
      try {
        await verify(cloud.env, night, await openCloudTable({ datasets, dataset: datasetName(at) }))
      } finally {
        await datasets.close()
      }
    } finally {
      await cloud.kill()
    }
  },
)
