import assert from 'node:assert/strict'
import { test } from 'node:test'

import { serveConductorMetrics } from '../../cli/conductor-metrics.ts'
import { darkness } from '../../conductor/darkness.ts'
import { defaultRules as rules } from '../../conductor/rules.ts'
import type { Observations } from '../../conductor/step.ts'
import { tick, type Hands } from '../../conductor/tick.ts'
import { memoryStore } from '../memory-store.ts'

const night = '20261121'
const dusk = darkness('ztf', night).dusk.getTime()
const topic = 'ztf_20261121_programid1'

test('each tick is shown: state, deadline, lag, missing, what was done and what failed', async () => {
  let url = ''
  let now = dusk
  const metrics = await serveConductorMetrics({
    at: { host: '127.0.0.1', port: 0 },
    everyMs: 30_000,
    now: () => now,
    log(name, facts) {
      if (name === 'metrics_served' && 'url' in facts) url = facts.url
    },
  })
  const scrape = async (): Promise<Record<string, number>> => {
    const text = await (await fetch(url)).text()
    const lines = text.split('\n').filter((line) => line.startsWith('nightjar_'))
    return Object.fromEntries(
      lines.map((line) => [
        line.slice(0, line.lastIndexOf(' ')).replace(`survey="ztf",night="${night}"`, ''),
        Number(line.split(' ').at(-1)),
      ]),
    )
  }
  let seen: Observations = { consumer: 'stopped' }
  let broken = true
  const hands: Hands = metrics.shown({
    observe: async () => seen,
    async act({ do: what }) {
      if (what === 'start_consumer' && broken) throw new Error('no machine')
    },
  })
  const log = metrics.counted(() => {})
  const store = memoryStore()
  const once = async (): Promise<void> => {
    const done = await tick({
      ...{ survey: 'ztf', night, store, hands, rules, log, now: () => now },
      owner: 'test',
    })
    metrics.ticked(done, 2)
  }
  try {
    assert.deepEqual(
      Object.keys(await scrape()).filter((name) => name.startsWith('nightjar_night')),
      [],
      'before the first tick nothing is known',
    )
    await once()
    now += 60_000
    let found = await scrape()
    assert.equal(found['nightjar_night_state{,state="waiting"}'], 1)
    assert.equal(found['nightjar_night_state{,state="idle"}'], 0)
    assert.equal(found['nightjar_night_state_seconds{}'], 60)
    assert.equal(found['nightjar_night_lag_offsets{}'], undefined, 'Kafka was not heard')
    assert.equal(found['nightjar_night_notices_untold{}'], 2)
    assert.equal(found['nightjar_night_transitions_total{from="idle",to="waiting"}'], 1)

    const ends = [{ topic, partition: 0, low: '10', high: '50' }]
    seen = {
      consumer: 'stopped',
      topic: { state: 'has_data', ends },
      committed: { [`${topic}/0`]: '20' },
      audit: { ends, missing: 7, missingText: 'seven', digest: 'd' },
    }
    await once()
    found = await scrape()
    assert.equal(found['nightjar_night_state{,state="running"}'], 1)
    assert.equal(found['nightjar_night_topic_offsets{}'], 40)
    assert.equal(found['nightjar_night_lag_offsets{}'], 30)
    assert.equal(found['nightjar_night_missing{}'], 7)
    assert.equal(found['nightjar_night_pending_actions{}'], 1)
    assert.equal(found['nightjar_night_consumer_running{}'], 0)
    assert.equal(
      found['nightjar_conductor_actions_total{action="start_consumer",outcome="failed"}'],
      1,
    )
    assert.equal(found['nightjar_events_total{event="action_failed",severity="ERROR"}'], 1)

    broken = false
    seen = { consumer: 'running' }
    await once()
    metrics.ticked(undefined, 0)
    found = await scrape()
    assert.equal(found['nightjar_night_lag_offsets{}'], undefined, 'what is not seen is not shown')
    assert.equal(found['nightjar_night_missing{}'], 7, 'the last audit stands')
    assert.equal(found['nightjar_night_pending_actions{}'], 0)
    assert.equal(found['nightjar_conductor_ticks_total{outcome="done"}'], 3)
    assert.equal(found['nightjar_conductor_ticks_total{outcome="failed"}'], 1)
    log('notice_sent', { night, key: 'summary', channel: 'mail' })
    found = await scrape()
    assert.equal(found['nightjar_conductor_notices_total{channel="mail",outcome="sent"}'], 1)
    assert.equal((await fetch(url.replace('/metrics', '/healthz'))).status, 200)
  } finally {
    await metrics.close()
  }
})

test('a conductor that does not come to an end of its tick is not healthy', async (t) => {
  let url = ''
  const metrics = await serveConductorMetrics({
    at: { host: '127.0.0.1', port: 0 },
    everyMs: 60_000,
    now: () => dusk,
    log(name, facts) {
      if (name === 'metrics_served' && 'url' in facts) url = facts.url
    },
  })
  try {
    const begun = performance.now()
    const health = async (seconds: number): Promise<unknown> => {
      t.mock.method(performance, 'now', () => begun + seconds * 1000)
      const answer = await fetch(url.replace('/metrics', '/healthz'))
      t.mock.restoreAll()
      return [answer.status, await answer.json()]
    }
    assert.deepEqual(await health(290), [200, { healthy: true }])
    assert.deepEqual(await health(310), [
      503,
      { healthy: false, why: 'no tick was done for 310 s' },
    ])
  } finally {
    await metrics.close()
  }
})
