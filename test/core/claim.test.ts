import assert from 'node:assert/strict'
import { test } from 'node:test'

import { publishWithClaim, redeem } from '../../core/claim.ts'
import { crc32c } from '../../core/crc32c.ts'
import { checkMessage } from '../../core/limits.ts'
import type { Message, Store, Topic } from '../../core/ports.ts'

/** A topic and a bucket that keep what they are given in memory, and the order of it. */
function fakes(): { topic: Topic; claims: Store; sent: Message[]; order: string[] } {
  const sent: Message[] = []
  const order: string[] = []
  const objects = new Map<string, Uint8Array>()
  const topic: Topic = {
    async publish(message) {
      checkMessage(message)
      order.push('publish')
      return String(sent.push(message))
    },
    async close() {},
  }
  const objectOf = (name: string, data: Uint8Array) => ({
    name,
    size: data.length,
    crc32c: crc32c(Buffer.from(data)),
    generation: '1',
    metadata: {},
  })
  const claims: Store = {
    async create(name, data) {
      order.push(`create ${name}`)
      const created = !objects.has(name)
      if (created) objects.set(name, data)
      return { created, object: objectOf(name, data) }
    },
    replace: () => Promise.resolve(null),
    async read(name) {
      const data = objects.get(name)
      return data === undefined ? null : { data, object: objectOf(name, data) }
    },
    async *list() {},
  }
  return { topic, claims, sent, order }
}

test('publishWithClaim() sends what fits as it is', async () => {
  const { topic, claims, sent, order } = fakes()
  const message = { data: new Uint8Array(9_999_990), attributes: { a: 'b' } }
  await publishWithClaim(topic, claims, 'n', message)
  assert.deepEqual(order, ['publish'])
  assert.equal(sent[0], message)
  assert.deepEqual(await redeem(message, claims), message)
})

test('publishWithClaim() stores what is too large first, and redeem() makes it whole', async () => {
  const { topic, claims, sent, order } = fakes()
  const data = new Uint8Array(10_000_000).map((_, at) => at % 253)
  const message = { data, attributes: { 'kafka.topic': 't', 'kafka.offset': '7' } }
  await publishWithClaim(topic, claims, 't/3/7', message)
  assert.deepEqual(order, ['create claims/t/3/7', 'publish'])
  assert.equal(sent[0]?.data.length, 0)
  const whole = await redeem(sent[0] as Message, claims)
  assert.equal(Buffer.compare(whole.data, data), 0)
  assert.deepEqual(whole.attributes, message.attributes, 'the claim itself is gone')
})

test('publishWithClaim() again finds the claim there and publishes', async () => {
  const { topic, claims, sent } = fakes()
  const message = { data: new Uint8Array(10_000_001), attributes: {} }
  await publishWithClaim(topic, claims, 'n', message)
  await publishWithClaim(topic, claims, 'n', message)
  assert.equal(sent.length, 2)
  assert.deepEqual(sent[0], sent[1])
})

test('redeem() fails in a way that may pass where the object is not there', async () => {
  const { topic, claims, sent } = fakes()
  await publishWithClaim(topic, claims, 'n', { data: new Uint8Array(1e7), attributes: { a: 'b' } })
  await assert.rejects(redeem(sent[0] as Message, fakes().claims), {
    code: 'store_failed',
    message: 'Cannot redeem claim "claims/n": no such object',
  })
})
