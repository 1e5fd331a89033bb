import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Finding } from '../../cloud/checkup.ts'
import { faultsOfSubscription } from '../../cloud/checkup/topics.ts'
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
    deadLetterPolicy: { deadLetterTopic: 'projects/p/topics/dead', maxDeliveryAttempts: 100 },
    retryPolicy: {},
    pushConfig: {
      pushEndpoint: 'https://f.run.app/projects/p/topics/t',
      oidcToken: { serviceAccountEmail: 'caller@p', audience: 'https://f.run.app' },
    },
  }
  const wanted = { filter: 'a', deadLetters: 'dead' }
  assert.deepEqual(faultsOfSubscription(good, wanted, false), [])
  const rows: [object, 'fault' | 'note', RegExp][] = [
    [{ filter: 'b' }, 'fault', /its filter is `b` and should be `a`; .*make it anew/],
    [{ topic: '_deleted-topic_' }, 'fault', /delete it and make it with the stack/],
    [{ state: 'RESOURCE_ERROR' }, 'fault', /can receive nothing/],
    [{ expirationPolicy: { ttl: { seconds: '2678400' } } }, 'fault', /31 idle days: .* never/],
    [{ messageRetentionDuration: { seconds: '86400' } }, 'note', /within 1 days is lost/],
    [{ ackDeadlineSeconds: 10 }, 'note', /its ack deadline is 10 s/],
    [{ deadLetterPolicy: null }, 'note', /no dead-letter policy/],
    [{ deadLetterPolicy: { deadLetterTopic: '_deleted-topic_' } }, 'fault', /set it to dead/],
    [
      { deadLetterPolicy: { deadLetterTopic: 'projects/p/topics/x' } },
      'fault',
      /topics\/x, .*set dead/,
    ],
    [
      { deadLetterPolicy: { deadLetterTopic: 'projects/p/topics/dead', maxDeliveryAttempts: 5 } },
      'note',
      /^5 attempts .*allow 100/,
    ],
    [{ retryPolicy: null }, 'note', /no retry policy/],
    [{ retryPolicy: { maximumBackoff: { seconds: 10 } } }, 'note', /set the maximum back-off/],
    [
      { pushConfig: { pushEndpoint: 'http://f/' } },
      'fault',
      /pushes to http:\/\/f\/: .*https alone/,
    ],
    [{ pushConfig: { pushEndpoint: 'https://f.run.app/' } }, 'fault', /without a token, .*OIDC/],
    [
      {
        pushConfig: {
          ...good.pushConfig,
          oidcToken: { serviceAccountEmail: 'caller@p', audience: 'https://old.run.app' },
        },
      },
      'fault',
      /its token is for https:\/\/old\.run\.app, .* https:\/\/f\.run\.app: set that/,
    ],
  ]
  for (const [found, state, said] of rows) {
    const [wrong, ...more] = faultsOfSubscription({ ...good, ...found }, wanted, false)
    assert.equal(wrong?.state, state, JSON.stringify(found))
    assert.match(wrong.said, said)
    assert.deepEqual(more, [])
  }
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
