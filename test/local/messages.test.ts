import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { afterEach, beforeEach, suite, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { take, textMessage, textOf } from '../contract/topic.ts'
import { openHome, type OpenHome } from './home.ts'
import { startChild } from './spawn.ts'

const everything = { messages: 1e9, bytes: 1e12 }
const large = (byte: number): { data: Uint8Array; attributes: Record<string, string> } => ({
  data: new Uint8Array(20_000).fill(byte),
  attributes: { at: String(byte) },
})

suite('openMessages()', () => {
  let home: OpenHome
  beforeEach(async () => {
    home = await openHome()
  })
  afterEach(() => home.remove())

  const count = (): number =>
    Number(home.topics.journal.statement('SELECT count(*) AS n FROM message').get()?.['n'])
  const stored = async (topic: string): Promise<string[]> =>
    home.topics.messages.after(await home.topics.messages.topicId(topic), 0, everything).map(textOf)

  test('what was published is there after a reopen, small and large, bytes and attributes', async () => {
    await home.subscription('t')
    const topic = await home.topic('t')
    const sent = [textMessage('small', { a: 'ä' }), large(7), textMessage(''), large(8)]
    for (const message of sent) await topic.publish(message)
    await home.reopen()
    const { messages } = home.topics
    const found = messages.after(messages.knownTopicId('t'), 0, everything)
    assert.deepEqual(
      found.map(({ data, attributes }) => ({ data: Buffer.from(data), attributes })),
      sent.map(({ data, attributes }) => ({ data: Buffer.from(data), attributes })),
    )
  })

  test('after() reads on from a number, by count and by bytes, but always one', async () => {
    await home.subscription('t')
    const topic = await home.topic('t')
    for (let at = 0; at < 10; at++) await topic.publish(textMessage(`${at}`.repeat(100)))
    const read = (after: number, room: { messages: number; bytes: number }): number[] =>
      home.topics.messages.after(1, after, room).map(({ seq }) => seq)
    // Once from memory and once from the disk.
    for (const _ of [1, 2]) {
      assert.deepEqual(read(0, { messages: 3, bytes: 1e6 }), [1, 2, 3])
      assert.deepEqual(read(7, everything), [8, 9, 10])
      assert.deepEqual(read(10, everything), [])
      assert.deepEqual(read(2, { messages: 5, bytes: 250 }), [3, 4])
      assert.deepEqual(read(2, { messages: 5, bytes: 1 }), [3])
      await home.reopen()
    }
  })

  test('a topic keeps nothing that nobody will read', async () => {
    const topic = await home.topic('t')
    await topic.publish(textMessage('nobody'))
    await topic.publish(large(1))
    assert.equal(count(), 0)
    assert.deepEqual(readdirSync(home.home.segments), [])
    await home.subscription('t')
    await topic.publish(textMessage('somebody'))
    assert.equal(count(), 1)
  })

  test('knownTopicId() names the topics there are, where there is no such', async () => {
    await home.topic('b')
    await home.topic('a')
    assert.throws(() => home.topics.messages.knownTopicId('c'), {
      code: 'home_unusable',
      message: `Cannot find topic "c" in "${home.home.journal}": there are a, b`,
    })
  })

  test('sweep() removes what every subscription has acked, and nothing else', async () => {
    const topic = await home.topic('t')
    const [fast, slow] = [
      await home.subscription('t', { name: 'fast' }),
      await home.subscription('t', { name: 'slow' }),
    ]
    for (let at = 0; at < 5; at++) await topic.publish(textMessage(`m${at}`))
    await take(fast, 5)
    assert.equal(await home.topics.messages.sweep(100), 0)
    await take(slow, 2, {
      async handle(delivery) {
        if (!['m0', 'm1'].includes(textOf(delivery))) throw new Error('not yet')
      },
    })
    assert.equal((await slow.backlog()).messages, 3)
    assert.equal(await home.topics.messages.sweep(1), 1, 'no more than it is told')
    assert.equal(await home.topics.messages.sweep(100), 1)
    assert.equal(count(), 3)
    await take(slow, 3)
    assert.equal(await home.topics.messages.sweep(100), 3)
    assert.equal(count(), 0)
  })

  test('sweep() removes a segment file when no message of it is left', async () => {
    const topic = await home.topic('t')
    await home.subscription('t')
    for (let at = 0; at < 3; at++) await topic.publish(large(at))
    // A file that is still written to is never removed: close it.
    await home.reopen()
    const files = readdirSync(home.home.segments)
    assert.equal(files.length, 1)
    const subscription = await home.subscription('t')
    await take(subscription, 2, { maxMessages: 1 })
    const { messages: left } = await subscription.backlog()
    await home.topics.messages.sweep(100)
    if (left > 0) assert.deepEqual(readdirSync(home.home.segments), files, 'one message needs it')
    await take(subscription, left)
    await home.topics.messages.sweep(100)
    assert.deepEqual(readdirSync(home.home.segments), [])
    const id = await (await home.topic('t')).publish(large(9))
    assert.equal(id, '4', 'numbers are not used again')
  })

  test('every publish that resolved is there after kill -9', async () => {
    await home.subscription('t')
    // Small ones go to the journal, large ones to a segment and the journal.
    for (const size of [10, 30_000]) {
      const child = startChild(['publish', home.home.path, 100_000, size])
      await child.said('published', 300)
      await child.kill()
      const said = child.lines.filter((line) => line.startsWith('published'))
      assert.ok(said.length >= 300)
      const there = new Set((await stored('t')).map((text) => text.split(' ')[0]))
      for (const line of said) assert.ok(there.has(line.split(' ')[1]), line)
    }
    assert.equal((await stored('t')).length, count())
  })

  test('two processes publish to a topic, and a receiver in a third sees all', async () => {
    const subscription = await home.subscription('t')
    const topic = await home.topic('t')
    const stop = new AbortController()
    const seen = new Map<string, number>()
    const receiving = subscription.receive(
      async (delivery) => {
        const word = textOf(delivery).split(' ')[0] ?? ''
        seen.set(word, (seen.get(word) ?? 0) + 1)
      },
      { signal: stop.signal, maxMessages: 10 },
    )
    const children = [10, 9000].map((size) => startChild(['publish', home.home.path, 400, size]))
    await Promise.all(children.map((child) => child.said('ready')))
    // We publish between them, so that what we keep in memory is not the whole of the topic.
    for (let at = 0; at < 100; at++) await topic.publish(textMessage(`own:${at} `))
    await Promise.all(children.map(({ ended }) => ended))
    const deadline = Date.now() + 10_000
    while ((await subscription.backlog()).messages > 0 && Date.now() < deadline) await pause(20)
    stop.abort()
    await receiving
    for (const { lines } of children) {
      const said = lines.filter((line) => line.startsWith('published'))
      assert.equal(said.length, 400)
      for (const line of said) assert.ok(seen.has(line.split(' ')[1] ?? ''), line)
    }
    assert.equal(seen.size, 900)
    assert.ok(
      [...seen.values()].every((times) => times === 1),
      'none came twice',
    )
  })

  test('a receiver hears of what another process publishes within a moment', async () => {
    const subscription = await home.subscription('t')
    const child = startChild(['publish', home.home.path, 1])
    const [delivery] = await take(subscription, 1, { timeoutMs: 5000 })
    assert.match(textOf(delivery ?? textMessage('')), /:0 /)
    await child.ended
  })

  test('a large message is seen by a subscription that another process just made', async () => {
    const topic = await home.topic('t')
    await topic.publish(large(1))
    const child = startChild(['open', home.home.path])
    await child.said('ready')
    await topic.publish(large(2))
    await child.ended
    assert.equal(count(), 1)
  })

  test('a full disk is said in one sentence, and nothing is acked that is not there', async () => {
    await home.subscription('t')
    for (const size of [30_000, 10]) {
      // A process whose files may not grow beyond 2 MB meets a full disk; 1,024-byte blocks.
      const limit = 'trap "" XFSZ; ulimit -f 2048; exec "$@"'
      const child = startChild(
        ['publish', home.home.path, size === 10 ? 40_000 : 400, size],
        ['bash', '-c', limit, 'bash'],
      )
      const [refused] = await child.said('refused')
      assert.ok(refused, 'the limit was reached')
      await child.kill()
      assert.match(
        refused,
        / Cannot write to (a segment in|journal) ".+": .*(full|large|space|disk)/,
      )
      const there = new Set((await stored('t')).map((text) => text.split(' ')[0]))
      const said = child.lines.filter((line) => line.startsWith('published'))
      assert.ok(said.length > 0)
      for (const line of said) assert.ok(there.has(line.split(' ')[1]), `${line} is not there`)
      for (const line of child.lines.filter((text) => text.startsWith('refused'))) {
        assert.ok(!there.has(line.split(' ')[1]), `${line} is there`)
      }
    }
    // With room again it goes on.
    assert.ok(Number(await (await home.topic('t')).publish(large(3))) > 0)
  })
})
