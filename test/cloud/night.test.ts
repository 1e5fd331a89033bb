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
import type { CloseRecord } from '../../conductor/close.ts'
import { parseEnvironment } from '../../core/environment.ts'
import { datasetName } from '../../core/names.ts'
import { openTable } from '../../local/table.ts'
import { makeNight, repository, startProgram } from '../night/harness.ts'
import { skipWithoutBigquery, skipWithoutGcs, skipWithoutPubsub } from './emulators.ts'
import { startInstance, type Emulated } from './instance.ts'
import { checkLetters, verify } from './truth.ts'

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
      await verify(cloud.env, night, await openTable({ file, dataset: datasetName(at) }))
      await checkLetters(cloud.env, night)
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
      await verify(cloud.env, night, await openTable({ file, dataset: datasetName(at) }))
    } finally {
      await cloud.kill()
    }
  },
)
