/**
 * A world small enough to try out thousands of times: one Kafka topic of two partitions, a consumer,
 * two stages, a conductor's store, and a clock that only the test moves. What can go wrong in it is
 * what goes wrong in nights: no topic, late topics, pauses, dumps, replays, Kafka away, a consumer
 * that dies, a stage that loses or is dead, retention, conductors that are killed or race.
 */
import type { Store } from '../../core/ports.ts'
import type { Action, Ends, NightRecord } from '../../conductor/night-record.ts'
import type { Observations } from '../../conductor/step.ts'
import type { Hands } from '../../conductor/tick.ts'
import { memoryStore } from '../memory-store.ts'

export const topic = 'ztf_20261121_programid1'
export const stageNames = ['archive', 'exgalac'] as const

export class Killed extends Error {}

export interface Closing {
  state: 'complete' | 'incomplete'
  at: number
  /** What Kafka held and no stage had accounted for, when the conductor last looked. */
  owed: number
}

/** Of each partition, of each offset: whether. A late dump has 90,000, and every tick looks at all. */
type Marks = boolean[][]

const isMarked = (marks: Marks | undefined, partition: number, offset: number): boolean =>
  marks?.[partition]?.[offset] === true

function mark(marks: Marks | undefined, partition: number, offset: number): void {
  if (marks !== undefined) (marks[partition] ??= [])[offset] = true
}

export interface World {
  now: number
  /** `null`: no topic. */
  highs: number[] | null
  lows: number[]
  reachable: boolean
  consumer: 'running' | 'stopped'
  committed: number[]
  attached: boolean
  dead: Set<string>
  /** Occurrences that a stage has accounted for. */
  processed: Map<string, Marks>
  /** What a stage has swallowed without a word: only a replay brings it back. */
  swallowed: Map<string, Marks>
  /** Occurrences that retention deleted before the consumer came: nobody ever has them. */
  lost: Marks
  store: Store
  closings: Closing[]
  acts: string[]
  alarms: string[]
  /** Dies at this many calls of a hand from now; `null` never. */
  killIn: number | null
  /** What is asked before each call of a hand; a test hangs its races here. */
  pause(): Promise<void>
}

export function createWorld(now: number): World {
  return {
    now,
    highs: null,
    lows: [0, 0],
    reachable: true,
    consumer: 'stopped',
    committed: [0, 0],
    attached: false,
    dead: new Set(),
    processed: new Map(stageNames.map((name) => [name, []])),
    swallowed: new Map(stageNames.map((name) => [name, []])),
    lost: [],
    store: memoryStore(),
    closings: [],
    acts: [],
    alarms: [],
    killIn: null,
    pause: async () => {},
  }
}

/** Alerts appear on the topic. */
export function produce(world: World, count: number): void {
  world.highs ??= [0, 0]
  for (let i = 0; i < count; i++) {
    const partition = i % 2
    world.highs[partition] = (world.highs[partition] ?? 0) + 1
  }
}

/** Consumer and stages do what they can. `loses` occurrences are swallowed by a stage. */
export function work(world: World, loses = 0): void {
  const { highs } = world
  if (world.consumer === 'running' && world.reachable && highs !== null) {
    for (const [partition, low] of world.lows.entries()) {
      for (let offset = world.committed[partition] ?? 0; offset < low; offset++) {
        mark(world.lost, partition, offset)
      }
    }
    world.committed = highs.map((high, partition) =>
      Math.max(high, world.committed[partition] ?? 0),
    )
  }
  if (!world.attached) return
  let left = loses
  for (const name of stageNames) {
    if (world.dead.has(name)) continue
    const done = world.processed.get(name)
    const gone = world.swallowed.get(name)
    for (const [partition, received] of world.committed.entries()) {
      for (let offset = 0; offset < received; offset++) {
        if (isMarked(world.lost, partition, offset)) continue
        if (isMarked(done, partition, offset) || isMarked(gone, partition, offset)) continue
        mark(left-- > 0 ? gone : done, partition, offset)
      }
    }
  }
}

/** How many occurrences below the given ends, or below all that exist, some stage does not account for. */
export function owed(world: World, ends: readonly Ends[] = endsOf(world)): number {
  let count = 0
  for (const [partition, received] of world.committed.entries()) {
    const end = ends.find((each) => each.partition === partition)
    const reached = Math.max(Number(end?.high ?? 0), received)
    for (const name of stageNames) {
      const done = world.processed.get(name)
      for (let offset = 0; offset < reached; offset++) {
        if (!isMarked(done, partition, offset)) count++
      }
    }
  }
  return count
}

/** What one conductor sees and does in this world. */
export function handsIn(world: World): Hands {
  let owedWhenSeen = 0
  async function call(): Promise<void> {
    await world.pause()
    if (world.killIn !== null && world.killIn-- <= 0) {
      world.killIn = null
      throw new Killed('killed')
    }
  }
  return {
    async observe(record, wants) {
      await call()
      owedWhenSeen = owed(world)
      const seen: Observations = { consumer: world.consumer }
      if (world.reachable) {
        seen.topic = { state: stateOf(world), ends: endsOf(world) }
        seen.committed = Object.fromEntries(
          world.committed.map((at, partition) => [`${topic}/${partition}`, String(at)]),
        )
      }
      if (wants.audit) seen.audit = auditOf(world, record)
      return seen
    },
    async act(action) {
      await call()
      act(world, action, owedWhenSeen)
      await call()
    },
  }
}

function act(world: World, action: Action, owedWhenSeen: number): void {
  world.acts.push(action.do)
  switch (action.do) {
    case 'attach_stages':
      world.attached = true
      break
    case 'detach_stages':
      world.attached = false
      break
    case 'start_consumer':
      world.consumer = 'running'
      break
    case 'stop_consumer':
      world.consumer = 'stopped'
      break
    case 'replay_missing':
      for (const gone of world.swallowed.values()) gone.length = 0
      break
    case 'close':
      world.closings.push({ state: action.state, at: world.now, owed: owedWhenSeen })
      break
    case 'alarm':
      world.alarms.push(action.key)
      break
    case 'announce':
    case 'reset_counters':
    case 'report':
    case 'power_off':
      break
  }
}

function stateOf(world: World): NonNullable<Observations['topic']>['state'] {
  const ends = endsOf(world)
  if (world.highs === null) return 'absent'
  if (ends.some(({ low, high }) => low !== high)) return 'has_data'
  return ends.some(({ high }) => high !== '0') ? 'expired' : 'empty'
}

function endsOf({ highs, lows }: World): Ends[] {
  return (highs ?? []).map((high, partition) => ({
    topic,
    partition,
    low: String(lows[partition] ?? 0),
    high: String(high),
  }))
}

/** The audit covers what Kafka tells, and where Kafka is silent what was received. */
function auditOf(world: World, record: NightRecord): NonNullable<Observations['audit']> {
  const known = world.reachable && world.highs !== null ? endsOf(world) : record.ends
  const missing = owed(world, known)
  return { ends: known, missing, missingText: `${missing} are missing`, digest: String(missing) }
}
