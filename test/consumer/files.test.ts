import assert from 'node:assert/strict'
import { mkdirSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, suite, test } from 'node:test'
import { gzipSync } from 'node:zlib'

import { rereadFiles } from '../../consumer/files/reread.ts'
import { openFileSource } from '../../consumer/files/source.ts'
import type { RecordSource, SourceRecord } from '../../consumer/source.ts'
import type { Store } from '../../core/ports.ts'
import { readProgress } from '../../core/progress.ts'
import { tarEnd, tarMember } from '../../simulator/tar.ts'
import { openHome, type OpenHome } from '../local/home.ts'
import { container, packet } from './packet.ts'

const never = new AbortController().signal
const topic = 'ztf_20261121_programid1'
const mtime = Date.UTC(2026, 10, 21, 3)

suite('openFileSource()', () => {
  let home: OpenHome
  let store: Store
  beforeEach(async () => {
    home = await openHome()
    store = await home.store('files')
  })
  afterEach(() => home.remove())

  /** Write files below a folder of the test's own; answers the folder. */
  function writeFiles(files: Record<string, Uint8Array>, folder = 'in'): string {
    const root = join(home.home.path, folder)
    for (const [name, data] of Object.entries(files)) {
      const path = join(root, name)
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, data)
      utimesSync(path, mtime / 1000, mtime / 1000)
    }
    return root
  }

  function writeArchive(
    name: string,
    files: Record<string, Uint8Array> | [string, Uint8Array][],
  ): string {
    const entries = Array.isArray(files) ? files : Object.entries(files)
    const members = entries.map(([member, data]) => tarMember(member, data, mtime))
    const tar = Buffer.concat([...members, tarEnd])
    const path = join(home.home.path, name)
    writeFileSync(path, /gz$/.test(name) ? gzipSync(tar) : tar)
    return path
  }

  const openAt = (from: string, rest: { watch?: boolean } = {}): Promise<RecordSource> =>
    openFileSource({ from, store, topic, ...rest })

  async function all(source: RecordSource, signal = never): Promise<SourceRecord[]> {
    const records: SourceRecord[] = []
    for await (const record of source.records(signal)) records.push(record)
    return records
  }

  /** `topic[partition]@offset=candid` would be long: partition, offset and length of the value. */
  const brief = (records: readonly SourceRecord[]): [number, bigint, number][] =>
    records.map(({ partition, offset, value }) => [partition, offset, value?.length ?? -1])

  const sized = (...sizes: number[]): Record<string, Uint8Array> =>
    Object.fromEntries(sizes.map((size, at) => [`f${at}.avro`, new Uint8Array(size)]))

  const commit = (source: RecordSource, next: bigint, partition = 0): Promise<void> =>
    source.commit([{ topic, partition, next }])

  test('gives the files of a folder offsets in the order of their names', async () => {
    const from = writeFiles({
      'b/2.avro': new Uint8Array(2),
      'a.avro': new Uint8Array(1),
      'c.avro': new Uint8Array(3),
      'notes.txt': new Uint8Array(9),
    })
    const records = await all(await openAt(from))
    assert.deepEqual(
      brief(records).map(([partition, offset]) => [partition, offset]),
      [
        [0, 0n],
        [0, 1n],
        [0, 2n],
      ],
    )
    assert.deepEqual(records.map(({ value }) => value?.length).sort(), [1, 2, 3])
    assert.ok(records.every((record) => record.topic === topic && record.timestamp === mtime))
  })

  test('keeps the coordinates that the files of a dump are named by, partitions in turn', async () => {
    const from = writeFiles({
      [`${topic}/0/1001.avro`]: new Uint8Array(1),
      [`${topic}/0/999.avro`]: new Uint8Array(2),
      [`${topic}/0/1000.avro`]: new Uint8Array(3),
      [`${topic}/3/20.avro`]: new Uint8Array(4),
      [`${topic}/3/22.avro`]: new Uint8Array(5),
      'ztf_20261122_programid1/0/5.avro': new Uint8Array(6),
    })
    const source = await openAt(from)
    const ranges = await source.ranges()
    assert.deepEqual(
      ranges.map((range) => [range.topic, range.partition, range.low, range.next, range.high]),
      [
        [topic, 0, 999n, 999n, 1002n],
        [topic, 3, 20n, 20n, 23n],
        ['ztf_20261122_programid1', 0, 5n, 5n, 6n],
      ],
    )
    const records = await all(source)
    const of = (partition: number): bigint[] =>
      records
        .filter((record) => record.topic === topic && record.partition === partition)
        .map(({ offset }) => offset)
    assert.deepEqual(of(0), [999n, 1000n, 1001n])
    assert.deepEqual(of(3), [20n, 22n])
    assert.equal(records.find((record) => record.topic !== topic)?.offset, 5n)
    assert.equal(records.length, 6)
    assert.notEqual(records[0]?.partition, records[1]?.partition, 'partitions take turns')
  })

  test('takes a single file', async () => {
    const from = join(writeFiles({ 'one.avro': packet(1n) }), 'one.avro')
    assert.deepEqual(brief(await all(await openAt(from))), [[0, 0n, packet(1n).length]])
  })

  test('splits a container of many alerts, and one of none gives none', async () => {
    const from = writeFiles({
      'a.avro': packet(1n),
      'b.avro': container([2n, 3n, 4n]),
      'c.avro': container([]),
      'd.avro': Buffer.from('not Avro'),
      'e.avro': container([5n, 6n]).subarray(0, 400),
    })
    const records = await all(await openAt(from))
    assert.deepEqual(
      records.map(({ offset }) => offset),
      [0n, 1n, 2n, 3n, 4n, 5n],
    )
    assert.deepEqual(records[0]?.value, Buffer.from(packet(1n)))
    const split = [2n, 3n, 4n].map((candid) => Buffer.from(container([candid])).toString('hex'))
    assert.deepEqual(
      records.slice(1, 4).map(({ value }) => Buffer.from(value ?? []).toString('hex')),
      split,
    )
    assert.equal(records[5]?.value?.length, 400, 'a damaged file is one record')
  })

  test('goes on exactly where the commit left it, file by file', async () => {
    const from = writeFiles({ ...sized(1, 2, 3, 4, 5), 'f2.avro': container([1n, 2n, 3n]) })
    const whole = await all(await openAt(from))
    assert.equal(whole.length, 7)
    for (let next = 1n; next <= 7n; next++) {
      const first = await openAt(from)
      const source = first
      await all(first)
      await commit(source, next)
      const again = await openAt(from)
      assert.deepEqual((await again.ranges())[0], { topic, partition: 0, low: 0n, high: 7n, next })
      assert.deepEqual(brief(await all(again)), brief(whole.slice(Number(next))), `from ${next}`)
    }
  })

  test('goes on where the commit left each partition of a dump', async () => {
    const from = writeFiles({
      [`${topic}/0/5.avro`]: new Uint8Array(1),
      [`${topic}/0/6.avro`]: new Uint8Array(2),
      [`${topic}/1/5.avro`]: new Uint8Array(3),
      [`${topic}/1/7.avro`]: new Uint8Array(4),
    })
    const source = await openAt(from)
    await all(source)
    await commit(source, 6n, 0)
    await commit(source, 6n, 1)
    await commit(source, 5n, 1)
    const records = await all(await openAt(from))
    assert.deepEqual(brief(records).sort(), [
      [0, 6n, 2],
      [1, 7n, 4],
    ])
  })

  test('puts files that are added later after those that were there', async () => {
    const from = writeFiles({ 'm.avro': new Uint8Array(1), 'p.avro': new Uint8Array(2) })
    const source = await openAt(from)
    await all(source)
    await commit(source, 2n)
    writeFiles({ 'a.avro': new Uint8Array(3), 'z.avro': new Uint8Array(4) })
    const later = await openAt(from)
    assert.deepEqual(brief(await all(later)), [
      [0, 2n, 3],
      [0, 3n, 4],
    ])
    await commit(later, 3n)
    assert.deepEqual(brief(await all(await openAt(from))), [[0, 3n, 4]])
  })

  test('gives each source of a topic a partition of its own', async () => {
    const [one, two] = [writeFiles(sized(1, 2), 'one'), writeFiles(sized(3), 'two')]
    const first = await openAt(one)
    await all(first)
    await commit(first, 2n)
    const second = await openAt(two)
    assert.deepEqual(brief(await all(second)), [[1, 0n, 3]])
    await commit(second, 1n, 1)
    assert.deepEqual(await all(await openAt(one)), [])
  })

  test('watches a folder: what comes is taken once, committed or not', async () => {
    const from = writeFiles({ [`${topic}/0/5.avro`]: new Uint8Array(1) })
    const source = await openAt(from, { watch: true })
    const stop = new AbortController()
    const taken: bigint[] = []
    const timer = setTimeout(() => stop.abort(), 6000)
    for await (const { offset } of source.records(stop.signal)) {
      taken.push(offset)
      // Nothing is committed in between, as if what was read were still under way.
      if (offset < 7n) writeFiles({ [`${topic}/0/${offset + 1n}.avro`]: new Uint8Array(1) })
      else setTimeout(() => stop.abort(), 1200)
    }
    clearTimeout(timer)
    assert.deepEqual(taken, [5n, 6n, 7n])
  })

  test('watches an empty folder without inventing a partition', async () => {
    const from = writeFiles({ 'readme.txt': new Uint8Array(1) })
    const source = await openAt(from, { watch: true })
    const stop = new AbortController()
    setTimeout(() => writeFiles({ [`${topic}/0/1000.avro`]: new Uint8Array(1) }), 100)
    const timer = setTimeout(() => stop.abort(), 6000)
    for await (const { offset } of source.records(stop.signal)) {
      assert.equal(offset, 1000n)
      stop.abort()
    }
    clearTimeout(timer)
    assert.deepEqual(
      (await source.ranges()).map(({ low, high }) => [low, high]),
      [[1000n, 1001n]],
    )
  })

  test('streams an archive, gzipped or not, and goes on where the commit left it', async () => {
    for (const name of ['night.tar.gz', 'night.tgz', 'night.tar', 'od#d %20.tar.gz']) {
      const from = writeArchive(name, {
        'a.avro': new Uint8Array(700),
        'deep/b.avro': container([1n, 2n]),
        'notes.txt': new Uint8Array(50),
        'none.avro': container([]),
        'c.avro': new Uint8Array(1),
      })
      const source = await openAt(from)
      const whole = await all(source)
      const { partition } = whole[0] as SourceRecord
      assert.equal(whole.length, 4, name)
      assert.equal(whole[0]?.timestamp, mtime)
      await commit(source, 2n, partition)
      assert.deepEqual(brief(await all(await openAt(from))), brief(whole.slice(2)))
      await commit(source, 4n, partition)
      assert.deepEqual(await all(await openAt(from)), [])
    }
  })

  test('keeps the coordinates of a dump in an archive', async () => {
    const from = writeArchive('dump.tar.gz', {
      [`${topic}/1/7.avro`]: new Uint8Array(1),
      [`${topic}/0/90.avro`]: new Uint8Array(2),
      [`${topic}/1/9.avro`]: new Uint8Array(3),
    })
    const source = await openAt(from)
    const expected: [number, bigint, number][] = [
      [1, 7n, 1],
      [0, 90n, 2],
      [1, 9n, 3],
    ]
    assert.deepEqual(brief(await all(source)), expected)
    await commit(source, 8n, 1)
    assert.deepEqual(brief(await all(await openAt(from))), expected.slice(1))
  })

  test('refuses an archive whose offsets do not ascend, however often it is tried', async () => {
    const from = writeArchive('mixed-up.tar', {
      [`${topic}/0/8.avro`]: new Uint8Array(1),
      [`${topic}/0/10.avro`]: new Uint8Array(1),
      [`${topic}/0/9.avro`]: new Uint8Array(1),
    })
    for (const _ of [1, 2]) {
      const source = await openAt(from)
      await assert.rejects(all(source), {
        code: 'source_failed',
        message:
          `Cannot take in "${topic}/0/9.avro" of "${from}": it comes after offset 10 of its ` +
          'partition, but offsets must ascend',
      })
      await commit(source, 11n)
      const { progress } = await readProgress(store, topic)
      assert.equal(progress.sources[0]?.ended, false, 'it has not been read to its end')
    }
  })

  test('says that an archive is cut short, after all that could be read', async () => {
    const files = Object.fromEntries(
      Array.from({ length: 40 }, (_, at) => [
        `${String(at).padStart(3, '0')}.avro`,
        Uint8Array.from({ length: 5000 }, (__, i) => (i * i * (at + 7)) % 251),
      ]),
    )
    for (const name of ['cut.tar.gz', 'cut.tar']) {
      const from = writeArchive(name, files)
      const source = await openAt(from)
      truncateSync(from, name.endsWith('gz') ? 8000 : 100_001)
      const records: SourceRecord[] = []
      await assert.rejects(
        async () => {
          for await (const record of source.records(never)) records.push(record)
        },
        {
          code: 'source_failed',
          message: new RegExp(
            `^Cannot read archive "${from}": .*(unexpected end|Unexpected end).*; what was read ` +
              'until there is taken in, the same command goes on from there$',
          ),
        },
      )
      if (name === 'cut.tar') assert.ok(records.length > 10)
    }
  })

  test('takes an archive from a server, and says what the server said', async () => {
    const tar = Buffer.concat([
      tarMember('a.avro', new Uint8Array(10), mtime),
      tarMember('b.avro', new Uint8Array(20), mtime),
      tarEnd,
    ])
    const server = createServer((request, response) => {
      if (request.url === '/night.tar.gz?token=1') response.end(gzipSync(tar))
      else if (request.url === '/broken.tar') {
        response.writeHead(200, { 'content-length': tar.length })
        response.write(tar.subarray(0, 1500), () => response.destroy())
      } else response.writeHead(404).end('no')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    try {
      const source = await openAt(`${base}/night.tar.gz?token=1`)
      assert.deepEqual(brief(await all(source)), [
        [0, 0n, 10],
        [0, 1n, 20],
      ])
      await commit(source, 1n)
      assert.deepEqual(brief(await all(await openAt(`${base}/night.tar.gz?token=1`))), [
        [0, 1n, 20],
      ])
      await assert.rejects(all(await openAt(`${base}/none.tar.gz`)), {
        code: 'source_failed',
        message: /^Cannot .*"http.*\/none\.tar\.gz": .*HTTP 404/,
      })
      await assert.rejects(all(await openAt(`${base}/broken.tar`)), {
        code: 'source_failed',
        message: /^Cannot read archive "http.*\/broken\.tar": .*goes on from there$/,
      })
    } finally {
      server.closeAllConnections()
      server.close()
    }
    await assert.rejects(all(await openAt(`${base}/night.tar.gz`)), {
      code: 'source_failed',
      message: /^Cannot .*"http.*\/night\.tar\.gz": /,
    })
  })

  test('does not read a file that is larger than any packet, and says so', async () => {
    const from = writeFiles({ 'a.avro': new Uint8Array(3), 'b.avro': new Uint8Array(0) })
    truncateSync(join(from, 'b.avro'), (64 << 20) + 1)
    const records = await all(await openAt(from))
    assert.equal(records[0]?.refused, undefined)
    assert.deepEqual(
      [records[1]?.value, records[1]?.refused],
      [null, 'the file has 67108865 bytes, at most 67108864 are taken'],
    )
  })

  test('says which path is not there', async () => {
    const from = join(home.home.path, 'nowhere')
    await assert.rejects(async () => all(await openAt(from)), {
      code: 'source_failed',
      message: new RegExp(`^Cannot .*"${from}": .*ENOENT`),
    })
  })

  test('notes that it was read to its end, until something new comes', async () => {
    const from = writeFiles(sized(1))
    const ended = async (): Promise<boolean | undefined> =>
      (await readProgress(store, topic)).progress.sources[0]?.ended
    const source = await openAt(from)
    for await (const _ of source.records(never)) await commit(source, 0n)
    assert.equal(await ended(), false)
    await commit(source, 1n)
    assert.equal(await ended(), true)
    writeFiles({ 'new.avro': new Uint8Array(1) })
    const later = await openAt(from)
    for await (const _ of later.records(never)) await commit(later, 1n)
    assert.equal(await ended(), false)
  })

  test('refuses to go on beside another process that takes in the same topic', async () => {
    const from = writeFiles(sized(1, 2))
    const [one, two] = [await openAt(from), await openAt(from)]
    await all(one)
    await all(two)
    await commit(one, 1n)
    await assert.rejects(commit(two, 2n), { code: 'home_busy' })
  })

  test('rereadFiles() gives chosen records again, whatever was committed', async () => {
    const folder = writeFiles({ ...sized(1, 2, 3), 'f1.avro': container([1n, 2n]) })
    const dump = writeFiles({ [`${topic}/4/50.avro`]: new Uint8Array(9) }, 'dump')
    const archive = writeArchive('n.tar.gz', sized(7, 8))
    for (const from of [folder, dump, archive]) {
      const source = await openAt(from)
      const whole = await all(source)
      const { partition, offset } = whole.at(-1) as SourceRecord
      await commit(source, offset + 1n, partition)
      const before = await readProgress(store, topic)
      const again: SourceRecord[] = []
      for await (const record of rereadFiles(
        { from, topic, store },
        (each) => each.offset !== 1n,
        never,
      )) {
        again.push(record)
      }
      assert.deepEqual(brief(again), brief(whole.filter((each) => each.offset !== 1n)), from)
      assert.deepEqual(await readProgress(store, topic), before, 'progress stays as it was')
      assert.deepEqual(await all(await openAt(from)), [])
    }
  })
})
