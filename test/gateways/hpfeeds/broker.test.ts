import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import type { CredentialSource } from '../../../core/credential.ts'
import {
  formatError,
  formatInfo,
  formatPublish,
  maxDataBytes,
} from '../../../gateways/hpfeeds/protocol.ts'
import { openSubscription } from '../../../local/subscription.ts'
import { openTopic } from '../../../local/topic.ts'
import { textOf, take } from '../../contract/topic.ts'
import { alice, eventually, memoryCredentials, startBroker, type TestBroker } from './harness.ts'

const here = await startBroker()
after(() => here.close())

const hex = (text: string): Buffer => Buffer.from(text, 'hex')

/** What a client is told before the connection ends. */
async function refusal(
  speak: (client: Awaited<ReturnType<TestBroker['client']>>) => void,
  ident?: string,
): Promise<string[]> {
  const client = await here.client(ident)
  speak(client)
  const last = await client.closed()
  return last.map((message) => (message.op === 'error' ? message.text : message.op))
}

test('the broker greets with its name and four bytes that are never the same', async () => {
  const [one, two] = [await here.client(), await here.client()]
  assert.equal(one.brokerName, 'mybroker')
  assert.equal(one.nonce.length, 4)
  assert.notDeepEqual(one.nonce, two.nonce)
})

test('the first message must be AUTH, whatever it announces', async () => {
  const text = ['First message was not AUTH']
  assert.deepEqual(await refusal((client) => client.subscribe('alerts', 'alice')), text)
  assert.deepEqual(await refusal((client) => client.write(hex('0010000503'))), text)
})

test('a wrong secret and an unknown ident are told the same', async () => {
  const wrong = (ident: string) => refusal((client) => client.auth(ident, 'wrong'))
  assert.deepEqual(await wrong('alice'), ['Authentication failed for alice'])
  assert.deepEqual(await wrong('nobody'), ['Authentication failed for nobody'])
  assert.deepEqual(await refusal((client) => client.write(hex('0000000b0205616c696365'))), [
    'Authentication failed for alice',
  ])
})

test('a second AUTH is refused', async () => {
  const said = await refusal((client) => client.auth('alice', alice.secret), 'alice')
  assert.deepEqual(said, ['Already authenticated'])
})

test('ERROR and INFO from a client end the connection without a word', async () => {
  for (const frame of [formatError('no'), formatInfo('me', Buffer.alloc(4))]) {
    assert.deepEqual(await refusal((client) => client.write(frame), 'alice'), [])
  }
})

test('a length below the header and an opcode that is none end the connection, before AUTH too', async () => {
  for (const frame of ['0000000003', '0000000403', '0000000509', '0010000603', 'ffffffff03']) {
    assert.deepEqual(await refusal((client) => client.write(hex(frame)), 'alice'), [], frame)
    if (frame.endsWith('03')) continue
    assert.deepEqual(await refusal((client) => client.write(hex(frame))), [], frame)
  }
})

test('messages behind AUTH in the same segment are handled after it, in their order', async () => {
  const client = await here.client()
  client.socket.cork()
  client.auth('alice', alice.secret)
  client.subscribe('alerts')
  client.publish('alerts', 'mine')
  client.socket.uncork()
  assert.equal(await client.text(), 'mine')
})

test('the ident of a SUBSCRIBE is not looked at', async () => {
  const client = await here.client('alice')
  client.subscribe('alerts', 'somebody')
  client.publish('alerts', 'echo')
  assert.equal(await client.text(), 'echo')
})

test('two SUBSCRIBEs are one; UNSUBSCRIBE of what is not subscribed is nothing', async () => {
  const client = await here.client('alice')
  client.unsubscribe('alerts')
  client.subscribe('alerts')
  client.subscribe('alerts')
  client.publish('alerts', 'once')
  assert.equal(await client.text(), 'once')
  await pause(50)
  assert.deepEqual(client.waiting(), [])
  client.end()
  await client.closed()
  // The original keeps a ghost of such a subscriber, which hurts the next publisher.
  const other = await here.client('alice')
  other.subscribe('alerts')
  other.publish('alerts', 'still here')
  assert.equal(await other.text(), 'still here')
})

test('a message of exactly 1 MiB passes whole, from bytes that come one by one or at once', async () => {
  const client = await here.client('alice')
  client.subscribe('alerts')
  const payload = Buffer.alloc(maxDataBytes - 1 - 5 - 1 - 6, 'z')
  client.publish('alerts', payload)
  const message = await client.next()
  assert.ok(message.op === 'publish' && message.payload.equals(payload))
  client.socket.setNoDelay(true)
  for (const byte of formatPublish('alice', 'alerts', Buffer.from('slowly'))) {
    client.write(Buffer.from([byte]))
    await pause(1)
  }
  assert.equal(await client.text(), 'slowly')
})

