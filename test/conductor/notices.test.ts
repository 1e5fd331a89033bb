import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createNotices, mostAttempts, type Channel, type Notice } from '../../conductor/notices.ts'
import type { Events } from '../../core/log.ts'
import { memoryStore } from '../memory-store.ts'

const night = { survey: 'ztf', night: '20261121' }
const notice: Notice = {
  ...night,
  key: 'incomplete',
  at: '2026-11-21T16:00:00.000Z',
  subject: 'a',
  text: 'b',
}
const minute = 60_000

/** A channel that fails as often as it is told to. */
function channelThat(name: Channel['name'], fails: number): { channel: Channel; sent: string[] } {
  const sent: string[] = []
  const channel: Channel = {
    name,
    async send({ key }, id) {
      if (fails-- > 0) throw new Error('nobody there')
      sent.push(`${key} ${id.split('/').at(-1)}`)
    },
  }
  return { channel, sent }
}

function boxOf(channels: Channel[], store = memoryStore()) {
  const said: [keyof Events, unknown][] = []
  const clock = { now: 0 }
  const box = createNotices({
    ...{ store, channels, now: () => clock.now },
    log: (name, facts) => void said.push([name, facts]),
  })
  return { box, clock, said, store }
}

test('a notice is told once on each channel, whichever of them fails at first', async () => {
  const webhook = channelThat('webhook', 2)
  const mail = channelThat('mail', 0)
  const { box, clock, said } = boxOf([webhook.channel, mail.channel])
  let raised = 0
  for (let i = 0; i < 3; i++) await box.add(notice, () => raised++)
  const left: number[] = []
  for (; clock.now < 5 * minute; clock.now += minute / 2) left.push(await box.deliver(night))
  assert.equal(raised, 1)
  assert.deepEqual(mail.sent, ['incomplete 20261121T160000000Z-incomplete.json'])
  assert.deepEqual(webhook.sent, mail.sent)
  // At once, after half a minute, and a minute later.
  assert.deepEqual(left.slice(0, 5), [1, 1, 1, 0, 0])
  assert.deepEqual(said.map(([name]) => name).sort(), [
    'notice_retried',
    'notice_retried',
    'notice_sent',
    'notice_sent',
  ])
})

test('a server that never answers is given up within the hour, and said so once', async () => {
  const { channel, sent } = channelThat('mail', Infinity)
  const { box, clock, said } = boxOf([channel])
  await box.add(notice)
  let attempts = 0
  while ((await box.deliver(night)) > 0) {
    clock.now += minute / 2
    assert.ok(clock.now < 60 * minute, 'it ends')
  }
  for (const [name] of said) if (name.startsWith('notice_')) attempts++
  assert.deepEqual(sent, [])
  assert.equal(attempts, mostAttempts)
  assert.equal(said.at(-1)?.[0], 'notice_dropped')
  assert.equal(said.filter(([name]) => name === 'notice_dropped').length, 1)
  clock.now += 24 * 60 * minute
  assert.equal(await box.deliver(night), 0)
})

test('two that deliver at once tell once; one that died in an attempt is followed later', async () => {
  const { channel, sent } = channelThat('webhook', 0)
  const one = boxOf([channel])
  const other = boxOf([channel], one.store)
  await one.box.add(notice)
  await Promise.all([one.box.deliver(night), other.box.deliver(night), one.box.deliver(night)])
  assert.equal(sent.length, 1)

  const dying: Channel = { name: 'webhook', send: () => new Promise(() => {}) }
  const third = boxOf([dying], one.store)
  await third.box.add({ ...notice, key: 'failed' })
  void third.box.deliver(night)
  await new Promise((resolve) => setTimeout(resolve, 20))
  assert.equal(await one.box.deliver(night), 1)
  assert.equal(sent.length, 1)
  one.clock.now += minute
  assert.equal(await one.box.deliver(night), 0)
  assert.equal(sent.length, 2)
})

test('the same alarm of a night that was reopened is another; its summary is the same', async () => {
  const { channel, sent } = channelThat('mail', 0)
  const { box } = boxOf([channel])
  for (const at of ['2026-11-21T16:00:00.000Z', '2026-11-22T16:00:00.000Z']) {
    await box.add({ ...notice, at })
    await box.add({ ...notice, at, key: 'summary' })
    await box.deliver(night)
  }
  assert.equal(sent.filter((one) => one.startsWith('incomplete')).length, 2)
  assert.deepEqual(
    sent.filter((one) => one.startsWith('summary')),
    ['summary summary.json'],
  )
})

test('without a channel an alarm is kept and nothing is left to tell', async () => {
  const { box } = boxOf([])
  let raised = 0
  for (let i = 0; i < 2; i++) await box.add(notice, () => raised++)
  assert.equal(raised, 1)
  assert.equal(await box.deliver(night), 0)
})

test('a bucket that is away when notices are delivered is said, and thrown at nobody', async () => {
  const store = memoryStore()
  const { channel } = channelThat('mail', 0)
  const { box, said } = boxOf([channel], {
    ...store,
    async *list() {
      throw new Error('no bucket')
    },
  })
  assert.equal(await box.deliver(night), 0)
  assert.deepEqual(
    said.map(([name]) => name),
    ['night_unseen'],
  )
})
