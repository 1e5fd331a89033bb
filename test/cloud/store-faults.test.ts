import assert from 'node:assert/strict'
import { after, afterEach, before, suite, test } from 'node:test'

import { openStore } from '../../cloud/store.ts'
import { openStores, type Stores } from '../../cloud/stores.ts'
import type { Store } from '../../core/ports.ts'
import { standBetween, type Between, type HttpFault } from './doubles/http.ts'
import { skipWithoutGcs, startGcs, type Emulator } from './emulators.ts'

const bytes = (text: string): Uint8Array => Buffer.from(text)

suite(
  'openStore() where Cloud Storage refuses or does not answer',
  { skip: skipWithoutGcs },
  () => {
    let gcs: Emulator
    let between: Between
    let stores: Stores
    let store: Store
    before(async () => {
      gcs = await startGcs()
      between = await standBetween(gcs.host)
      stores = openStores({ project: 'p', emulator: between.host })
      await stores.storage.createBucket('bucket')
      store = await openStore(stores, 'bucket', { attemptMs: 2000, giveUpMs: 30_000 })
      between.seen.length = 0
    })
    after(async () => {
      between.stop()
      await gcs.kill()
    })
    afterEach(() => {
      between.fault = () => undefined
      between.seen.length = 0
    })

    /** The first requests of a kind go wrong, the rest do not. */
    function fail(times: number, fault: HttpFault, kind = /^POST \/upload/): void {
      let left = times
      between.fault = (method, path) =>
        kind.test(`${method} ${path}`) && left-- > 0 ? fault : undefined
    }

    test('create() takes one request, with precondition, checksum and metadata in it', async () => {
      await store.create('one', bytes('data'), { k: 'v' })
      assert.equal(between.seen.length, 1, between.seen.join('\n'))
      assert.match(between.seen[0] ?? '', /^POST \/upload\/storage\/v1\/b\/bucket\/o\?/)
      assert.match(between.seen[0] ?? '', /uploadType=multipart/)
      assert.match(between.seen[0] ?? '', /ifGenerationMatch=0/)
    })

    test('read() of a large object has Node.js warn of no leak', async () => {
      const warnings: string[] = []
      const onWarning = ({ message }: Error): void => void warnings.push(message)
      process.on('warning', onWarning)
      try {
        await store.create('large', Buffer.alloc(1_000_000, 'x'))
        const found = await Promise.all(Array.from({ length: 8 }, () => store.read('large')))
        assert.ok(found.every((read) => read?.data.length === 1_000_000))
        // A warning is told one turn later.
        await new Promise((resolve) => setImmediate(resolve))
      } finally {
        process.removeListener('warning', onWarning)
      }
      assert.deepEqual(warnings, [])
    })

    test('create() knows its own write whose answer was lost', async () => {
      fail(1, 'lost')
      const { created, object } = await store.create('lost', bytes('ours'), { by: 'us' })
      assert.equal(created, true)
      assert.deepEqual(object.metadata, { by: 'us' })
      assert.deepEqual((await store.read('lost'))?.object, object)
      assert.ok(between.seen.filter((line) => line.startsWith('POST')).length > 1, 'it came twice')
    })

    test('create() does not take the equal bytes of another for its own', async () => {
      const first = await store.create('equal', bytes('same'), { by: 'x' })
      fail(1, 'lost')
      const second = await store.create('equal', bytes('same'), { by: 'x' })
      assert.deepEqual(second, { created: false, object: first.object })
    })

    test('replace() knows its own write whose answer was lost', async () => {
      const one = await store.replace('state', bytes('1'), null)
      assert.ok(one)
      fail(1, 'lost')
      const two = await store.replace('state', bytes('2'), one.generation)
      assert.ok(two, 'it is told that it went through')
      assert.equal(Buffer.from((await store.read('state'))?.data ?? []).toString(), '2')
      assert.equal(await store.replace('state', bytes('3'), one.generation), null)
    })

    const passing: [string, HttpFault][] = [
      ['429', { status: 429, reason: 'rateLimitExceeded', message: 'Too many requests' }],
      ['500', { status: 500, reason: 'internalError', message: 'Backend error' }],
      ['502', { status: 502, reason: 'badGateway', message: 'Bad gateway' }],
      ['503', { status: 503, reason: 'backendError', message: 'Service unavailable' }],
      ['408', { status: 408, reason: 'requestTimeout', message: 'Timeout' }],
      ['no answer', 'silence'],
    ]
    for (const [what, fault] of passing) {
      test(`create() tries again after ${what}`, async () => {
        fail(2, fault)
        assert.equal((await store.create(`again ${what}`, bytes('x'))).created, true)
      })
    }

    test('read() asks again for an answer that is cut off', async () => {
      await store.create('cut', new Uint8Array(100_000).fill(5))
      fail(1, 'cut', /alt=media/)
      const found = await store.read('cut')
      assert.equal(found?.data.length, 100_000)
      assert.ok(found.data.every((byte) => byte === 5))
    })

    const told: [string, HttpFault, RegExp][] = [
      [
        'it is forbidden',
        { status: 403, reason: 'forbidden', message: 'me does not have storage.objects.create' },
        /this account may not; grant it roles\/storage\.objectUser on bucket "bucket"/,
      ],
      [
        'there are no credentials',
        { status: 401, reason: 'authError', message: 'Invalid Credentials' },
        /gcloud auth application-default login/,
      ],
      [
        'the checksum is wrong',
        { status: 400, reason: 'invalid', message: 'Provided CRC32C does not match' },
        /Provided CRC32C does not match/,
      ],
    ]
    for (const [what, fault, remedy] of told) {
      test(`create() says at once that ${what}, and what to do`, async () => {
        fail(99, fault)
        await assert.rejects(store.create('x', bytes('x')), (error: Error & { code?: string }) => {
          assert.equal(error.code, 'store_failed')
          assert.match(error.message, /^Cannot write "x" to bucket "bucket": .+[^.]$/)
          assert.match(error.message, remedy)
          return true
        })
        assert.equal(between.seen.length, 1, 'it is not tried again')
      })
    }

    test('every verb says that the bucket is missing, and what to do', async () => {
      const missing = await openStore(stores, 'nothing', { attemptMs: 500, giveUpMs: 1000 })
      const remedy = {
        code: 'store_failed',
        message: /project "p" has no bucket "nothing"; make it/,
      }
      await assert.rejects(missing.create('x', bytes('x')), remedy)
      await assert.rejects(missing.replace('x', bytes('x'), null), remedy)
      await assert.rejects(async () => {
        for await (const _ of missing.list(''));
      }, remedy)
    })

    test('nothing hangs where nobody answers at all', async () => {
      between.fault = () => 'silence'
      const hasty = await openStore(stores, 'bucket', { attemptMs: 300, giveUpMs: 1000 })
      const began = performance.now()
      await assert.rejects(hasty.create('x', bytes('x')), {
        code: 'store_failed',
        message: /does not answer/,
      })
      assert.ok(performance.now() - began < 6000)
    })

    test('create() goes on when the service is killed and restarted half-way', async () => {
      const patient = await openStore(stores, 'bucket', { attemptMs: 500, giveUpMs: 20_000 })
      const works = Promise.allSettled(
        Array.from({ length: 40 }, (_, at) => patient.create(`kill/${at}`, bytes('x'))),
      )
      await gcs.kill()
      await gcs.restart()
      // It forgets everything: what was told as created before is gone, which no bucket of Google's does.
      await stores.storage.createBucket('bucket').catch(() => {})
      const settled = await works
      for (const outcome of settled) {
        // A request that came between the restart and the new bucket is told that there is none.
        if (outcome.status === 'rejected') assert.match(outcome.reason.message, /has no bucket/)
      }
      assert.equal((await patient.create('kill/after', bytes('x'))).created, true)
    })
  },
)
