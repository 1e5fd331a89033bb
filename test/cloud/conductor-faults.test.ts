/**
 * A conductor of the cloud that is killed before and after every call that it makes, and two of them at
 * once. Its hands are those of the cloud; the services behind them are in this process, but for the bucket
 * whose compare-and-set decides a race.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createHands } from '../../cli/conductor-hands.ts'
import { topicsMeant } from '../../cli/conducting.ts'
import { openNightCloud } from '../../cli/night-cloud.ts'
import type { World } from '../../cli/world.ts'
import type { CloudGround } from '../../cloud/ground.ts'
import type { CloudMachine } from '../../cloud/machine.ts'
import { openStore } from '../../cloud/store.ts'
import { openStores } from '../../cloud/stores.ts'
import { darkness } from '../../conductor/darkness.ts'
import { createNotices } from '../../conductor/notices.ts'
import { defaultRules } from '../../conductor/rules.ts'
import { nightRecordName, readNightRecord, tick, type Tick } from '../../conductor/tick.ts'
import type { Stream } from '../../consumer/config.ts'
import { parseEnvironment } from '../../core/environment.ts'
import { NightjarError } from '../../core/errors.ts'
import { bucketName, kafkaTopicName } from '../../core/names.ts'
import { intake, readersOf, stagesOf } from '../../core/pipeline.ts'
import type { Store, Table, Topic } from '../../core/ports.ts'
import { memoryStore } from '../memory-store.ts'
import { skipWithoutGcs, startGcs } from './emulators.ts'

const survey = 'ztf'
const minute = 60_000
const at = { survey, project: 'killed', instance: 'rc1' } as const
const environment = parseEnvironment({
  GOOGLE_CLOUD_PROJECT: at.project,
  NIGHTJAR_INSTANCE: at.instance,
  NIGHTJAR_ZONE: 'us-central1-a',
})
const chosen = {
  config: { streams: {} },
  stream: {
    ...{ name: 'ztf', survey, brokers: ['127.0.0.1:9'], clientId: 'nightjar' },
    topics: ['ztf_{night}_programid1'],
  } satisfies Stream,
}

/** What is out there, and what was done to it. */
interface Sky {
  now: number
  store: Store
  /** Records of the Kafka topic of each night. */
  highs: Map<string, bigint>
  committed: Map<string, bigint>
  machine: { state: 'running' | 'stopped'; metadata: Record<string, string>; starts: number }
  pushing: Map<string, boolean>
  /** Occurrences that every stage has accounted for. */
  processed: Map<string, bigint>
  sought: Date[]
  events: { event: string; night: string; to?: string }[]
  /** How many more pulses the conductor that runs has; `null`: it is not killed. */
  pulses: number | null
  /** Done before stages are paused. */
  beforePause(): Promise<void>
}

function newSky(now: number, store: Store = memoryStore()): Sky {
  return {
    now,
    store,
    highs: new Map(),
    committed: new Map(),
    machine: { state: 'stopped', metadata: {}, starts: 0 },
    pushing: new Map(readersOf(survey).map(({ name }) => [name, false])),
    processed: new Map(),
    sought: [],
    events: [],
    pulses: null,
    beforePause: async () => {},
  }
}

/** A process: who is killed never comes back from the call that it makes. */
interface Life {
  dead: Promise<'killed'>
  /** Asked before and after each call. */
  pulse(): Promise<void>
}

function newLife(sky: Sky): Life {
  const end = Promise.withResolvers<'killed'>()
  let alive = true
  return {
    dead: end.promise,
    async pulse() {
      if (alive && sky.pulses !== null && sky.pulses-- === 0) {
        sky.pulses = null
        alive = false
        end.resolve('killed')
      }
      if (!alive) await new Promise<never>(() => {})
    },
  }
}

/** The consumer and the functions do what they can. */
function work({ machine, highs, committed, processed, pushing }: Sky): void {
  const night = machine.metadata['NIGHT'] ?? ''
  if (machine.state === 'running') committed.set(night, highs.get(night) ?? 0n)
  if (![...pushing.values()].every((on) => on)) return
  for (const [one, high] of committed) processed.set(one, high)
}

