import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import { deadLetterAttributes } from '../../core/dead-letter.ts'
import { formatLedgerEvent, ledgerEvent } from '../../core/ledger.ts'
import { topicName } from '../../core/names.ts'
import type { Delivery } from '../../core/ports.ts'
import { openGround } from '../../local/broker.ts'
import { acquireWarehouse } from '../../local/duckdb/warehouse.ts'
import { openSubscription } from '../../local/subscription.ts'
import type { Truth } from '../../simulator/truth.ts'
import { take } from '../contract/topic.ts'
import { makeNight, nightjar, runHere, type Night } from '../night/harness.ts'
import { prepareHome, verifyHome } from '../night/verify.ts'

const dir = mkdtempSync(join(tmpdir(), 'nightjar-replay-'))
after(() => rmSync(dir, { recursive: true }))
const at = { survey: 'ztf', project: 'local' } as const
const home = join(dir, 'home')
let night: Night
let intact: Truth[]

before(async () => {
  night = makeNight(dir, { alerts: 90, seed: 'replay' })
  intact = night.truths.filter(({ kind }) => kind === 'alert' || kind === 'late')
  await prepareHome(home)
  assert.equal((await nightjar('run', '--once', '--home', home, '--from', night.from)).status, 0)
})

test('replay --night sends the archive once more, at a rate, to any topic', async () => {
  const ground = await openGround(home, at)
  const { journal, messages } = ground
  await openSubscription({ journal, messages, topic: 'again', name: 'watch', filter: '' })
  await ground.close()
  const started = performance.now()
  const sent = await runHere([
    ...['replay', '--night', night.night, '--to', 'again', '--rate', '100', '--home', home],
  ])
  const seconds = (performance.now() - started) / 1000
  const alerts = new Set(intact.map(({ candid }) => candid))
  for (const { kind, candid } of night.truths) if (kind === 'duplicate') alerts.add(candid)
  assert.deepEqual(sent, { out: `Sent ${alerts.size} again.\n`, err: '', status: 0 })
  assert.ok(seconds > (alerts.size - 12) / 100, `${alerts.size} in ${seconds} s`)

  const drained = await runHere([
    'subscribe',
    'again',
    '--name',
    'watch',
    '--drain',
    '--home',
    home,
  ])
  const lines = drained.out.trimEnd().split('\n')
  const candids = lines.map(
    (line) => (JSON.parse(line) as { alert: { candid: string } }).alert.candid,
  )
  assert.deepEqual(candids.sort(), [...alerts].sort())
  await verifyHome(home, night)
})

test('replay --night to the survey’s own topic changes nothing but repetitions', async () => {
  const sent = await runHere(['replay', '--night', night.night, '--home', home])
  assert.match(sent.out, /^Sent \d+ again\.\n$/)
  assert.equal((await nightjar('run', '--once', '--home', home)).status, 0)
  await verifyHome(home, night)
})

