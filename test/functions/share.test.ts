import assert from 'node:assert/strict'
import { test } from 'node:test'

import { forStageAttribute } from '../../core/alert.ts'
import { NightjarError } from '../../core/errors.ts'
import { createShared } from '../../functions/share.ts'
import { createJudge, type Judge, type StageHandler } from '../../functions/stage.ts'
import { cameFrom, delivery, fakeLog, fakeStore, fakeTopic } from './fakes.ts'

const packet = Buffer.from('a packet')
const busy = new NightjarError('table_failed', 'Cannot store a row: BigQuery does not answer')

/** Stages that work, or fail while their name is in `failing`; what each did is in `calls`. */
function shared(...stages: string[]) {
  const ledger = fakeTopic()
  const deadLetters = fakeTopic()
  const calls: string[] = []
  const failing = new Map<string, unknown>()
  const { log } = fakeLog()
  const judges = new Map<string, Judge>()
  for (const stage of stages) {
    const handle: StageHandler = async () => {
      calls.push(stage)
      if (failing.has(stage)) throw failing.get(stage)
      return { outcome: 'stored' }
    }
    judges.set(stage, createJudge({ stage, handle, deadLetters, claims: fakeStore(), log }))
  }
  const told = (): string[] =>
    ledger.published.map(({ attributes }) => `${attributes['stage']} ${attributes['outcome']}`)
  return { onDelivery: createShared({ judges, ledger }), ledger, deadLetters, calls, failing, told }
}

test('every stage does its own work on a delivery, and the ledger hears of each', async () => {
  const { onDelivery, calls, told } = shared('archive', 'warehouse', 'exgalac')
  await onDelivery(delivery(packet))
  assert.deepEqual(calls, ['archive', 'warehouse', 'exgalac'])
  assert.deepEqual(told(), ['archive stored', 'warehouse stored', 'exgalac stored'])
})

test('a stage that fails has the message come again, and those that were done are not done anew', async () => {
  const { onDelivery, calls, failing, told } = shared('archive', 'warehouse')
  failing.set('archive', busy)
  await assert.rejects(onDelivery(delivery(packet)), busy)
  assert.deepEqual(told(), ['warehouse stored'])
  await assert.rejects(onDelivery(delivery(packet, cameFrom(0, 1), 2)), busy)
  failing.clear()
  await onDelivery(delivery(packet, cameFrom(0, 1), 3))
  assert.deepEqual(calls, ['archive', 'warehouse', 'archive', 'archive'])
  assert.deepEqual(told(), ['warehouse stored', 'archive stored'])
})

test('a delivery is not acked before the ledger has heard of every stage', async () => {
  const { onDelivery, ledger, told } = shared('archive', 'warehouse')
  ledger.failures.push(new NightjarError('publish_failed', 'Cannot publish: later'))
  await assert.rejects(onDelivery(delivery(packet)), { code: 'publish_failed' })
  await onDelivery(delivery(packet, cameFrom(0, 1), 2))
  assert.deepEqual(new Set(told()), new Set(['archive stored', 'warehouse stored']))
})

test('what is replayed for one stage is done by that one alone', async () => {
  const { onDelivery, calls } = shared('archive', 'warehouse')
  await onDelivery(delivery(packet, { ...cameFrom(0, 1), [forStageAttribute]: 'warehouse' }))
  await onDelivery(delivery(packet, { ...cameFrom(0, 2), [forStageAttribute]: 'salt2' }))
  assert.deepEqual(calls, ['warehouse'])
})

test('what one stage can never handle is its dead letter, and the others do their work', async () => {
  const { onDelivery, failing, deadLetters, told } = shared('archive', 'warehouse')
  failing.set('warehouse', new NightjarError('row_rejected', 'Cannot store the row: too wide'))
  await onDelivery(delivery(packet))
  assert.deepEqual(told(), ['archive stored', 'warehouse dead_lettered'])
  assert.equal(deadLetters.published[0]?.attributes['dead_letter_stage'], 'warehouse')
})

test('a stage that fails to the last attempt is given up alone', async () => {
  const { onDelivery, failing, told } = shared('archive', 'warehouse')
  failing.set('warehouse', busy)
  await assert.rejects(onDelivery(delivery(packet, cameFrom(0, 1), 89)), busy)
  await onDelivery(delivery(packet, cameFrom(0, 1), 90))
  assert.deepEqual(told(), ['archive stored', 'warehouse dead_lettered'])
})
