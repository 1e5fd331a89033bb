import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { createIntake, type IntakeOptions } from '../../consumer/intake.ts'
import type { Relay } from '../../consumer/relay.ts'
import type {
  PartitionRange,
  Position,
  Source,
  SourceItem,
  SourceRecord,
} from '../../consumer/source.ts'
import { record } from './packet.ts'

interface FakeSource extends Source {
  commits: Position[]
}

/** A source of these records, which then waits for the signal if it is to live. */
function sourceOf(
  given: readonly SourceRecord[],
  { live = false, ranges = [] as PartitionRange[], commit = async () => {} } = {},
): FakeSource {
  const commits: Position[] = []
  return {
    commits,
    async *records(signal) {
      for (const each of given) {
        if (signal.aborted) return
        yield each
      }
      if (live && !signal.aborted) {
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
      }
    },
    async commit(positions) {
      await commit()
      commits.push(...positions)
    },
    ranges: async () => ranges,
    async close() {},
  }
}

const some = (count: number, bytes = 100, rest: Partial<SourceRecord> = {}): SourceRecord[] =>
  Array.from({ length: count }, (_, at) =>
    record(BigInt(at), { value: new Uint8Array(bytes), ...rest }),
  )

const never = new AbortController().signal

function make(options: Partial<IntakeOptions> & { source: Source; relay: Relay }) {
  return createIntake({ log: () => {}, commitMs: 20, ...options })
}