test('what a subscriber is shown is on the topic, with ident and channel as attributes', async () => {
  const { journal, messages } = here.ground
  const topic = 'hpfeeds.alerts'
  const kept = await openSubscription({ journal, messages, topic, name: 'archive' })
  const client = await here.client('alice')
  client.publish('alerts', 'for the archive')
  const [delivery] = await take(kept, 1)
  assert.ok(delivery)
  assert.equal(textOf(delivery), 'for the archive')
  assert.deepEqual(delivery.attributes, { ident: 'alice', channel: 'alerts' })
})

test('what another program publishes on the topic goes to the subscribers', async () => {
  const client = await here.client('bob')
  client.subscribe('alerts')
  await eventually(
    'bob is subscribed',
    () => here.broker.tally.of('bob').subscriptions.get('alerts') === 1,
  )
  const sender = await here.client('alice')
  sender.publish('alerts', 'ready')
  assert.equal(await client.text(), 'ready')
  const topic = await openTopic(here.ground.messages, 'hpfeeds.alerts')
  await topic.publish({ data: Buffer.from('from a program'), attributes: {} })
  const message = await client.next()
  assert.ok(message.op === 'publish')
  assert.deepEqual([message.ident, message.payload.toString()], ['nightjar', 'from a program'])
})

test('two gateways at one home share their channels, which the original cannot', async () => {
  const other = await startBroker({ home: here.home, name: 'other' })
  try {
    const [reader, writer] = [await other.client('bob'), await here.client('alice')]
    reader.subscribe('alerts')
    await eventually('bob is subscribed', () => other.broker.tally.of('bob').subscriptions.size > 0)
    await pause(100)
    writer.publish('alerts', 'over there')
    assert.equal(await reader.text(), 'over there')
  } finally {
    await other.close()
  }
})

test('a client that ends its side is answered with the end when all it published is durable', async () => {
  const { journal, messages } = here.ground
  const topic = 'hpfeeds.test-chan'
  const kept = await openSubscription({ journal, messages, topic, name: 'all of it' })
  const client = await here.client('alice')
  for (let i = 0; i < 500; i++) client.publish('test-chan', String(i))
  client.end()
  assert.deepEqual(await client.closed(), [])
  assert.equal((await kept.backlog()).messages, 500)
})

test('a publish that cannot be made durable is answered with an ERROR, never with silence', async () => {
  const broken = await startBroker({
    feedOf: async () => ({
      publish: () => Promise.reject(new Error('Cannot write to journal: disk full')),
      subscribe: () => Promise.reject(new Error('no')),
      tell: ({ data }) => ({ ident: '', payload: data }),
    }),
  })
  try {
    const client = await broken.client('alice')
    client.publish('alerts', 'lost?')
    client.end()
    assert.deepEqual(await client.closed(), [
      { op: 'error', text: 'Cannot write to journal: disk full' },
    ])
  } finally {
    await broken.close()
  }
})

test('a client that does not authenticate in time is let go', async () => {
  const strict = await startBroker({ limits: { authMs: 100 } })
  try {
    const client = await strict.client()
    assert.deepEqual(await client.closed(), [{ op: 'error', text: 'No AUTH in time' }])
    const fast = await strict.client('alice')
    await pause(200)
    fast.subscribe('alerts')
    fast.publish('alerts', 'there')
    assert.equal(await fast.text(), 'there')
  } finally {
    await strict.close()
  }
})

test('while a credential is looked up nothing else is read; a look-up that fails refuses', async () => {
  let looked = 0
  const slow: CredentialSource = {
    async find(ident) {
      looked++
      await pause(100)
      if (ident === 'broken') throw new Error('database is locked')
      return memoryCredentials([alice]).find(ident)
    },
    close() {},
  }
  const one = await startBroker({ sources: [slow] })
  try {
    const client = await one.client('alice')
    client.subscribe('alerts')
    client.publish('alerts', 'patience')
    assert.equal(await client.text(), 'patience')
    assert.equal(looked, 1)
    const broken = await one.client('broken', 'x')
    assert.deepEqual(await broken.closed(), [
      { op: 'error', text: 'Authentication failed for broken' },
    ])
    assert.deepEqual([...one.broker.tally.of('').faults], [['error-checking-ident', 1]])
    assert.ok(one.said.some(({ name }) => name === 'credential_failed'))
  } finally {
    await one.close()
  }
})

test('a publisher is slowed down, not the process filled: at most so many bytes are under way', async () => {
  let underWay = 0
  let most = 0
  const slow = await startBroker({
    limits: { inFlightBytes: 64 << 10 },
    feedOf: async () => ({
      async publish({ data }) {
        underWay += data.length
        most = Math.max(most, underWay)
        await pause(2)
        underWay -= data.length
      },
      subscribe: () => Promise.reject(new Error('no')),
      tell: ({ data }) => ({ ident: '', payload: data }),
    }),
  })
  try {
    const client = await slow.client('alice')
    for (let i = 0; i < 2000; i++) client.publish('alerts', Buffer.alloc(1000))
    client.end()
    assert.deepEqual(await client.closed(20_000), [])
    assert.ok(most <= (64 << 10) + 2000, `${most} bytes were under way`)
    assert.equal(slow.broker.tally.of('alice').published.get('alerts'), 2000)
  } finally {
    await slow.close()
  }
})
