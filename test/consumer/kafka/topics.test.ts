import assert from 'node:assert/strict'
import { suite, test } from 'node:test'

import {
  recordsIn,
  waitForTopic,
  type TopicReport,
  type TopicState,
} from '../../../consumer/kafka/topics.ts'

const topic = 'ztf_20261121_programid1'
const report = (state: TopicState, high = 0n): TopicReport => ({
  topic,
  state,
  partitions: [{ partition: 0, low: 0n, high }],
})

suite('waitForTopic()', () => {
  test('asks until there is data, says each change once, and bears probes that fail', async () => {
    const answers: (TopicReport | Error)[] = [
      report('absent'),
      report('absent'),
      new Error('no broker'),
      report('empty'),
      report('has data', 7n),
    ]
    const said: string[] = []
    const found = await waitForTopic({
      topic,
      probe: async () => {
        const next = answers.shift() ?? report('absent')
        if (next instanceof Error) throw next
        return next
      },
      deadlineMs: 60_000,
      pollMs: 1,
      signal: new AbortController().signal,
      log: (_, facts) => void said.push('state' in facts ? String(facts.state) : ''),
    })
    assert.equal(recordsIn(found), 7n)
    assert.deepEqual(said, ['absent', 'unknown: no broker', 'empty', 'has data'])
  })

  test('ends at the deadline and at the signal, with what it knows', async () => {
    const options = { topic, probe: async () => report('empty'), pollMs: 60_000, log: () => {} }
    const late = await waitForTopic({
      ...options,
      deadlineMs: 30,
      signal: new AbortController().signal,
    })
    assert.equal(late.state, 'empty')
    const stop = new AbortController()
    const waiting = waitForTopic({ ...options, deadlineMs: 60_000, signal: stop.signal })
    stop.abort()
    assert.equal((await waiting).state, 'empty')
  })
})