suite('createIntake()', () => {
  test('takes in all that there is, and commits its end', async () => {
    const source = sourceOf([...some(50), ...some(30, 10, { partition: 4 })])
    const taken: string[] = []
    const intake = make({
      source,
      relay: async ({ partition, offset }) => {
        taken.push(`${partition}@${offset}`)
        await pause(1)
        return partition === 4 ? 'rejected' : 'published'
      },
    })
    await intake.run(never)
    assert.equal(new Set(taken).size, 80)
    assert.deepEqual(intake.counts(), {
      records: 80,
      bytes: 5300,
      inFlight: 0,
      bytesInFlight: 0,
      outcomes: { published: 50, rejected: 30 },
    })
    const last = (partition: number): bigint | undefined =>
      source.commits.findLast((position) => position.partition === partition)?.next
    assert.deepEqual([last(3), last(4)], [50n, 30n])
  })

  test('never has more records or bytes under way than it may, but takes a larger one alone', async () => {
    const sizes = [100, 400, 500, 2000, 300, 300, 300, 300, 1000, 1, 1, 1, 1, 1, 1, 999]
    const given = sizes.map((size, at) => record(BigInt(at), { value: new Uint8Array(size) }))
    let out = 0
    let bytes = 0
    const most = { out: 0, bytes: 0, alone: true }
    const intake = make({
      source: sourceOf(given),
      maxInFlight: 4,
      maxBytesInFlight: 1000,
      relay: async (item) => {
        const size = item.kind === 'gap' ? 0 : (item.value?.length ?? 0)
        bytes += size
        most.out = Math.max(most.out, ++out)
        if (out > 1) most.bytes = Math.max(most.bytes, bytes)
        await pause(3)
        out--
        bytes -= size
        return 'published'
      },
    })
    await intake.run(never)
    assert.equal(intake.counts().records, sizes.length)
    assert.equal(most.out, 4)
    assert.ok(most.bytes <= 1000, `${most.bytes} bytes were under way`)
  })

  test('what hangs ends the intake, and its offset is not committed', async () => {
    const source = sourceOf(some(20), { live: true })
    const intake = make({
      source,
      deadlineMs: 100,
      relay: ({ offset }) =>
        offset === 5n ? new Promise<never>(() => {}) : Promise.resolve('published'),
    })
    await assert.rejects(
      intake.run(never),
      /Cannot go on: ztf_20261121_programid1\[3\]@5 is under way for more than 0.1 s/,
    )
    assert.equal(source.commits.at(-1)?.next, 5n)
  })

  test('a partition that starts anew forgets what was under way, and a gap is an account', async () => {
    const gate = Promise.withResolvers<void>()
    const [first, second] = some(2)
    const at = { topic: 'ztf_20261121_programid1', partition: 3 }
    const items: SourceItem[] = [
      first as SourceRecord,
      second as SourceRecord,
      { kind: 'start', ...at, offset: 40n },
      { kind: 'gap', ...at, offset: 40n, span: 5n },
      record(45n),
    ]
    const commits: Position[] = []
    const intake = make({
      source: {
        async *records() {
          yield* items
        },
        commit: async (positions) => void commits.push(...positions),
        ranges: async () => [],
        close: async () => {},
      },
      relay: async (item) => {
        if (item.offset === 0n) await gate.promise
        return item.kind === 'gap' ? 'gap' : 'published'
      },
    })
    const running = intake.run(never)
    await pause(80)
    assert.equal(commits.at(-1)?.next, 46n, 'what was under way before does not hold it back')
    gate.resolve()
    await running
    assert.equal(commits.at(-1)?.next, 46n)
    assert.deepEqual(intake.counts().outcomes, { published: 3, gap: 1 })
  })

  test('commits only what is contiguous', async () => {
    const gate = Promise.withResolvers<void>()
    const source = sourceOf(some(20), { live: true })
    const stop = new AbortController()
    const intake = make({
      source,
      relay: async ({ offset }) => {
        if (offset === 7n) await gate.promise
        return 'published'
      },
    })
    const running = intake.run(stop.signal)
    while (intake.counts().inFlight !== 1 || intake.counts().records < 20) await pause(5)
    await pause(60)
    assert.equal(source.commits.at(-1)?.next, 7n)
    gate.resolve()
    await pause(60)
    assert.equal(source.commits.at(-1)?.next, 20n)
    stop.abort()
    await running
  })

  test('goes on from what is committed, and tells the gap to the relay', async () => {
    const ranges = [{ topic: record(0n).topic, partition: 3, low: 0n, high: 20n, next: 10n }]
    const gaps: [bigint, bigint | undefined][] = []
    const source = sourceOf([record(12n), record(13n), record(20n)], { ranges })
    const intake = make({
      source,
      relay: async ({ offset }, gap) => {
        gaps.push([offset, gap])
        return 'published'
      },
    })
    await intake.run(never)
    assert.deepEqual(gaps, [
      [12n, 2n],
      [13n, 0n],
      [20n, 6n],
    ])
    assert.equal(source.commits.at(-1)?.next, 21n)
  })

  test('stops at a failure, commits what is done before it, and throws it', async () => {
    for (const live of [false, true]) {
      const source = sourceOf(some(2000), { live })
      const failure = new Error('the disk is full')
      let last = 0n
      const intake = make({
        source,
        maxInFlight: 10,
        relay: async ({ offset }) => {
          last = offset
          await pause(1)
          if (offset === 25n) throw failure
          return 'published'
        },
      })
      await assert.rejects(intake.run(never), failure)
      assert.ok(last < 100n, `it went on to ${last}`)
      assert.ok((source.commits.at(-1)?.next ?? 0n) <= 25n)
    }
  })

  test('does not wait for the next record of a live source to notice a failure', async () => {
    const intake = make({
      source: sourceOf(some(1), { live: true }),
      relay: async () => {
        await pause(10)
        throw new Error('late')
      },
    })
    const began = performance.now()
    await assert.rejects(intake.run(AbortSignal.timeout(5000)), { message: 'late' })
    assert.ok(performance.now() - began < 4000)
  })

  test('throws where a commit fails', async () => {
    const source = sourceOf(some(5), {
      live: true,
      commit: () => Promise.reject(new Error('another process takes it in, too')),
    })
    const intake = make({ source, relay: async () => 'published' })
    await assert.rejects(intake.run(AbortSignal.timeout(5000)), /another process/)
  })

  test('takes in what a source gave before it failed', async () => {
    const given = some(30)
    const source: FakeSource = {
      ...sourceOf(given),
      async *records() {
        yield* given
        throw new Error('the archive is cut short')
      },
    }
    let done = 0
    const intake = make({
      source,
      relay: async () => {
        await pause(40)
        done++
        return 'published'
      },
    })
    await assert.rejects(intake.run(never), /cut short/)
    assert.equal(done, 30)
    assert.equal(source.commits.at(-1)?.next, 30n)
  })

  test('finishes what is under way when it is told to stop', async () => {
    const stop = new AbortController()
    const source = sourceOf(some(500), { live: true })
    let done = 0
    const intake = make({
      source,
      maxInFlight: 8,
      relay: async () => {
        await pause(10)
        if (++done === 20) stop.abort()
        return 'published'
      },
    })
    await intake.run(stop.signal)
    const { records, inFlight } = intake.counts()
    assert.equal(inFlight, 0)
    assert.equal(done, records)
    assert.ok(records < 60)
    assert.equal(source.commits.at(-1)?.next, BigInt(records))
  })

  test('holds to the rate that it is given', async () => {
    const began = performance.now()
    await make({ source: sourceOf(some(60)), rate: 200, relay: async () => 'published' }).run(never)
    assert.ok(performance.now() - began > 150)
  })
})
