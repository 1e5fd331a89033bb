import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { topicName } from '../../core/names.ts'
import { openGround } from '../../local/broker.ts'
import { makeNight, nightjar, runHere, startNightjar } from '../night/harness.ts'

const dir = mkdtempSync(join(tmpdir(), 'nightjar-status-'))
after(() => rmSync(dir, { recursive: true }))
const night = makeNight(dir, { alerts: 80 })
const records = night.truths.filter(({ kind }) => kind !== 'gap').length
const home = join(dir, 'home')

interface Status {
  running: number | null
  subscriptions: { name: string; messages: number }[]
  nights: { night: string; source: string; taken: number; known: number; ended: boolean }[]
  outcomes: { stage: string; outcome: string; occurrences: number }[]
  buckets: { bucket: string; objects: number; bytes: number }[]
}

async function status(): Promise<Status> {
  const { out, status: exit } = await runHere(['status', '--json', '--home', home])
  assert.equal(exit, 0)
  return JSON.parse(out) as Status
}

const sumOf = ({ outcomes }: Status, stage: string): number =>
  outcomes.filter((one) => one.stage === stage).reduce((sum, one) => sum + one.occurrences, 0)

test('status of a new home says that nothing runs and nothing waits', async () => {
  // A subscriber may come before the first night; that makes the home.
  const words = [
    'subscribe',
    topicName({ survey: 'ztf', project: 'local' }, 'ledger'),
    '--max',
    '0',
  ]
  assert.equal((await runHere([...words, '--home', home])).status, 0)
  const found = await status()
  assert.equal(found.running, null)
  assert.deepEqual(found.nights, [])
  assert.deepEqual(found.outcomes, [])
  assert.ok(found.subscriptions.every(({ messages }) => messages === 0))
})

test('status while a broker runs says which process, how far it is and what is to do', async () => {
  const running = startNightjar(['run', '--home', home, '--from', night.from, '--rate', '60'])
  await running.until(/intake_started/)
  let found = await status()
  while (sumOf(found, 'archive') === 0 || found.nights.length === 0) found = await status()
  assert.equal(found.running, running.child.pid)
  assert.equal(found.nights.length, 1)
  assert.equal(found.nights[0]?.night, night.night)
  assert.equal(found.nights[0]?.ended, false)
  running.child.kill('SIGINT')
  assert.equal((await running.ended).status, 0)
  const after = await status()
  assert.equal(after.running, null)
  assert.ok(sumOf(after, 'archive') >= sumOf(found, 'archive'))
})

test('status after the night counts each occurrence once, whatever the ledger was told twice', async () => {
  assert.equal((await nightjar('run', '--once', '--home', home, '--from', night.from)).status, 0)
  const before = await status()
  for (const stage of ['archive', 'warehouse', 'exgalac']) {
    assert.equal(sumOf(before, stage), records, stage)
  }
  const [{ taken, known, ended } = { taken: 0, known: 1, ended: false }] = before.nights
  assert.equal(taken, known)
  assert.equal(ended, true)
  assert.equal(sumOf(before, 'intake'), known)
  assert.ok(before.subscriptions.every((one) => one.messages === 0 || /dead/.test(one.name)))

  await tellLedgerAgain()
  assert.deepEqual((await status()).outcomes, before.outcomes)
})

/** Let the ledger land a second time, as a redelivery would. */
async function tellLedgerAgain(): Promise<void> {
  const at = { survey: 'ztf', project: 'local' } as const
  const sql = `SELECT * REPLACE (CAST(kafka_offset AS VARCHAR) AS kafka_offset,
    CAST(candid AS VARCHAR) AS candid, CAST(span AS VARCHAR) AS span) FROM ledger`
  const { out } = await runHere(['query', '--json', '--home', home, sql])
  const ground = await openGround(home, at)
  const topic = await ground.messages.topicId(topicName(at, 'ledger'))
  const events = out.trimEnd().split('\n')
  const again = events.map((line) =>
    ground.messages.publish(topic, { data: Buffer.from(line), attributes: {} }),
  )
  await Promise.all(again)
  await ground.close()
  assert.equal((await nightjar('run', '--once', '--home', home)).status, 0)
  const count = await runHere([
    'query',
    '--json',
    '--home',
    home,
    'SELECT COUNT(*) AS n FROM ledger',
  ])
  assert.equal(Number((JSON.parse(count.out) as { n: string }).n), 2 * events.length)
}

test('status for a person has a table each of what came, what waits, what became of it and what is kept', async () => {
  const { out } = await runHere(['status', '--home', home])
  assert.match(out, /^\/.*home: no broker runs\n/)
  for (const title of ['Taken in', 'To do', 'Ledger', 'Buckets']) {
    assert.match(out, new RegExp(`^${title}\n *\\S.*\n─+\n`, 'm'))
  }
  assert.match(out, new RegExp(`^20261121 +\\d+ +\\d+ +yes +${night.from}$`, 'm'))
})
