/** Alert topics as channels, in a home that a broker has filled. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { homeFeeds } from '../../cli/feeds.ts'
import { openGround } from '../../local/broker.ts'
import { openTopic } from '../../local/topic.ts'
import { readAlert } from '../../schemas/alert.ts'
import { eventually, memoryCredentials, startBroker } from '../gateways/hpfeeds/harness.ts'
import { makeNight, nightjar } from '../night/harness.ts'

const dir = mkdtempSync(join(tmpdir(), 'nightjar-feeds-'))
after(() => rmSync(dir, { recursive: true }))

test('transients come to hpfeeds subscribers as JSON and as Avro while the broker runs beside', async () => {
  const home = join(dir, 'home')
  const night = makeNight(dir, { alerts: 80, corrupt: 0 })
  const json = 'nightjar.ztf_exgalac_trans'
  const key = {
    ...{ owner: 'o', ident: 'carol', secret: 'x' },
    publish: [json, 'notes'],
    subscribe: [json, `${json}.avro`, 'nightjar.ztf_nothing', 'notes'],
  }
  const gateway = await startBroker({ home, sources: [memoryCredentials([key])] })
  try {
    const [text, bytes] = [await gateway.client('carol', 'x'), await gateway.client('carol', 'x')]
    text.subscribe(json)
    bytes.subscribe(`${json}.avro`)
    const { subscriptions } = gateway.broker.tally.of('carol')
    await eventually('both are subscribed', () => subscriptions.size === 2)
    await new Promise((resolve) => setTimeout(resolve, 100))
    assert.equal((await nightjar('run', '--once', '--home', home, '--from', night.from)).status, 0)
    const transients = night.truths.filter(
      ({ kind, extragalactic }) => kind !== 'gap' && extragalactic,
    )
    assert.ok(transients.length > 3)
    const candids = { text: new Set<string>(), bytes: new Set<string>() }
    for (let i = 0; i < transients.length; i++) {
      const message = await text.next()
      assert.ok(message.op === 'publish')
      assert.deepEqual([message.ident, message.channel], ['nightjar', json])
      const { alert, attributes } = JSON.parse(message.payload.toString()) as {
        alert: { candid: string; candidate: { magpsf: number } }
        attributes: Record<string, string>
      }
      assert.equal(alert.candid, attributes['candid'])
      assert.equal(typeof alert.candidate.magpsf, 'number')
      candids.text.add(alert.candid)
      const avro = await bytes.next()
      assert.ok(avro.op === 'publish')
      candids.bytes.add(String(readAlert(avro.payload).record['candid']))
    }
    assert.deepEqual([...candids.text].sort(), [...candids.bytes].sort())

    // No key lets anybody pass for the broker.
    text.publish(json, 'a supernova, honestly')
    assert.deepEqual(await text.closed(), [
      { op: 'error', text: `Authkey not allowed to pub here. ident=carol, chan=${json}` },
    ])
    bytes.subscribe('nightjar.ztf_nothing')
    assert.deepEqual(await bytes.closed(), [
      {
        op: 'error',
        text: 'Authkey not allowed to sub here. ident=carol, chan=nightjar.ztf_nothing',
      },
    ])
  } finally {
    await gateway.close()
  }
})

test('a named filter is a feed of its own, from when it is added on', async () => {
  const home = join(dir, 'filtered')
  const night = makeNight(join(dir, 'for-filter'), { alerts: 60, corrupt: 0 })
  const channel = 'nightjar.ztf_filter_good'
  const key = { owner: 'o', ident: 'carol', secret: 'x', publish: [], subscribe: [channel] }
  assert.equal((await nightjar('filter', 'add', 'good', 'rb > 0.5', '--home', home)).status, 0)
  const gateway = await startBroker({ home, sources: [memoryCredentials([key])] })
  try {
    const client = await gateway.client('carol', 'x')
    client.subscribe(channel)
    const { subscriptions } = gateway.broker.tally.of('carol')
    await eventually('it is subscribed', () => subscriptions.size === 1)
    await new Promise((resolve) => setTimeout(resolve, 100))
    assert.equal((await nightjar('run', '--once', '--home', home, '--from', night.from)).status, 0)
    const message = await client.next()
    assert.ok(message.op === 'publish' && message.channel === channel)
    const { alert, attributes } = JSON.parse(message.payload.toString()) as {
      alert: { candidate: { rb: number } }
      attributes: Record<string, string>
    }
    assert.ok(alert.candidate.rb > 0.5)
    assert.equal(attributes['filter'], 'good')
  } finally {
    await gateway.close()
  }
})

test('what does not fit into a message of hpfeeds is withheld, and said; the next one comes', async () => {
  const home = join(dir, 'large')
  const channel = 'nightjar.ztf_alert_data.avro'
  const key = { owner: 'o', ident: 'carol', secret: 'x', publish: [], subscribe: [channel] }
  const gateway = await startBroker({ home, sources: [memoryCredentials([key])] })
  try {
    const reader = await gateway.client('carol', 'x')
    reader.subscribe(channel)
    await eventually(
      'it is subscribed',
      () => gateway.broker.tally.of('carol').subscriptions.size > 0,
    )
    await new Promise((resolve) => setTimeout(resolve, 50))
    const topic = await openTopic(gateway.ground.messages, 'ztf_alert_data')
    await topic.publish({ data: Buffer.alloc(2 << 20), attributes: {} })
    await topic.publish({ data: Buffer.from('small'), attributes: {} })
    assert.equal(await reader.text(), 'small')
    const withheld = gateway.said.find(({ name }) => name === 'feed_withheld')
    assert.match(JSON.stringify(withheld?.facts), /Cannot send 2097\d+ bytes as one message/)
  } finally {
    await gateway.close()
  }
})

test('a prefix that would make a channel out of a topic of the survey is refused', async () => {
  const ground = await openGround(join(dir, 'prefix'), { survey: 'ztf', project: 'local' })
  try {
    const feedOf = await homeFeeds(ground, 'ztf_')
    await assert.rejects(feedOf('alert_data'), {
      code: 'config_invalid',
      message:
        'Cannot use channel "alert_data": with prefix "ztf_" it would be topic "ztf_alert_data"',
    })
    const odd = await homeFeeds(ground, 'hpfeeds.')
    await odd("spam & eggs/☃ (it's)*")
    assert.ok(
      ground.messages
        .topicNames()
        .includes('hpfeeds.spam%20%26%20eggs%2F%E2%98%83%20%28it%27s%29%2A'),
    )
    await assert.rejects(odd('☃'.repeat(80)), { code: 'input_invalid', message: /at most 255/ })
  } finally {
    await ground.close()
  }
})
