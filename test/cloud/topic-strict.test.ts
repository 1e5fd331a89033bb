import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { after, afterEach, before, suite, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { openSubscription } from '../../cloud/subscription.ts'
import { openTopic, type TopicOptions } from '../../cloud/topic.ts'
import { openTopics, type Topics } from '../../cloud/topics.ts'
import { NightjarError } from '../../core/errors.ts'
import type { Message, Topic } from '../../core/ports.ts'
import { take, textMessage, textOf, topicContract } from '../contract/topic.ts'
import { status } from './doubles/grpc.ts'
import { startPubsubDouble, type PubsubDouble } from './doubles/pubsub.ts'

topicContract(
  'openTopic() with openSubscription() on the strict double',
  { ackDeadlineMs: 1500, exactBacklog: false, exactAttempts: false },
  async () => {
    const double = await startPubsubDouble()
    const topics = await openTopics({ project: 'p', emulator: double.host })
    let count = 0
    return {
      async newTopic() {
        const name = `topic_${++count}`
        double.makeTopic(name)
        let readers = 0
        return {
          topic: await openTopic(topics, name),
          async subscribe({ filter = '', ackDeadlineMs } = {}) {
            const reader = `${name}-${++readers}`
            double.makeSubscription(name, reader, { filter })
            return openSubscription({
              topics,
              name: reader,
              ...(ackDeadlineMs !== undefined && { ackDeadlineMs }),
            })
          },
        }
      },
      async cleanup() {
        await topics.close()
        double.stop()
      },
    }
  },
)

suite('openTopic() where Pub/Sub refuses or does not answer', () => {
  let double: PubsubDouble
  let topics: Topics
  let topic: Topic
  /** Gives up soon, for what lasts. */
  let hasty: Topic
  const quick: TopicOptions = { attemptMs: 300, giveUpMs: 1500 }
  before(async () => {
    double = await startPubsubDouble()
    double.makeTopic('alerts')
    topics = await openTopics({ project: 'p', emulator: double.host })
    topic = await openTopic(topics, 'alerts')
    hasty = await openTopic(topics, 'alerts', quick)
  })
  after(async () => {
    await topics.close()
    double.stop()
  })
  afterEach(() => {
    double.fault = () => undefined
    double.requests.length = 0
  })

  /** The one error of a publish, checked for its form. */
  async function failureOf(work: Promise<unknown>): Promise<NightjarError> {
    const error = await work.then(
      () => assert.fail('it was published'),
      (reason: unknown) => reason,
    )
    assert.ok(error instanceof NightjarError, String(error))
    assert.match(error.message, /^Cannot publish to topic "[a-z]+": .+[^.]$/)
    assert.ok(error.cause !== undefined, 'the cause is kept')
    return error
  }

  test('publish() isolates a message that fails its whole request, whatever it is', async () => {
    // Nothing of ours catches this one before it is sent.
    const bad: Message = { data: new Uint8Array(), attributes: {} }
    const names = Array.from({ length: 99 }, (_, at) => textMessage(`m${at}`))
    const all = names.toSpliced(37, 0, bad)
    const settled = await Promise.allSettled(all.map((message) => topic.publish(message)))
    for (const [at, outcome] of settled.entries()) {
      if (at !== 37) assert.equal(outcome.status, 'fulfilled', `message ${at}`)
      else {
        assert.equal(outcome.status, 'rejected')
        assert.equal(outcome.reason.code, 'input_invalid')
        assert.match(outcome.reason.message, /refuses the message: .*is empty/)
      }
    }
    assert.equal(double.requests[0], 100, 'they went in one request first')
    assert.ok(double.requests.length <= 15, `it took ${double.requests.length} requests`)
  })

  test('publish() keeps requests below 10 MB and 1,000 messages', async () => {
    const large = Array.from({ length: 25 }, () => ({
      data: new Uint8Array(1_200_000),
      attributes: { kind: 'large' },
    }))
    const small = Array.from({ length: 2500 }, (_, at) => textMessage(`${at}`, { n: String(at) }))
    await Promise.all([...large, ...small].map((message) => topic.publish(message)))
    // The double refuses what is above; a refused request would have been halved and come again.
    assert.equal(
      double.requests.reduce((sum, count) => sum + count, 0),
      2525,
    )
    assert.ok(Math.max(...double.requests) <= 1000)
    assert.ok(double.requests.length < 20, `it took ${double.requests.length} requests`)
  })

  test('publish() gathers what comes while a request is under way', async () => {
    await Promise.all(Array.from({ length: 300 }, (_, at) => topic.publish(textMessage(`${at}`))))
    assert.ok(double.requests.length <= 3, `it took ${double.requests.length} requests`)
  })

  const retried: [string, number][] = [
    ['UNAVAILABLE', 14],
    ['RESOURCE_EXHAUSTED', 8],
    ['INTERNAL', 13],
    ['ABORTED', 10],
    ['DEADLINE_EXCEEDED', 4],
  ]
  for (const [name, code] of retried) {
    test(`publish() tries again after ${name}`, async () => {
      let left = 2
      double.fault = () => (left-- > 0 ? status(code, 'for a moment') : undefined)
      assert.match(await topic.publish(textMessage('x')), /^\d+$/)
      assert.equal(double.requests.length, 3)
    })
  }

  const told: [string, number, string, RegExp][] = [
    ['a topic is missing', 5, 'Resource not found', /has no topic "alerts"; make it/],
    ['it is forbidden', 7, 'User not authorized', /may not; grant it roles\/pubsub\.publisher/],
    ['there are no credentials', 16, 'Request had invalid credentials', /gcloud auth/],
    ['the project is not ready', 9, 'API has not been used', /API has not been used/],
  ]
  for (const [what, code, said, remedy] of told) {
    test(`publish() says at once that ${what}, and what to do`, async () => {
      double.fault = () => status(code, said)
      const error = await failureOf(topic.publish(textMessage('x')))
      assert.equal(error.code, 'publish_failed')
      assert.match(error.message, remedy)
      assert.equal(double.requests.length, 1, 'it is not tried again')
    })
  }

  test('publish() says that a quota is used up when trying again did not help', async () => {
    double.fault = () => status(8, 'Quota exceeded for quota metric')
    const error = await failureOf(hasty.publish(textMessage('x')))
    assert.equal(error.code, 'publish_failed')
    assert.match(error.message, /a quota of project "p" is used up; wait, or ask for more/)
    assert.ok(double.requests.length > 1)
  })

  test('publish() rejects where nobody answers, and does not hang', async () => {
    double.fault = () => 'silence'
    const began = performance.now()
    const error = await failureOf(hasty.publish(textMessage('x')))
    assert.equal(error.code, 'publish_failed')
    assert.ok(performance.now() - began < 5000)
  })

  test('publish() rejects where nobody listens, and does not hang', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    server.close()
    const dead = await openTopics({ project: 'p', emulator: `127.0.0.1:${port}` })
    const silent = await openTopic(dead, 'alerts', quick)
    const error = await failureOf(silent.publish(textMessage('x')))
    assert.equal(error.code, 'publish_failed')
    assert.match(error.message, /does not answer/)
    await dead.close()
  })

  test('close() publishes what waits, and nothing is taken after it', async () => {
    const other = await openTopic(topics, 'alerts', { ...quick, lingerMs: 10_000 })
    const published = other.publish(textMessage('late'))
    await other.close()
    assert.match(await published, /^\d+$/)
    await assert.rejects(other.publish(textMessage('x')), { code: 'publish_failed' })
  })

  test('openTopic() and openTopics() refuse names that Google refuses', async () => {
    for (const name of ['', 'ab', '1abc', 'google_topic', 'a b c', 'a'.repeat(256)]) {
      await assert.rejects(openTopic(topics, name), { code: 'config_invalid' }, name)
    }
    for (const project of ['', 'My-Project', 'a b', '../x']) {
      await assert.rejects(openTopics({ project }), { code: 'config_invalid' }, project)
    }
  })
})

