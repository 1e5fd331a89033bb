/** What every answer to the port Store must do. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { crc32c } from '../../core/crc32c.ts'
import type { Delivery, Store, StoredObject, Subscription } from '../../core/ports.ts'

export interface OpenedStore {
  store: Store
  /** Reads the topic that the bucket announces its objects on; made before any object. */
  notices: Subscription
}

export interface OpenedStores {
  /** An empty bucket. */
  newStore(): Promise<OpenedStore>
  cleanup(): Promise<void>
}

const bytes = (text: string): Uint8Array => Buffer.from(text)

async function listed(store: Store, prefix: string): Promise<StoredObject[]> {
  const objects: StoredObject[] = []
  for await (const object of store.list(prefix)) objects.push(object)
  return objects
}

const names = async (store: Store, prefix: string): Promise<string[]> =>
  (await listed(store, prefix)).map(({ name }) => name)

/** What was announced until it has been quiet for a while. */
async function noticesOf(subscription: Subscription): Promise<Delivery[]> {
  const stop = new AbortController()
  const seen: Delivery[] = []
  let last = Date.now()
  const receiving = subscription.receive(
    async (delivery) => {
      seen.push(delivery)
      last = Date.now()
    },
    { signal: stop.signal },
  )
  while (Date.now() - last < 300) await pause(20)
  stop.abort()
  await receiving
  return seen
}

