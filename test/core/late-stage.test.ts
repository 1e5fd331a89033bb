import assert from 'node:assert/strict'
import { test } from 'node:test'

import { beginStage, lateStages } from '../../core/late-stage.ts'
import { writeProgress } from '../../core/progress.ts'
import { openHome } from '../local/home.ts'

const at = new Date('2026-11-21T05:00:00.000Z')

test('a stage begins once, behind what the intake had made durable by then', async () => {
  const home = await openHome()
  const store = await home.store('b')
  const topic = 'ztf_20261121_programid1'
  const partition = {
    partition: 3,
    source: '/data',
    low: 5n,
    next: 2n ** 60n + 1n,
    high: 2n ** 61n,
  }
  const progress = { topic, partitions: [partition], sources: [] }
  const generation = await writeProgress(store, progress, null)
  assert.deepEqual(await lateStages(store), [])

  await beginStage(store, 'filter', at)
  const later = { ...progress, partitions: [{ ...partition, next: 2n ** 60n + 9n }] }
  await writeProgress(store, later, generation)
  await beginStage(store, 'filter', new Date(at.getTime() + 1000))
  assert.deepEqual(await lateStages(store), [
    {
      stage: 'filter',
      since: at.toISOString(),
      from: [{ topic, partition: 3, offset: 2n ** 60n + 1n }],
    },
  ])
})

test('a beginning that cannot be read is said, not passed over', async () => {
  const home = await openHome()
  const store = await home.store('b')
  await store.create('late-stages/filter.json', Buffer.from('{}'))
  await assert.rejects(lateStages(store), /Cannot read "late-stages\/filter.json"/)
})