/** The ground of the cloud, with a pulse before and after whatever is asked of it. */
function groundIn(sky: Sky, { pulse }: Life): CloudGround {
  async function call<T>(does: () => T | Promise<T>): Promise<T> {
    await pulse()
    const answer = await does()
    await pulse()
    return answer
  }
  const topic: Topic = {
    publish: ({ data }) =>
      call(() => {
        sky.events.push(JSON.parse(Buffer.from(data).toString()) as Sky['events'][number])
        return String(sky.events.length)
      }),
    close: async () => {},
  }
  const { store } = sky
  const bucket: Store = {
    create: (...words) => call(() => store.create(...words)),
    replace: (...words) => call(() => store.replace(...words)),
    read: (name) => call(() => store.read(name)),
    async *list(prefix) {
      await call(() => {})
      yield* store.list(prefix)
    },
  }
  const table: Pick<Table, 'query' | 'close'> = {
    async *query(sql) {
      await call(() => {})
      if (sql.includes('FROM alerts')) throw new NightjarError('input_invalid', 'no such table')
      const night = /night = '(\d+)'/.exec(sql)?.[1] ?? ''
      if (!sql.includes('span = 1')) return
      const rows = [
        [intake, 'published', sky.committed.get(night) ?? 0n],
        ...stagesOf(survey).map((stage) => [
          stage,
          stage === 'exgalac' ? 'filtered' : 'stored',
          stage === 'salt2' ? 0n : (sky.processed.get(night) ?? 0n),
        ]),
      ] as [string, string, bigint][]
      for (const [stage, outcome, count] of rows) {
        if (count === 0n) continue
        const place = { kafka_topic: kafkaTopicName(survey, night), kafka_partition: 0n }
        yield { stage, outcome, ...place, word: 0n, bits: (1n << count) - 1n }
      }
    },
    close: async () => {},
  }
  const machine: CloudMachine = {
    start: (metadata) =>
      call(() => {
        if (sky.machine.state === 'running') return
        sky.machine = {
          state: 'running',
          metadata: { ...metadata },
          starts: sky.machine.starts + 1,
        }
      }),
    stop: () => call(() => void (sky.machine.state = 'stopped')),
    state: () => call(() => sky.machine.state),
    metadata: () =>
      call(() => (sky.machine.state === 'stopped' ? undefined : sky.machine.metadata)),
    powerOff: async () => assert.fail('this is not the machine of a conductor'),
  }
  return {
    at,
    topic: async () => topic,
    topicNamed: async () => topic,
    subscription: async () => assert.fail('nothing is pulled'),
    bucket: async () => bucket,
    hasReader: async () => assert.fail('nobody adds a filter'),
    makeFilterTopic: async () => assert.fail('nobody adds a filter'),
    table: async () => ({ ...table, append: () => assert.fail('nothing is stored') }),
    queries: async () => assert.fail('no analyst asks'),
    setPush: (_, reader, on) =>
      call(async () => {
        if (!on) await sky.beforePause()
        sky.pushing.set(reader, on)
        return on ? 'pushing' : 'paused'
      }),
    seek: (_, __, instant) => call(() => void sky.sought.push(instant)),
    machine: async () => machine,
    close: async () => {},
  }
}

let processes = 0

const rules = { ...defaultRules, gate: 10 * minute, stable: 20 * minute }

/** One tick of a process of its own. */
async function tickOf(sky: Sky, night: string, boots = true): Promise<Tick | 'killed'> {
  const life = newLife(sky)
  const ground = groundIn(sky, life)
  const { signal } = new AbortController()
  const world: World = {
    ...{ out() {}, err() {}, tty: false, columns: 80, env: {}, signal, exit() {} },
    now: () => new Date(sky.now),
    openCloud: async () => ground,
  }
  const log = (): void => {}
  const place = await openNightCloud(world, environment, '/nowhere', chosen)
  const { store } = place
  const now = (): number => sky.now
  const hands = await createHands({
    ...{ place, rules, log, signal, now: world.now, summary: false, boots },
    notices: createNotices({ store, channels: [], log, now }),
    topicsOf: (of) => [kafkaTopicName(survey, of)],
    async probe(topic) {
      const high = sky.highs.get(night) ?? 0n
      if (high === 0n) return { topic, state: 'absent', partitions: [] }
      const committed = sky.committed.get(night)
      const partition = {
        partition: 0,
        low: 0n,
        high,
        ...(committed !== undefined && { committed }),
      }
      return { topic, state: 'has data', partitions: [partition] }
    },
  })
  const owner = `process ${++processes}`
  const done = tick({ survey, night, store, hands, log, owner, now, rules })
  return Promise.race([done, life.dead])
}

const night = '20261121'
const dusk = darkness(survey, night).dusk.getTime()
const dawn = darkness(survey, night).dawn.getTime()
const stateOf = async (sky: Sky, of = night): Promise<string> =>
  (await readNightRecord(sky.store, survey, of, sky.now)).record.state