/** Run the contract against an answer. */
export function storeContract(name: string, open: () => Promise<OpenedStores>): void {
  suite(`${name} keeps the contract of Store`, () => {
    let opened: OpenedStores
    before(async () => {
      opened = await open()
    })
    after(() => opened.cleanup())

    test('create() makes an object that read() answers whole', async () => {
      const { store } = await opened.newStore()
      const data = Uint8Array.from({ length: 70_000 }, (_, at) => at * 7)
      const metadata = { 'kafka.topic': 'night', note: 'ünïcode ☄' }
      const { created, object } = await store.create('night/ZTF21abc/1.avro', data, metadata)
      assert.equal(created, true)
      const found = await store.read('night/ZTF21abc/1.avro')
      assert.ok(found)
      assert.equal(Buffer.compare(found.data, data), 0)
      assert.deepEqual(found.object, object)
      const { generation, ...facts } = object
      assert.deepEqual(facts, {
        name: 'night/ZTF21abc/1.avro',
        size: 70_000,
        crc32c: crc32c(Buffer.from(data)),
        metadata,
      })
      assert.match(generation, /^\d+$/)
    })

    test('create() keeps the CRC-32C of the bytes, unsigned', async () => {
      const { store } = await opened.newStore()
      // RFC 3720 B.4 and the check value of every catalogue of CRCs.
      const vectors: [Uint8Array, number][] = [
        [bytes('123456789'), 0xe3069283],
        [new Uint8Array(32), 0x8a9136aa],
        [new Uint8Array(32).fill(0xff), 0x62a8ab43],
        [new Uint8Array(), 0],
      ]
      for (const [index, [data, expected]] of vectors.entries()) {
        const { object } = await store.create(`crc/${index}`, data)
        assert.equal(object.crc32c, expected)
        assert.equal((await store.read(`crc/${index}`))?.object.crc32c, expected)
      }
    })

    test('create() changes nothing where the name is taken, and answers what stands there', async () => {
      const { store } = await opened.newStore()
      const first = await store.create('a', bytes('one'), { by: 'first' })
      for (const text of ['one', 'two']) {
        const second = await store.create('a', bytes(text), { by: 'second' })
        assert.deepEqual(second, { created: false, object: first.object })
      }
      assert.equal(Buffer.from((await store.read('a'))?.data ?? []).toString(), 'one')
    })

    test('create() by many at once has one winner, and all are told of its object', async () => {
      const { store } = await opened.newStore()
      for (let round = 0; round < 10; round++) {
        const name = `race/${round}`
        const answers = await Promise.all(
          Array.from({ length: 8 }, (_, at) =>
            store.create(name, bytes(round % 2 === 0 ? 'same' : `racer ${at}`), { at: String(at) }),
          ),
        )
        const winners = answers.filter(({ created }) => created)
        assert.equal(winners.length, 1, `round ${round} has ${winners.length} winners`)
        for (const { object } of answers) assert.deepEqual(object, winners[0]?.object)
        const found = await store.read(name)
        assert.equal(found?.object.crc32c, crc32c(Buffer.from(found?.data ?? [])))
        assert.deepEqual(found?.object, winners[0]?.object)
      }
    })

    test('replace() writes only over the generation that it is given', async () => {
      const { store } = await opened.newStore()
      assert.equal(await store.replace('state', bytes('0'), '1'), null, 'there is none yet')
      const one = await store.replace('state', bytes('1'), null, { step: 'one' })
      assert.ok(one)
      assert.equal(await store.replace('state', bytes('x'), null), null, 'there is one now')
      const two = await store.replace('state', bytes('22'), one.generation)
      assert.ok(two)
      assert.notEqual(two.generation, one.generation)
      assert.equal(await store.replace('state', bytes('y'), one.generation), null)
      const found = await store.read('state')
      assert.equal(Buffer.from(found?.data ?? []).toString(), '22')
      assert.deepEqual(found?.object, two)
      assert.deepEqual([two.size, two.crc32c, two.metadata], [2, crc32c(Buffer.from('22')), {}])
    })

    test('replace() by many at once lets one through a generation', async () => {
      const { store } = await opened.newStore()
      let generation: string | null = null
      for (let round = 0; round < 5; round++) {
        const known: string | null = generation
        const answers: (StoredObject | null)[] = await Promise.all(
          Array.from({ length: 8 }, (_, at) => store.replace('counter', bytes(`${at}`), known)),
        )
        const through = answers.filter((answer) => answer !== null)
        assert.equal(through.length, 1)
        generation = through[0]?.generation ?? null
      }
    })

    test('replace() takes over what create() made', async () => {
      const { store } = await opened.newStore()
      const { object } = await store.create('a/b', bytes('made'))
      const replaced = await store.replace('a/b', bytes('replaced'), object.generation)
      assert.ok(replaced)
      assert.equal(Buffer.from((await store.read('a/b'))?.data ?? []).toString(), 'replaced')
      assert.deepEqual(await store.create('a/b', bytes('made')), {
        created: false,
        object: replaced,
      })
    })

    test('read() answers null where there is nothing', async () => {
      const { store } = await opened.newStore()
      await store.create('folder/object', bytes(''))
      for (const name of ['nothing', 'folder/other', 'folder/objec', 'folder']) {
        assert.equal(await store.read(name), null, name)
      }
      assert.equal((await store.read('folder/object'))?.data.length, 0)
    })

    test('list() walks the names under a prefix, ascending', async () => {
      const { store } = await opened.newStore()
      const made = ['b/2', 'a/10', 'a/9', 'a/1.x', 'a.b', 'ab', 'b/1', 'é/1', 'a/9z', 'A/1']
      await Promise.all(made.map((name) => store.create(name, bytes(name), { of: name })))
      const byBytes = (a: string, b: string): number => Buffer.compare(bytes(a), bytes(b))
      assert.deepEqual(await names(store, ''), made.toSorted(byBytes))
      assert.deepEqual(await names(store, 'a/'), ['a/1.x', 'a/10', 'a/9', 'a/9z'])
      assert.deepEqual(await names(store, 'a'), ['a.b', 'a/1.x', 'a/10', 'a/9', 'a/9z', 'ab'])
      assert.deepEqual(await names(store, 'é'), ['é/1'])
      assert.deepEqual(await names(store, 'c'), [])
      for (const object of await listed(store, 'b/')) {
        assert.deepEqual(object, (await store.read(object.name))?.object)
      }
    })

    test('list() walks many pages and sees what was there when it began', async () => {
      const { store } = await opened.newStore()
      const made = Array.from({ length: 2500 }, (_, at) => `p/${String(at).padStart(5, '0')}`)
      // Written as state, which is quicker than files and listed alike.
      await Promise.all(made.map((name) => store.replace(name, bytes(''), null)))
      const seen: string[] = []
      for await (const { name } of store.list('p/')) {
        seen.push(name)
        if (seen.length === 10) await store.create('p/00000x', bytes('late'))
      }
      assert.deepEqual(seen, made)
    })

    test('a name that leaves the bucket, or is none, is refused', async () => {
      const { store } = await opened.newStore()
      const odd = [
        '',
        '/etc/passwd',
        '..',
        '../a',
        'a/../../b',
        'a/..',
        './a',
        'a//b',
        'a/',
        'a\0b',
      ]
      for (const name of odd) {
        const refusal = { name: 'NightjarError', code: 'input_invalid' }
        await assert.rejects(store.create(name, bytes('x')), refusal, JSON.stringify(name))
        await assert.rejects(store.replace(name, bytes('x'), null), refusal, JSON.stringify(name))
      }
      assert.deepEqual(await names(store, ''), [])
      for (const name of ['..a', 'a..', 'a/..b/c', '...', 'a b', 'é☄', '-rf', '%2e%2e']) {
        assert.equal((await store.create(name, bytes(name))).created, true, name)
      }
    })

    test('each new object is announced exactly once', async () => {
      const { store, notices } = await opened.newStore()
      const made = Array.from({ length: 30 }, (_, at) => `n/${at}`)
      const generations = new Map<string, string>()
      await Promise.all(
        [...made, ...made].map(async (name) => {
          const { object } = await store.create(name, bytes(name))
          generations.set(name, object.generation)
        }),
      )
      await store.create('n/0', bytes('other bytes'))
      const seen = await noticesOf(notices)
      assert.deepEqual(seen.map(({ attributes }) => attributes['objectId']).sort(), made.sort())
      for (const { attributes } of seen) {
        assert.equal(attributes['eventType'], 'OBJECT_FINALIZE')
        assert.equal(
          attributes['objectGeneration'],
          generations.get(String(attributes['objectId'])),
        )
      }
    })
  })
}
