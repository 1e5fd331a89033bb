import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { openCloudGround } from '../../cloud/ground.ts'
import { parseEnvironment } from '../../core/environment.ts'
import { makeNight, startNightjar } from '../night/harness.ts'
import { skipWithoutBigquery, skipWithoutGcs, skipWithoutPubsub } from './emulators.ts'
import { startInstance } from './instance.ts'

const skip = skipWithoutPubsub || skipWithoutGcs || skipWithoutBigquery
const at = { survey: 'ztf', project: 'night', instance: 'rc1' } as const
const dir = mkdtempSync(join(tmpdir(), 'nightjar-ending-'))
after(() => rmSync(dir, { recursive: true, force: true }))

test(
  'a broker whose services are gone ends when it is asked to, and says that it could not in order',
  { skip },
  async () => {
    const night = makeNight(join(dir, 'night'), { alerts: 100 })
    const cloud = await startInstance(at)
    const env = { ...cloud.env, NIGHTJAR_HOME: join(dir, 'home') }
    const words = ['run', '--cloud', '--from', night.from, '--rate', '20']
    const running = startNightjar(words, { env })
    try {
      const ground = openCloudGround(parseEnvironment(cloud.env))
      const store = await ground.bucket('alert_avro_bucket')
      async function count(): Promise<number> {
        let archived = 0
        for await (const _ of store.list('')) archived++
        return archived
      }
      // In the midst of it: some is archived, and some is not.
      while ((await count()) < 10) await pause(200)
      await ground.close()
      await cloud.kill()
      running.child.kill('SIGTERM')
      const asked = performance.now()
      const { err, status } = await running.ended
      const seconds = (performance.now() - asked) / 1000
      assert.equal(status, 1)
      assert.match(err, /nightjar: Cannot .+/)
      // 20 s of silence, 2 s for what is left over; the rest is for a machine that does much else.
      assert.ok(seconds < 60, `it took ${seconds} s`)
    } finally {
      running.child.kill('SIGKILL')
      await cloud.kill()
    }
  },
)
