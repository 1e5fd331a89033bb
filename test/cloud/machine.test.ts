import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'

import { openMachine, type CloudMachine } from '../../cloud/machine.ts'
import { openSubscription } from '../../cloud/subscription.ts'
import { openTopics } from '../../cloud/topics.ts'
import { startCompute, stopped, type ComputeDouble, type Instance } from './doubles/compute.ts'

const zone = 'us-central1-a'
const name = 'ztf-consumer'
const script = { key: 'startup-script-url', value: 'gs://b/boot.sh' }
const told = { NIGHT: '20261121', KAFKA_TOPIC: 'ztf_20261121_programid1' }
let compute: ComputeDouble
let vm: Instance
let started: Record<string, string>[]
before(async () => {
  compute = await startCompute()
})
after(() => compute.stop())
beforeEach(() => {
  vm = stopped([script])
  compute.instances.clear()
  compute.instances.set(`${zone}/${name}`, vm)
  compute.fault = () => undefined
  compute.failure = () => undefined
  compute.seen.length = 0
  started = []
  compute.onStart = (_, metadata) => void started.push(metadata)
})

function machine(options: { signal?: AbortSignal; waitMs?: number; named?: string } = {}) {
  const { named = name, ...rest } = options
  return openMachine({
    ...{ project: 'p', zone, name: named, emulator: compute.host },
    ...{ attemptMs: 1000, giveUpMs: 4000, ...rest },
  })
}

const verbs = (): string[] =>
  compute.seen
    .map((line) => line.split('/').at(-1) ?? '')
    .filter((verb) => /^(start|stop|setMetadata)$/.test(verb))

async function faultOf(work: Promise<unknown>): Promise<{ code: string; message: string }> {
  return work.then(
    () => assert.fail('it was done'),
    (error: unknown) => error as { code: string; message: string },
  )
}

test('P17 start() tells the machine its night beside what it is told otherwise, and waits until it runs', async () => {
  const own = machine()
  assert.equal(await own.state(), 'stopped')
  assert.equal(await own.metadata(), undefined)
  await own.start(told)
  assert.equal(await own.state(), 'running')
  const all = { 'startup-script-url': 'gs://b/boot.sh', ...told }
  assert.deepEqual(started, [all])
  assert.deepEqual(await own.metadata(), all)
  assert.deepEqual(verbs(), ['setMetadata', 'start'])
})

test('start() and stop() done again do nothing', async () => {
  const own = machine()
  await own.stop()
  await own.start(told)
  await own.start({ NIGHT: '20261122' })
  assert.equal((await own.metadata())?.['NIGHT'], '20261121', 'who runs is not told anew')
  await own.stop()
  await own.stop()
  assert.equal(await own.state(), 'stopped')
  assert.deepEqual(verbs(), ['setMetadata', 'start', 'stop'])
})

test('stop() resolves only when the machine has ended', async () => {
  let ended = false
  compute.onStop = async () => {
    await new Promise((resolve) => setTimeout(resolve, 300))
    ended = true
  }
  await machine().start(told)
  await machine().stop()
  assert.ok(ended)
})

test('a start whose answer was lost is done once', async () => {
  const lost = new Set(['/start', '/setMetadata'])
  compute.fault = (_, path) => {
    const verb = [...lost].find((one) => path.endsWith(one))
    return verb !== undefined && lost.delete(verb) ? 'lost' : undefined
  }
  await machine().start(told)
  assert.equal(started.length, 1)
  assert.deepEqual(verbs(), ['setMetadata', 'setMetadata', 'start', 'start'])
})

test('a machine that was told, and not started before its conductor died, is started', async () => {
  vm.items = Object.entries(told).map(([key, value]) => ({ key, value }))
  await machine().start(told)
  assert.deepEqual(started, [told])
  assert.deepEqual(verbs(), ['start'])
})

test('metadata that others change meanwhile are kept', async () => {
  let once = true
  compute.fault = (_, path) => {
    if (once && path.endsWith('/setMetadata')) {
      once = false
      vm.fingerprint++
      vm.items.push({ key: 'ssh-keys', value: 'somebody' })
    }
    return undefined
  }
  await machine().start(told)
  assert.equal(started[0]?.['ssh-keys'], 'somebody')
  assert.equal(started[0]?.['NIGHT'], '20261121')
})