suite('openSubscription() where Pub/Sub refuses or breaks off', () => {
  let double: PubsubDouble
  let topics: Topics
  let count = 0
  before(async () => {
    double = await startPubsubDouble()
    double.makeTopic('alerts')
    topics = await openTopics({ project: 'p', emulator: double.host })
  })
  after(async () => {
    await topics.close()
    double.stop()
  })
  afterEach(() => {
    double.fault = () => undefined
  })

  function newName(): string {
    const name = `reader_${++count}`
    double.makeSubscription('alerts', name)
    return name
  }

  test('receive() rejects where the subscription is missing, and says what to do', async () => {
    const subscription = await openSubscription({ topics, name: 'missing' })
    await assert.rejects(
      subscription.receive(async () => {}, { signal: new AbortController().signal }),
      {
        code: 'source_failed',
        message: /^Cannot receive from subscription "missing": project "p" has no subscription/,
      },
    )
  })

  test('receive() rejects where it is forbidden, and says what to grant', async () => {
    const subscription = await openSubscription({ topics, name: newName() })
    double.fault = (method) => (method === 'pull' ? status(7, 'User not authorized') : undefined)
    await assert.rejects(
      subscription.receive(async () => {}, { signal: new AbortController().signal }),
      { code: 'source_failed', message: /may not; grant it roles\/pubsub\.subscriber/ },
    )
  })

  test('receive() goes on when the stream breaks off for a while', async () => {
    const name = newName()
    const subscription = await openSubscription({ topics, name })
    const topic = await openTopic(topics, 'alerts')
    let breaks = 2
    double.fault = (method) =>
      method === 'pull' && breaks-- > 0 ? status(14, 'connection reset') : undefined
    await topic.publish(textMessage('after all'))
    const [delivery] = await take(subscription, 1)
    assert.equal(delivery && textOf(delivery), 'after all')
    assert.ok(breaks < 0, 'it broke off')
  })

  test('receive() acks only after the handler', async () => {
    const name = newName()
    const subscription = await openSubscription({ topics, name })
    const topic = await openTopic(topics, 'alerts')
    const id = await topic.publish(textMessage('x'))
    const before: boolean[] = []
    await take(subscription, 1, {
      async handle() {
        await pause(300)
        before.push(double.acked.includes(id))
      },
    })
    assert.deepEqual(before, [false])
    assert.ok(double.acked.includes(id), 'it is acked when receive() has resolved')
  })

  test('receive() extends the lease of a handler that takes longer than the ack deadline', async () => {
    const name = newName()
    const subscription = await openSubscription({ topics, name })
    const topic = await openTopic(topics, 'alerts')
    const id = await topic.publish(textMessage('slow'))
    const attempts: number[] = []
    await take(subscription, 1, {
      async handle({ attempt }) {
        attempts.push(attempt)
        await pause(12_000)
      },
      quietMs: 200,
    })
    assert.deepEqual(attempts, [1], 'it came once')
    assert.ok(double.acked.includes(id))
  })

  test('receive() counts attempts by itself where Pub/Sub does not', async () => {
    const name = `uncounted_${++count}`
    double.makeSubscription('alerts', name, { counted: false })
    const subscription = await openSubscription({ topics, name })
    const topic = await openTopic(topics, 'alerts')
    await topic.publish(textMessage('hard'))
    const attempts: number[] = []
    await take(subscription, 1, {
      async handle({ attempt }) {
        attempts.push(attempt)
        if (attempt < 4) throw new Error('not yet')
      },
    })
    assert.deepEqual(attempts, [1, 2, 3, 4])
  })

  test('backlog() of an emulator is unknown, and not 0', async () => {
    const subscription = await openSubscription({ topics, name: newName() })
    await assert.rejects(subscription.backlog(), { code: 'source_failed', message: /no metrics/ })
  })
})
