import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { suite, test } from 'node:test'

import { crc32c } from '../../core/crc32c.ts'
import { storeContract } from '../contract/store.ts'
import { take } from '../contract/topic.ts'
import { openHome, type OpenHome } from './home.ts'

storeContract('openStore()', async () => {
  const home = await openHome()
  let count = 0
  return {
    async newStore() {
      const bucket = `bucket_${++count}`
      const notices = await home.subscription(`notices_${count}`)
      return { store: await home.store(bucket, { noticeTopic: `notices_${count}` }), notices }
    },
    cleanup: () => home.remove(),
  }
})

suite('openStore() on one machine', () => {
  /** A file that was linked by a process which died before it wrote the row. */
  function leaveOrphan(home: OpenHome, bucket: string, name: string, text: string): string {
    const path = join(home.home.buckets, bucket, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
    return path
  }

  test('create() completes a file whose maker died before its row, and announces it once', async () => {
    const home = await openHome()
    try {
      const notices = await home.subscription('notices')
      const store = await home.store('b', { noticeTopic: 'notices' })
      leaveOrphan(home, 'b', 'n/1.avro', 'same')
      assert.equal(await store.read('n/1.avro'), null, 'it does not exist before it has a row')
      const { created, object } = await store.create('n/1.avro', Buffer.from('same'), { a: 'b' })
      assert.equal(created, true)
      assert.deepEqual(object.metadata, { a: 'b' })
      assert.equal((await store.create('n/1.avro', Buffer.from('same'))).created, false)
      const seen = await take(notices, 1, { quietMs: 300 })
      assert.deepEqual(
        seen.map(({ attributes }) => attributes['objectId']),
        ['n/1.avro'],
      )
    } finally {
      await home.remove()
    }
  })

  test('create() keeps the bytes of a file without row, and says whose checksum it has', async () => {
    const home = await openHome()
    try {
      const store = await home.store('b')
      const path = leaveOrphan(home, 'b', 'n/1.avro', 'theirs')
      const { created, object } = await store.create('n/1.avro', Buffer.from('ours'))
      assert.equal(created, false)
      assert.equal(object.crc32c, crc32c(Buffer.from('theirs')))
      assert.equal(readFileSync(path, 'utf8'), 'theirs')
      const found = await store.read('n/1.avro')
      assert.equal(Buffer.from(found?.data ?? []).toString(), 'theirs')
    } finally {
      await home.remove()
    }
  })

  test('create() in several buckets of a folder at once mixes no bytes', async () => {
    const home = await openHome()
    try {
      const stores = await Promise.all(['a', 'b', 'a', 'c'].map((bucket) => home.store(bucket)))
      const works = stores.flatMap((store, index) =>
        Array.from({ length: 50 }, async (_, at) => {
          const name = `${index}/${at}`
          const data = Buffer.alloc(50_000, `${index} ${at} `)
          assert.equal((await store.create(name, data)).created, true)
          const found = await store.read(name)
          assert.equal(Buffer.compare(found?.data ?? Buffer.alloc(0), data), 0, name)
        }),
      )
      await Promise.all(works)
    } finally {
      await home.remove()
    }
  })

  test('objects and their generations are there after a reopen', async () => {
    const home = await openHome()
    try {
      let store = await home.store('b')
      const { object } = await store.create('a', Buffer.from('made'), { k: 'v' })
      const state = await store.replace('s', Buffer.from('1'), null)
      await home.reopen()
      store = await home.store('b')
      assert.deepEqual((await store.read('a'))?.object, object)
      assert.ok(await store.replace('s', Buffer.from('2'), state?.generation ?? null))
    } finally {
      await home.remove()
    }
  })

  test('nothing stays aside: not what was stored, not what a crash left', async () => {
    const home = await openHome()
    try {
      const aside = join(home.home.buckets, '.aside')
      let store = await home.store('b')
      await store.create('a', Buffer.from('made'))
      await store.create('a', Buffer.from('made again'))
      assert.deepEqual(readdirSync(aside), [])
      // The pid of a process that has ended: no process has a pid as high.
      writeFileSync(join(aside, `${2 ** 22 - 1}-half`), 'half a fi')
      store = await home.store('b')
      assert.deepEqual(readdirSync(aside), [])
    } finally {
      await home.remove()
    }
  })
})
