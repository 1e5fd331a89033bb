import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { serveMetrics, type Metrics } from '../../cli/metrics.ts'
import type { Broker } from '../../cli/broker.ts'
import type { IntakeCounts } from '../../consumer/intake.ts'
import { NightjarError } from '../../core/errors.ts'
import { makeNight, runHere, startNightjar } from '../night/harness.ts'

const dir = mkdtempSync(join(tmpdir(), 'nightjar-metrics-'))
after(() => rmSync(dir, { recursive: true }))

/** The lines of `/metrics` without comments, by name and labels. */
async function scrape(url: string): Promise<Record<string, number>> {
  const response = await fetch(url)
  assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
  const lines = (await response.text()).split('\n').filter((line) => /^nightjar_/.test(line))
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]),
  )
}

async function withMetrics(work: (metrics: Metrics, url: string) => Promise<void>): Promise<void> {
  let url = ''
  const metrics = await serveMetrics({ host: '127.0.0.1', port: 0 }, (name, facts) => {
    if (name === 'metrics_served' && 'url' in facts) url = facts.url
  })
  try {
    await work(metrics, url)
  } finally {
    await metrics.close()
  }
}

test('a run tells what it took in, what became of it, and what died in its other thread', async () => {
  const night = makeNight(dir, { alerts: 60, seed: 'metrics', corrupt: 0.2 })
  const home = join(dir, 'home')
  const running = startNightjar([
    ...['run', '--home', home, '--from', night.from, '--metrics', '0'],
  ])
  await running.until(/metrics_served/)
  const url = /url=(\S+)/.exec(running.said().err)?.[1] ?? ''
  assert.match(url, /^http:\/\/127\.0\.0\.1:\d+\/metrics$/)
  const records = night.truths.filter(({ kind }) => kind !== 'gap').length
  const done = async (): Promise<Record<string, number>> => {
    for (const begun = performance.now(); ;) {
      const found = await scrape(url)
      const settled =
        found['nightjar_intake_records_total'] === records &&
        found['nightjar_in_flight_messages'] === 0 &&
        found['nightjar_backlog_messages{subscription="warehouse"}'] === 0
      if (settled || performance.now() - begun > 20_000) return found
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
  const found = await done()
  assert.equal(found['nightjar_intake_records_total'], records)
  assert.equal(found['nightjar_publish_seconds_count'], records)
  assert.equal(found['nightjar_healthy'], 1)
  assert.equal(found['nightjar_in_flight_bytes'], 0)
  const dead = Object.keys(found).filter((name) => name.startsWith('nightjar_dead_letters_total'))
  assert.ok(
    dead.some((name) => name.includes('stage="warehouse"')),
    dead.join(),
  )
  const health = await fetch(url.replace('/metrics', '/healthz'))
  assert.deepEqual([health.status, await health.json()], [200, { healthy: true }])
  assert.equal((await fetch(url.replace('/metrics', '/'))).status, 404)
  running.child.kill('SIGTERM')
  assert.equal((await running.ended).status, 0)
})

test('a Kafka source is shown by partition, and another takes its place', async () => {
  await withMetrics(async (metrics, url) => {
    let committed: bigint | undefined = undefined as bigint | undefined
    const source = {
      async *records() {},
      commit: async () => void (committed = 7n),
      ranges: async () => [],
      close: async () => {},
      lag: () => [{ partition: 3, next: 5n, high: 10n, committed }],
      connections: () => 2,
    }
    const shown = metrics.shown('ztf_20261121_programid1', source)
    const labels = '{topic="ztf_20261121_programid1",partition="3"}'
    let found = await scrape(url)
    assert.equal(found[`nightjar_kafka_lag_offsets${labels}`], 5)
    assert.equal(found[`nightjar_kafka_committed_offset${labels}`], undefined)
    await shown.commit([])
    found = await scrape(url)
    assert.equal(found[`nightjar_kafka_lag_offsets${labels}`], 3)
    assert.equal(found[`nightjar_kafka_committed_offset${labels}`], 7)
    assert.equal(found['nightjar_kafka_commits_total'], 1)
    metrics.shown('next', { ...source, lag: () => [] })
    found = await scrape(url)
    assert.equal(found[`nightjar_kafka_lag_offsets${labels}`], undefined)
    assert.equal(found['nightjar_kafka_connections_total'], 4)
  })
})

test('what fails or hangs is not healthy', async (t) => {
  await withMetrics(async (metrics, url) => {
    const counts: IntakeCounts = {
      records: 1,
      bytes: 1,
      inFlight: 1,
      bytesInFlight: 1,
      outcomes: {},
    }
    t.mock.method(performance, 'now', () => 1_000_000)
    metrics.watch({ run: async () => {}, counts: () => counts })
    t.mock.method(performance, 'now', () => 1_130_000)
    const health = await fetch(url.replace('/metrics', '/healthz'))
    t.mock.restoreAll()
    assert.equal(health.status, 503)
    assert.deepEqual(await health.json(), {
      healthy: false,
      why: '1 records are under way, and none was done for 130 s',
    })
  })
  await withMetrics(async (metrics, url) => {
    const failed = Promise.reject(new NightjarError('store_failed', 'Cannot write: no room'))
    const broker: Broker = {
      async *query() {},
      backlog: async () => ({ archive: 2 }),
      idle: async () => {},
      failed,
      close: async () => {},
    }
    metrics.attach(broker)
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal((await scrape(url))['nightjar_backlog_messages{subscription="archive"}'], 2)
    const health = await fetch(url.replace('/metrics', '/healthz'))
    assert.deepEqual(await health.json(), { healthy: false, why: 'Cannot write: no room' })
  })
})

test('an address that cannot be had is said before anything begins', async () => {
  const wrong = await runHere(['run', '--home', join(dir, 'none'), '--metrics', 'nowhere'])
  assert.equal(wrong.status, 2)
  assert.match(wrong.err, /Cannot serve metrics at "nowhere": it must be a port such as 9464/)
  const taken = await runHere(['run', '--home', join(dir, 'none'), '--metrics', '192.0.2.1:9464'])
  assert.equal(taken.status, 2)
  assert.match(taken.err, /Cannot serve metrics at 192\.0\.2\.1:9464: .*EADDRNOTAVAIL/)
})