/** A whole night, ticks being farther apart than the lease of one that died; answers how many died. */
async function wholeNight(sky: Sky): Promise<number> {
  let killed = 0
  const times = [dusk - 60 * minute, dusk - 40 * minute, dusk + 60 * minute, dusk + 80 * minute]
  for (let ticks = 1; ticks <= 20; ticks++) times.push(dawn + ticks * 12 * minute)
  for (const time of times) {
    sky.now = time
    if (time > dusk) sky.highs.set(night, time < dawn ? 10n : 20n)
    if ((await tickOf(sky, night)) === 'killed') killed++
    work(sky)
  }
  return killed
}

async function namesIn(store: Store, prefix: string): Promise<string[]> {
  const names: string[] = []
  for await (const { name } of store.list(prefix)) names.push(name)
  return names
}

async function checkClosed(sky: Sky, what: string): Promise<void> {
  const { record } = await readNightRecord(sky.store, survey, night, sky.now)
  assert.equal(record.state, 'complete', what)
  assert.deepEqual(record.pending, [], what)
  assert.deepEqual(record.alarms, [], what)
  assert.deepEqual(sky.machine, { ...sky.machine, state: 'stopped', starts: 1 }, what)
  assert.deepEqual(sky.machine.metadata, { NIGHT: night, KAFKA_TOPIC: `ztf_${night}_programid1` })
  assert.ok(![...sky.pushing.values()].some((on) => on), `${what}: the stages are paused`)
  assert.equal(sky.processed.get(night), 20n, what)
  assert.equal((await namesIn(sky.store, `audit/ztf_${night}/`)).length, 1, what)
  const reports = await namesIn(sky.store, `report/ztf_${night}/`)
  assert.ok(
    reports.some((name) => name.endsWith('.html')),
    what,
  )
  assert.equal(new Set(sky.sought.map((instant) => instant.getTime())).size, 1, what)
  assert.deepEqual(
    [...new Set(sky.events.map(({ event, to }) => to ?? event))],
    ['waiting', 'running', 'draining', 'auditing', 'complete', 'night_reported'],
    what,
  )
}

test('a conductor in the cloud that is killed before and after each of its calls leaves a night that closes', async () => {
  let kills = 0
  for (let pulses = 0; ; pulses++) {
    const sky = newSky(dusk)
    sky.pulses = pulses
    const killed = await wholeNight(sky)
    await checkClosed(sky, `killed at ${pulses}`)
    if (killed === 0) break
    kills++
  }
  assert.ok(kills > 100, `it was killed at ${kills} places`)
})

test('with KAFKA_TOPIC=NONE a night is conducted and proven, and no consumer is started or stopped', async () => {
  const sky = newSky(dusk)
  const tickAt = async (time: number): Promise<string> => {
    sky.now = time
    const done = await tickOf(sky, night, false)
    assert.ok(done !== 'killed')
    assert.deepEqual(done.left, [])
    return done.record.state
  }
  assert.equal(await tickAt(dusk - 60 * minute), 'waiting')
  assert.ok(
    [...sky.pushing.values()].every((on) => on),
    'the stages receive, whenever somebody publishes',
  )
  sky.highs.set(night, 10n)
  assert.equal(await tickAt(dusk + 60 * minute), 'running')
  assert.equal(await tickAt(dusk + 80 * minute), 'running')
  // Somebody else reads the topic, on a machine that nobody told of the night.
  sky.machine = { state: 'running', metadata: {}, starts: 0 }
  sky.committed.set(night, 10n)
  work(sky)
  for (let ticks = 1; ticks <= 8; ticks++) await tickAt(dawn + ticks * 12 * minute)
  const { record } = await readNightRecord(sky.store, survey, night, sky.now)
  assert.equal(record.state, 'complete')
  assert.deepEqual(record.alarms, [])
  assert.deepEqual(sky.machine, { state: 'running', metadata: {}, starts: 0 })
  assert.ok(![...sky.pushing.values()].some((on) => on))
})

