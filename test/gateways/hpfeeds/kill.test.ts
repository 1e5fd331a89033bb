/** A gateway that is killed: what it said is done is done. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import type { Instance } from '../../../core/names.ts'
import { openGround } from '../../../local/broker.ts'
import { openSubscription } from '../../../local/subscription.ts'
import { take, textOf } from '../../contract/topic.ts'
import { connectClient } from './harness.ts'
import { endPrograms, startGateway } from './programs.ts'

const dir = mkdtempSync(join(tmpdir(), 'nightjar-hpfeeds-kill-'))
after(() => {
  endPrograms()
  rmSync(dir, { recursive: true })
})

const at: Instance = { survey: 'ztf', project: 'local' }
const env = {
  HPFEEDS_ALICE_SECRET: 's3cret',
  HPFEEDS_ALICE_PUBCHANS: 'alerts,receipts',
  HPFEEDS_ALICE_SUBCHANS: 'alerts',
}

/** What stands on the topic, for a reader that was there from the beginning. */
async function onTopic(home: string, channel: string, keep: boolean): Promise<string[]> {
  const ground = await openGround(home, at)
  try {
    const { journal, messages } = ground
    const topic = `hpfeeds.${channel}`
    const reader = await openSubscription({ journal, messages, topic, name: `all of ${channel}` })
    if (!keep) return []
    const { messages: count } = await reader.backlog()
    return (await take(reader, count)).map((delivery) => textOf(delivery))
  } finally {
    await ground.close()
  }
}

test('killed in mid-flow, five times: all that any subscriber was shown is on the topic', async () => {
  const cwd = mkdtempSync(join(dir, 'flow-'))
  const home = join(cwd, 'home')
  await onTopic(home, 'alerts', false)
  const shown = new Set<string>()
  let sent = 0
  for (let round = 0; round < 5; round++) {
    const gateway = await startGateway(
      ['--bind', '127.0.0.1:0', '--home', 'home', '--auth', 'env'],
      {
        cwd,
        env,
      },
    )
    const one = await connectClient(connect({ host: '127.0.0.1', port: gateway.ports[0] ?? 0 }))
    one.auth('alice', 's3cret')
    one.subscribe('alerts')
    const flow = setInterval(() => {
      for (let i = 0; i < 20; i++) {
        one.publish('alerts', `${++sent} ${i % 5 === 0 ? 'x'.repeat(6000) : ''}`)
      }
    }, 5)
    await one.text()
    await new Promise((resolve) => setTimeout(resolve, 30 + 75 * round))
    gateway.started.child.kill('SIGKILL')
    await gateway.started.ended
    clearInterval(flow)
    for (const message of await one.closed()) {
      if (message.op === 'publish') shown.add(message.payload.toString())
    }
    one.socket.destroy()
  }
  const kept = new Set(await onTopic(home, 'alerts', true))
  assert.ok(shown.size > 50, `${shown.size} were shown`)
  assert.deepEqual(
    [...shown].filter((text) => !kept.has(text)),
    [],
  )
  assert.ok(kept.size <= sent)
})

test('a client that was answered with the end finds all it published on the topic, though the gateway is killed then', async () => {
  const cwd = mkdtempSync(join(dir, 'end-'))
  const home = join(cwd, 'home')
  await onTopic(home, 'receipts', false)
  const published: string[] = []
  for (let round = 0; round < 3; round++) {
    const gateway = await startGateway(
      ['--bind', '127.0.0.1:0', '--home', 'home', '--auth', 'env'],
      {
        cwd,
        env,
      },
    )
    const one = await connectClient(
      connect({ host: '127.0.0.1', port: gateway.ports[0] ?? 0, allowHalfOpen: true }),
    )
    one.auth('alice', 's3cret')
    for (let i = 0; i < 100; i++) {
      const text = `${round} ${i}`
      one.publish('receipts', text)
      published.push(text)
    }
    one.end()
    assert.deepEqual(await one.closed(), [])
    gateway.started.child.kill('SIGKILL')
    await gateway.started.ended
  }
  assert.deepEqual((await onTopic(home, 'receipts', true)).sort(), published.sort())
})
