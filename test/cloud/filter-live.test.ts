/** Named filters on an instance, on Google's emulators, beside the same filters on a home. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { withPublisher } from '../../cloud/filter-topics.ts'
import { openReader } from '../../cloud/reader.ts'
import { openTopics } from '../../cloud/topics.ts'
import type { CloseRecord } from '../../conductor/close.ts'
import { subscriptionName, topicName } from '../../core/names.ts'
import { makeNight, repository, runHere, startProgram } from '../night/harness.ts'
import { skipWithoutBigquery, skipWithoutGcs, skipWithoutPubsub } from './emulators.ts'
import { startInstance, type Emulated } from './instance.ts'
import { createRising } from './rising.ts'

const skip = skipWithoutPubsub || skipWithoutGcs || skipWithoutBigquery
const at = { survey: 'ztf', project: 'filtered', instance: 'rc1' } as const
const dir = mkdtempSync(join(tmpdir(), 'nightjar-cloud-filters-'))
after(() => rmSync(dir, { recursive: true, force: true }))

const selectors = {
  first: 'rb > 0.5 AND ndet >= 2',
  // Added when half of the night is done.
  second: 'magpsf < 19',
}

/** The command line with DuckDB in BigQuery's place. */
function start(cloud: Emulated, ...words: string[]) {
  const child = join(repository, 'test/cloud/child.ts')
  const node = join(repository, 'node_modules/.bin/node')
  const where = ['--cloud', '--project', at.project, '--instance', at.instance]
  const home = ['--home', join(dir, 'cloud-home')]
  const file = join(dir, 'cloud.duckdb')
  return startProgram(node, [child, file, ...words, ...where, ...home], { env: cloud.env })
}

test(
  'filters run live in an instance: verdicts as at home, one added in mid-stream, all accounted for',
  { skip },
  async () => {
    const night = makeNight(join(dir, 'night'), { alerts: 60, corrupt: 0, late: 0 })
    const home = ['--home', join(dir, 'home')]
    const stored = await runHere(['run', '--once', '--from', night.from, ...home])
    assert.equal(stored.status, 0, stored.err)
    const wantedBy = async (selector: string): Promise<string[]> => {
      const tried = await runHere(['filter', 'test', selector, '--json', '--list', '1000', ...home])
      const { alerts } = JSON.parse(tried.out) as { alerts: { candid: string }[] }
      return alerts.map(({ candid }) => candid).sort()
    }

    const cloud = await startInstance(at, { filters: true })
    const topics = await openTopics({ project: at.project, emulator: cloud.pubsub.host })
    // As if the deployment had the one reader alone.
    await topics.pubsub.subscription(subscriptionName(at, 'salt2', 'fits')).delete()
    const sky = await createRising(night, at, cloud.pubsub.host)
    const sound = { status: 0, signal: null }
    const listening = new AbortController()
    const running = start(cloud, 'run', '--from', night.from)
    try {
      /** What comes on the topic of a filter, by candid. */
      async function listen(name: keyof typeof selectors): Promise<Set<string>> {
        const topic = topicName(at, `filter_${name}`)
        const found = new Set<string>()
        const reader = await openReader({ topics, topic, name: `${topic}-test`, passing: true })
        const { signal } = listening
        void reader.receive(
          async ({ attributes }) => void found.add(String(attributes['candid'])),
          { signal },
        )
        return found
      }
      const onFits = await start(cloud, 'filter', 'add', 'fits', 'salt2_z < 0.1').ended
      assert.equal(onFits.status, 2)
      assert.match(
        onFits.err,
        /Cannot add filter "fits" .*: the instance was deployed without filters; set "filters = true"/,
      )

      const { out, err, ...ended } = await start(cloud, 'filter', 'add', 'first', selectors.first)
        .ended
      assert.deepEqual(ended, sound, err)
      assert.equal(out, 'first, version 1, publishes on ztf_filter_first-rc1\n')
      assert.match(err, /roles\/nightjar_subscriber_rc1/)
      const first = await listen('first')
      sky.next(Math.floor(night.truths.length / 2))
      await sky.takenBut(0)

      const again = await start(cloud, 'filter', 'add', 'second', selectors.second).ended
      assert.equal(again.status, 0, again.err)
      const second = await listen('second')
      // Whatever comes from now on is judged by both.
      await pause(5500)
      const rest = sky.next(night.truths.length)
      await sky.takenBut(0)
      await sky.close()
      running.child.kill('SIGTERM')
      assert.equal((await running.ended).status, 0)

      const proven = await start(cloud, 'run', '--from', night.from, '--once').ended
      assert.equal(proven.status, 0, `${proven.out}${proven.err.slice(-2000)}`)
      const audited = await start(cloud, 'audit', '--json', '--night', night.night).ended
      assert.equal(audited.status, 0, `${audited.out}${audited.err.slice(-2000)}`)
      const record = JSON.parse(audited.out) as CloseRecord
      assert.equal(record.state, 'complete')
      const judged = record.stages.find(({ stage }) => stage === 'filter')
      const come = night.truths.filter(({ kind }) => kind !== 'gap')
      assert.equal(judged?.expected, come.length)

      const wanted = await wantedBy(selectors.first)
      assert.ok(wanted.length > 0 && wanted.length < 60, String(wanted.length))
      const late = new Set(rest.map(({ candid }) => candid))
      const wantedLate = (await wantedBy(selectors.second)).filter((candid) => late.has(candid))
      assert.ok(wantedLate.length > 0 && wantedLate.length < late.size)
      for (let tries = 0; tries < 200; tries++) {
        if (first.size >= wanted.length && second.size >= wantedLate.length) break
        await pause(100)
      }
      listening.abort()
      assert.deepEqual([...first].sort(), wanted)
      assert.deepEqual([...second].sort(), wantedLate)

      const shown = await start(cloud, 'filter', 'show', 'first', '--json').ended
      const { accounts } = JSON.parse(shown.out) as { accounts: { asked: number }[] }
      assert.deepEqual(
        accounts.map(({ asked }) => asked),
        [come.length],
        shown.err,
      )
      const removed = await start(cloud, 'filter', 'remove', 'second').ended
      assert.equal(removed.out, 'second is removed\n', removed.err)
      const listed = await start(cloud, 'filter', 'list').ended
      assert.match(listed.out, /first +1 /)
      assert.doesNotMatch(listed.out, /second/)
    } finally {
      listening.abort()
      running.child.kill('SIGKILL')
      await topics.close()
      await cloud.kill()
    }
  },
)

test('the function of the filters may publish where it must, and nobody loses what was granted', () => {
  const member = 'serviceAccount:ztf-filter@my-project.iam.gserviceaccount.com'
  const reader = { role: 'roles/pubsub.subscriber', members: ['group:a@example.org'] }
  const granted = withPublisher({ etag: 'BwX', bindings: [reader] }, member)
  assert.deepEqual(granted, {
    etag: 'BwX',
    bindings: [reader, { role: 'roles/pubsub.publisher', members: [member] }],
  })
  assert.equal(withPublisher(granted, member), granted)
  assert.equal(withPublisher({}, member).bindings?.length, 1)
})