test('KAFKA_TOPIC tells the topics, nothing the stream’s, and NONE that no consumer is started', () => {
  const meant = (told?: string, kafkaTopic?: string[]) =>
    topicsMeant(
      { env: told === undefined ? {} : { KAFKA_TOPIC: told } },
      kafkaTopic === undefined ? {} : { kafkaTopic },
    )
  assert.deepEqual(meant(), { boots: true })
  assert.deepEqual(meant(' , '), { boots: true })
  assert.deepEqual(meant('a, b'), { topics: ['a', 'b'], boots: true })
  assert.deepEqual(meant('NONE'), { boots: false })
  assert.deepEqual(meant('NONE', ['a']), { topics: ['a'], boots: true })
  assert.deepEqual(meant('a', ['NONE']), { boots: false })
  assert.throws(() => meant('NONE,a'), /Cannot take Kafka topics "NONE,a": NONE stands for no/)
})

test(
  'two ticks at once: one acts, by the generation of the record in the bucket',
  {
    skip: skipWithoutGcs,
  },
  async () => {
    const gcs = await startGcs()
    try {
      const stores = openStores({ project: at.project, emulator: gcs.host })
      await stores.storage.createBucket(bucketName(at, 'broker_files'))
      const sky = newSky(dusk, await openStore(stores, bucketName(at, 'broker_files')))
      const acted: string[] = []
      for (const time of [dusk - 60 * minute, dusk + 60 * minute, dusk + 80 * minute]) {
        sky.now = time
        if (time > dusk) sky.highs.set(night, 10n)
        const ticks = await Promise.all([1, 2, 3].map(() => tickOf(sky, night)))
        const outcomes = ticks.map((one) => (one === 'killed' ? one : one.outcome)).sort()
        assert.deepEqual(outcomes, ['done', 'lost', 'lost'])
        for (const one of ticks) if (one !== 'killed') acted.push(...one.done.map((a) => a.do))
        work(sky)
      }
      assert.deepEqual(acted, [
        ...['announce', 'reset_counters'],
        ...['announce', 'attach_stages', 'start_consumer'],
      ])
      assert.equal(sky.machine.starts, 1)
      // The lease of a tick that is killed keeps the others out, and lapses.
      sky.now += 20 * minute
      sky.pulses = 4
      assert.equal(await tickOf(sky, night), 'killed')
      const next = await tickOf(sky, night)
      assert.equal(next === 'killed' ? next : next.outcome, 'lost')
      sky.now += 11 * minute
      const later = await tickOf(sky, night)
      assert.equal(later === 'killed' ? later : later.outcome, 'done')
    } finally {
      await gcs.kill()
    }
  },
)

/** Another night, as far as it is. */
async function begin(sky: Sky, other: string): Promise<void> {
  const { record, generation } = await readNightRecord(sky.store, survey, other, sky.now)
  const data = Buffer.from(JSON.stringify({ ...record, state: 'running' }))
  await sky.store.replace(nightRecordName(survey, other), data, generation)
}

test('a night that closes does not pause the stages of one that runs', async () => {
  const sky = newSky(dusk)
  await begin(sky, '20261122')
  await wholeNight(sky)
  assert.equal(await stateOf(sky), 'complete')
  assert.ok([...sky.pushing.values()].every((on) => on))
  assert.equal(sky.machine.state, 'stopped', 'its own machine is')
})

test('nor of one that begins while it pauses them', async () => {
  const sky = newSky(dusk)
  let begun = false
  sky.beforePause = async () => {
    if (begun) return
    begun = true
    // Written first, then attached; and only then comes the pause of the other.
    await begin(sky, '20261122')
    for (const name of sky.pushing.keys()) sky.pushing.set(name, true)
  }
  await wholeNight(sky)
  assert.ok(begun)
  assert.equal(await stateOf(sky), 'complete')
  assert.ok([...sky.pushing.values()].every((on) => on))
})

test('the machine of a night that runs is not taken for another, nor stopped by it', async () => {
  const sky = newSky(dusk)
  sky.now = dusk
  await begin(sky, '20261120')
  sky.machine = { state: 'running', metadata: { NIGHT: '20261120' }, starts: 1 }
  sky.highs.set(night, 10n)
  await tickOf(sky, night)
  const done = await tickOf(sky, night)
  assert.deepEqual(done === 'killed' ? done : done.left.map((action) => action.do), [
    'start_consumer',
  ])
  assert.equal(sky.machine.metadata['NIGHT'], '20261120')
  // Its end makes room.
  const { record, generation } = await readNightRecord(sky.store, survey, '20261120', sky.now)
  const data = Buffer.from(JSON.stringify({ ...record, state: 'complete' }))
  await sky.store.replace(nightRecordName(survey, '20261120'), data, generation)
  await tickOf(sky, night)
  assert.equal(sky.machine.metadata['NIGHT'], night)
  assert.equal(sky.machine.starts, 2)
})
