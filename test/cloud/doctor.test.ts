import assert from 'node:assert/strict'
import { test } from 'node:test'

import { faultsOfSubscription, type Finding } from '../../cloud/checkup.ts'
import { openTopics } from '../../cloud/topics.ts'
import { runHere } from '../night/harness.ts'
import { skipWithoutBigquery, skipWithoutGcs, skipWithoutPubsub } from './emulators.ts'
import { startInstance } from './instance.ts'

const at = { survey: 'ztf', project: 'checked' } as const

test('faultsOfSubscription() tells what would lose alerts from what only costs', () => {
  const good = {
    filter: 'a',
    topic: 'projects/p/topics/t',
    ackDeadlineSeconds: 60,
    expirationPolicy: {},
    deadLetterPolicy: { deadLetterTopic: 't' },
    retryPolicy: {},
  }
  assert.deepEqual(faultsOfSubscription(good, 'a', false), [])
  const states = (found: object): string[] =>
    faultsOfSubscription({ ...good, ...found }, 'a', false).map(({ state }) => state)
  assert.deepEqual(states({ filter: 'b' }), ['fault'])
  assert.deepEqual(states({ topic: '_deleted-topic_' }), ['fault'])
  assert.deepEqual(states({ expirationPolicy: { ttl: { seconds: '2678400' } } }), ['fault'])
  assert.deepEqual(states({ ackDeadlineSeconds: 10 }), ['note'])
  assert.deepEqual(states({ deadLetterPolicy: null, retryPolicy: null }), ['note', 'note'])
})

test('nightjar doctor without a project is one sentence that names it', async () => {
  const { status, err } = await runHere(['doctor'])
  assert.equal(status, 2)
  assert.equal(err, 'nightjar: Cannot read the environment: GOOGLE_CLOUD_PROJECT is not set\n')
})

test(
  'nightjar doctor finds a whole instance well, and says of each missing part what to do',
  { skip: skipWithoutPubsub || skipWithoutGcs || skipWithoutBigquery },
  async () => {
    const cloud = await startInstance(at)
    const doctor = async (...words: string[]) => {
      const { out, err, status } = await runHere(['doctor', ...words], { env: cloud.env })
      return { out, err, status }
    }
    try {
      const well = await doctor('--json')
      assert.equal(well.status, 0, well.out)
      const findings = JSON.parse(well.out) as Finding[]
      assert.ok(findings.length > 15)
      assert.deepEqual(
        findings.filter(({ state }) => state === 'fault'),
        [],
      )

      const topics = await openTopics({ project: at.project, emulator: cloud.pubsub.host })
      await topics.pubsub.topic('ztf_exgalac_trans').delete()
      await topics.pubsub.subscription('ztf_alert_data-packets').delete()
      await topics.pubsub
        .topic('ztf_alert_data')
        .createSubscription('ztf_alert_data-packets', { filter: 'attributes:other' })
      await topics.close()
      const ill = await doctor()
      assert.equal(ill.status, 1)
      assert.match(
        ill.out,
        /^FAULT topic ztf_exgalac_trans: project "checked" has no topic "ztf_exgalac_trans": make it with the stack of infra\/$/m,
      )
      assert.match(
        ill.out,
        /^FAULT subscription ztf_alert_data-packets: its filter is .* should be/m,
      )

      const elsewhere = await doctor('--project', 'wrong')
      assert.equal(elsewhere.status, 1)
      assert.match(elsewhere.out, /^FAULT topic ztf_alert_data: project "wrong" has no topic/m)
    } finally {
      await cloud.kill()
    }
  },
)
