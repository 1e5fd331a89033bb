import assert from 'node:assert/strict'
import { suite, test } from 'node:test'

import {
  formatProgress,
  listProgress,
  parseProgress,
  progressName,
  readProgress,
  writeProgress,
  type TopicProgress,
} from '../../core/progress.ts'
import { openHome } from '../local/home.ts'

const progress: TopicProgress = {
  topic: 'ztf_20261121_programid1',
  partitions: [
    { partition: 0, source: '/data', low: 0n, next: 2n ** 60n + 1n, high: 2n ** 60n + 9n },
    { partition: 1, source: 'https://x/y.tar.gz', low: 5n, next: 5n, high: 5n },
  ],
  sources: [
    { source: '/data', files: 3, at: 2n ** 60n, ended: false },
    { source: 'https://x/y.tar.gz', files: 0, ended: true },
  ],
}

suite('progress', () => {
  test('parseProgress() reads what formatProgress() wrote, offsets exact', () => {
    assert.deepEqual(parseProgress(formatProgress(progress)), progress)
  })

  test('writeProgress() lets one of two writers through, and says why to the other', async () => {
    const home = await openHome()
    const store = await home.store('b')
    const { topic } = progress
    const fresh = await readProgress(store, topic)
    assert.deepEqual(fresh, {
      progress: { topic, partitions: [], sources: [] },
      generation: null,
    })
    const generation = await writeProgress(store, progress, null)
    await assert.rejects(writeProgress(store, progress, null), {
      code: 'home_busy',
      message: `Cannot go on taking in topic "${topic}": another process takes it in, too`,
    })
    assert.deepEqual(await readProgress(store, topic), { progress, generation })
    await writeProgress(store, progress, generation)
    await store.create(`intake/${topic}/0/000000000000.txt`, Buffer.from('a.avro'))
    assert.deepEqual(await listProgress(store), [progress])
    assert.equal(progressName(topic), 'intake/ztf_20261121_programid1.json')
    await home.remove()
  })
})