test('a dead letter whose cause is mended is stored after its replay, by its stage alone', async () => {
  const truth = intact[11] as Truth
  const { topic, partition, objectId = '', candid = '', schemavsn = '' } = truth
  const offset = BigInt(truth.offset)
  const where = `kafka_partition = ${partition} AND kafka_offset = ${offset}`
  // As if the warehouse had refused this alert at the time.
  const warehouse = await acquireWarehouse({ file: join(home, 'warehouse.duckdb') })
  await warehouse.exclusive(async (connection) => {
    await connection.run(
      `DELETE FROM ztf_alerts.alerts_v${schemavsn.replace('.', '_')} WHERE ${where}`,
    )
    await connection.run(`DELETE FROM ztf_alerts.ledger WHERE stage = 'warehouse' AND ${where}`)
  })
  await warehouse.release()
  const ground = await openGround(home, at)
  const ledger = await ground.topic('ledger')
  const reason = 'Cannot store the row: as was thought then'
  await ledger.publish(
    formatLedgerEvent(
      ledgerEvent({
        ...{ topic, partition, offset, objectId, candid: BigInt(candid), reason },
        ...{ stage: 'warehouse', outcome: 'dead_lettered', at: new Date() },
      }),
    ),
  )
  // The letters that lie there are of packets that nobody can read; they are read away for this test.
  await runHere([
    ...['subscribe', 'ztf_dead_letter', '--home', home],
    ...['--name', 'ztf_dead_letter-replay', '--drain', '--attributes'],
  ])
  const deadLetters = await ground.topic('dead_letter')
  await deadLetters.publish({
    data: night.bytesOf(truth),
    attributes: {
      'kafka.topic': topic,
      'kafka.partition': String(partition),
      'kafka.offset': String(offset),
      'kafka.timestamp': String(truth.timestamp),
      [deadLetterAttributes.stage]: 'warehouse',
      [deadLetterAttributes.code]: 'row_rejected',
      [deadLetterAttributes.reason]: reason,
      [deadLetterAttributes.at]: new Date().toISOString(),
    },
  })
  await ground.close()

  const watch = ['subscribe', 'ztf_ledger', '--home', home, '--name', 'events']
  await runHere([...watch, '--max', '0'])
  const sent = await runHere(['replay', '--dead-letter', '--home', home])
  assert.deepEqual(sent, { out: 'Sent 1 again.\n', err: '', status: 0 })
  assert.equal((await nightjar('run', '--once', '--home', home)).status, 0)
  const { out } = await runHere([...watch, '--drain'])
  const events = out
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { data: Record<string, unknown> }).data)
  assert.deepEqual(
    events.map(({ stage, outcome, candid: id }) => ({ stage, outcome, id })),
    [{ stage: 'warehouse', outcome: 'stored', id: candid }],
  )
  const audit = await runHere(['audit', '--home', home])
  assert.equal(audit.status, 0)
  const again = await runHere(['replay', '--dead-letter', '--home', home])
  assert.equal(again.out, 'Sent 0 again.\n')
})

test('a dead letter that dies again waits for the next replay, and stays accounted for', async () => {
  const own = join(dir, 'dies-again')
  await prepareHome(own)
  assert.equal((await nightjar('run', '--once', '--home', own, '--from', night.from)).status, 0)
  const corrupt = night.truths.filter(({ kind }) => kind.startsWith('corrupt:')).length
  assert.ok(corrupt > 0)
  for (let round = 0; round < 2; round++) {
    const { out } = await runHere(['replay', '--dead-letter', '--home', own])
    assert.equal(out, `Sent ${3 * corrupt} again.\n`)
    assert.equal((await nightjar('run', '--once', '--home', own)).status, 0)
  }
  await verifyHome(own, night)
})

test('what the fits lack comes again as users had it: trimmed, described, for the fits alone', async () => {
  const own = join(dir, 'fits')
  await prepareHome(own)
  let ground = await openGround(own, at)
  const watch = async (): Promise<Delivery[]> => {
    const { journal, messages } = ground
    const topic = topicName(at, 'exgalac_trans')
    const subscription = await openSubscription({
      ...{ journal, messages, topic, name: 'watch', filter: '' },
    })
    const { messages: waiting } = await subscription.backlog()
    const taken = waiting === 0 ? [] : await take(subscription, waiting)
    await subscription.close()
    return taken
  }
  await watch()
  await ground.close()
  assert.equal((await nightjar('run', '--once', '--home', own, '--from', night.from)).status, 0)
  ground = await openGround(own, at)
  const first = (await watch())[0]
  assert.ok(first)
  const { 'kafka.partition': partition = '', 'kafka.offset': offset = '' } = first.attributes
  const warehouse = await acquireWarehouse({ file: join(own, 'warehouse.duckdb') })
  await warehouse.exclusive((connection) =>
    connection.run(
      `DELETE FROM ztf_alerts.ledger WHERE stage = 'salt2'
         AND kafka_partition = ${partition} AND kafka_offset = ${offset}`,
    ),
  )
  await warehouse.release()
  const sent = await runHere(['replay', '--missing', '--night', night.night, '--home', own])
  assert.deepEqual(sent, { out: 'Sent 1 again.\n', err: '', status: 0 })
  const again = await watch()
  await ground.close()
  assert.deepEqual(
    again.map(({ data, attributes }) => ({ data: Buffer.from(data), attributes })),
    [{ data: Buffer.from(first.data), attributes: { ...first.attributes, nightjar_for: 'salt2' } }],
  )
  assert.equal((await nightjar('run', '--once', '--home', own)).status, 0)
  const audit = await runHere(['audit', '--home', own, '--night', night.night])
  assert.match(audit.out, /^Complete: /m)
})