test('503, 429, silence and a closed connection are tried again', async () => {
  const faults = [
    { status: 503, reason: 'backendError', message: 'Backend error' },
    { status: 429, reason: 'rateLimitExceeded', message: 'Too many' },
    { status: 403, reason: 'rateLimitExceeded', message: 'Rate limit' },
    'silence',
    'lost',
  ] as const
  for (const fault of faults) {
    let left = 1
    compute.fault = () => (left-- > 0 ? fault : undefined)
    assert.equal(await machine().state(), 'stopped', JSON.stringify(fault))
  }
})

test('what is missing, forbidden or used up is told at once, with the remedy', async () => {
  const missing = await faultOf(machine({ named: 'ztf-consumer-rc1' }).start(told))
  assert.equal(missing.code, 'source_failed')
  assert.match(
    missing.message,
    /^Cannot start machine "ztf-consumer-rc1": project "p" has no machine "ztf-consumer-rc1" in zone us-central1-a; make it with the stack of infra\//,
  )
  const forbidden = { status: 403, reason: 'forbidden', message: 'Required permission' }
  compute.fault = (method) => (method === 'POST' ? forbidden : undefined)
  const refused = await faultOf(machine().start(told))
  assert.equal(refused.code, 'access_denied')
  assert.match(refused.message, /this account may not; grant it the role of the conductor/)

  compute.fault = () => undefined
  compute.failure = (verb) =>
    verb === 'start'
      ? {
          code: 'ZONE_RESOURCE_POOL_EXHAUSTED',
          message: 'The zone does not have enough resources.',
        }
      : undefined
  const full = await faultOf(machine().start(told))
  assert.match(full.message, /zone us-central1-a has no room for it now; wait, or move it/)
  assert.equal(await machine().state(), 'stopped')
  compute.failure = () => ({ code: 'QUOTA_EXCEEDED', message: "Quota 'CPUS' exceeded." })
  assert.match((await faultOf(machine().start(told))).message, /a quota of project "p" is used up/)
})

test('a suspended machine is left to a person, and an unknown state is no guess', async () => {
  vm.status = 'SUSPENDED'
  assert.equal(await machine().state(), 'stopped')
  assert.match(
    (await faultOf(machine().start(told))).message,
    /it is suspended; resume it, or stop/,
  )
  vm.status = 'DREAMING'
  assert.match(
    (await faultOf(machine().state())).message,
    /says "DREAMING", which is not known here/,
  )
})

test('no wait is without end, and a program that is asked to end waits no more', async () => {
  vm.status = 'STOPPING'
  const slow = await faultOf(machine({ waitMs: 100 }).start(told))
  assert.match(slow.message, /^Cannot start machine "ztf-consumer": it is stopping for more than/)
  const ending = new AbortController()
  const waiting = faultOf(machine({ signal: ending.signal }).stop())
  ending.abort()
  assert.match((await waiting).message, /this program was asked to end/)
})

test('P20 powerOff() does not wait for the end of the machine that it stands on', async () => {
  vm.status = 'RUNNING'
  const own: CloudMachine = machine()
  await own.powerOff()
  assert.equal(await own.state(), 'stopping')
  await own.powerOff()
})

test('nobody who listens is told, and ends', async () => {
  const own = openMachine({
    ...{ project: 'p', zone, name, emulator: '127.0.0.1:9' },
    ...{ attemptMs: 300, giveUpMs: 600 },
  })
  assert.match((await faultOf(own.state())).message, /Google's service does not answer/)
})

test('a backlog is what Cloud Monitoring sampled last, and without a sample it is unknown, not zero', async () => {
  const topics = await openTopics({
    ...{ project: 'p', emulator: '127.0.0.1:9', monitoring: compute.host },
  })
  try {
    const subscription = await openSubscription({ topics, name: 'ztf_alert_data-packets' })
    compute.samples.set('num_undelivered_messages ztf_alert_data-packets', 12)
    compute.samples.set('backlog_bytes ztf_alert_data-packets', 840_000)
    assert.deepEqual(await subscription.backlog(), { messages: 12, bytes: 840_000 })
    compute.samples.set('num_undelivered_messages ztf_alert_data-packets', 0)
    assert.equal((await subscription.backlog()).messages, 0)
    compute.samples.clear()
    const unknown = await faultOf(subscription.backlog())
    assert.match(unknown.message, /Cloud Monitoring has no point of the last 10 minutes/)
  } finally {
    await topics.close()
  }
})
