import assert from 'node:assert/strict'
import { test } from 'node:test'

import { darkness } from '../../conductor/darkness.ts'
import type { NightState } from '../../conductor/night-record.ts'
import { defaultRules as rules } from '../../conductor/rules.ts'
import { readNightRecord, tick, type Tick } from '../../conductor/tick.ts'
import { nightOfDate } from '../../core/night.ts'
import { createRandom, type Random } from '../../simulator/random.ts'
import { createWorld, handsIn, Killed, owed, produce, work, type World } from './night-model.ts'

const survey = 'ztf'
const hour = 3_600_000
const quarter = hour / 4
const log = (): void => {}

interface Night {
  world: World
  night: string
  dusk: number
  dawn: number
  random: Random
}

/** What happens in a kind of night, each quarter of an hour, and how it has to end. */
interface Kind {
  each(night: Night): void
  /** Ends of the night, in order. */
  ends: readonly NightState[]
  alarms?: readonly string[]
  /** Clocks of the conductors that tick at once, by how much they are ahead. */
  clocks?: readonly number[]
}

const isDark = ({ world: { now }, dusk, dawn }: Night): boolean => now >= dusk && now < dawn
const shine = (night: Night): void => void (isDark(night) && produce(night.world, 2))
/** True in the one quarter of an hour that begins then. */
const isAt = ({ world: { now } }: Night, then: number): boolean =>
  now >= then && now < then + quarter

const kinds: Record<string, Kind> = {
  clear: { each: shine, ends: ['complete'] },
  'clouds, no topic': { each: () => {}, ends: ['no_alerts'] },
  'a topic that stays empty': {
    each: (night) => void (isDark(night) && produce(night.world, 0)),
    ends: ['no_alerts'],
  },
  'half a night': {
    each: (night) => void (night.world.now < (night.dusk + night.dawn) / 2 && shine(night)),
    ends: ['complete'],
  },
  'the producer pauses for two hours': {
    each(night) {
      const { now } = night.world
      if (now < night.dusk + 3 * hour || now > night.dusk + 5 * hour) shine(night)
    },
    ends: ['complete'],
  },
  'a late dump': {
    each(night) {
      shine(night)
      if (isAt(night, night.dawn + 9 * hour)) produce(night.world, 90)
    },
    ends: ['complete', 'complete'],
  },
  'the whole night once more': {
    each(night) {
      shine(night)
      const count = (night.world.highs ?? []).reduce((sum, high) => sum + high, 0)
      if (isAt(night, night.dawn + 14 * hour)) produce(night.world, count)
    },
    ends: ['complete', 'complete'],
  },
  'the conductor is killed again and again': {
    each(night) {
      shine(night)
      if (night.random.whole(3) === 0) night.world.killIn = night.random.whole(9)
    },
    ends: ['complete'],
  },
  'two conductors': { each: shine, ends: ['complete'], clocks: [0, 0] },
  'a clock an hour ahead': { each: shine, ends: ['complete'], clocks: [hour] },
  'a clock an hour behind': { each: shine, ends: ['complete'], clocks: [-hour] },
  'Kafka is away at dusk': {
    each(night) {
      shine(night)
      night.world.reachable = Math.abs(night.world.now - night.dusk) > 2 * hour
    },
    ends: ['complete'],
  },
  'a stage is dead all night': {
    each(night) {
      shine(night)
      const { world, dawn } = night
      if (world.now < dawn + 9 * hour) world.dead.add('exgalac')
      else world.dead.delete('exgalac')
    },
    ends: ['incomplete', 'complete'],
    alarms: ['incomplete'],
  },
  'a stage swallows some': {
    each(night) {
      shine(night)
      if (isAt(night, night.dusk + 4 * hour)) work(night.world, 3)
    },
    ends: ['complete'],
  },
  'the consumer dies': {
    each(night) {
      shine(night)
      if (night.random.whole(12) === 0) night.world.consumer = 'stopped'
    },
    ends: ['complete'],
    alarms: ['consumer_stopped'],
  },
  'retention runs out before the consumer comes': {
    each(night) {
      const { world, dusk } = night
      shine(night)
      // From its second hour on nothing is taken in any more, and in the morning all is gone.
      world.reachable = world.now < dusk + 2 * hour || world.now > night.dawn
      if (world.highs !== null && world.now > night.dawn) world.lows = [...world.highs]
    },
    ends: ['incomplete'],
    alarms: ['incomplete'],
  },
}

/** The first night of a year, and how many. */
const firstNight = Date.UTC(2026, 0, 1)
const nights = Number(process.env['NIGHT_YEAR'] ?? 365)

test(`each of ${nights} nights ends in its right state, by its deadlines, with nothing missing`, async () => {
  const names = Object.keys(kinds)
  const random = createRandom(nights)
  let begunTheDayBefore = 0
  const seen = new Set<string>()
  for (let day = 0; day < nights; day++) {
    const night = nightOfDate(new Date(firstNight + day * 24 * hour))
    const name = day < names.length ? (names[day] ?? '') : random.pick(names)
    seen.add(name)
    const dark = darkness(survey, night)
    const [dusk, dawn] = [dark.dusk.getTime(), dark.dawn.getTime()]
    const world = createWorld(dusk - 3 * hour)
    if (nightOfDate(new Date(world.now)) !== night) begunTheDayBefore++
    await runNight({ world, night, dusk, dawn, random }, name)
  }
  assert.equal(seen.size, Math.min(names.length, nights))
  // Palomar's dusk is an hour or more after 00:00 UTC: its nights begin on another date than they have.
  if (nights === 365) assert.ok(begunTheDayBefore > 100, `${begunTheDayBefore}`)
})

async function runNight(night: Night, name: string): Promise<void> {
  const { world, dawn } = night
  const kind = kinds[name]
  assert.ok(kind)
  const what = `${night.night}, ${name}`
  const ends: NightState[] = []
  while (world.now < dawn + 24 * hour) {
    world.now += quarter
    kind.each(night)
    work(world)
    const clocks = kind.clocks ?? [0]
    const ticks = await Promise.all(clocks.map((skew, i) => tickOf(night, skew, i)))
    const done = ticks.find((one) => one?.outcome === 'done')
    if (done === undefined) continue
    const { deadline } = done.record
    const clock = world.now + (clocks[0] ?? 0)
    assert.ok(deadline === null || clock <= deadline, `${what}: past its deadline`)
    for (const closing of world.closings) {
      assert.ok(closing.state !== 'complete' || closing.owed === 0, `${what}: closed early`)
    }
    ends.push(...done.done.flatMap((act) => (act.do === 'announce' ? endOf(act.move.to) : [])))
  }
  const { record } = await readNightRecord(world.store, survey, night.night, world.now)
  assert.deepEqual(
    record.history.flatMap(({ to }) => endOf(to)),
    kind.ends,
    what,
  )
  if (name !== 'the conductor is killed again and again') assert.deepEqual(ends, kind.ends, what)
  assert.deepEqual(
    [...new Set(world.alarms)].filter((key) => kind.alarms?.includes(key) !== true),
    [],
    what,
  )
  assert.equal(world.consumer, 'stopped', what)
  if (kind.ends.at(-1) === 'complete') assert.equal(owed(world), 0, what)
  if (name === 'clear') {
    const acts = world.acts.filter((act) => act !== 'announce')
    assert.equal(
      new Set(acts).size,
      acts.length,
      `${what}: something was done twice: ${acts.join()}`,
    )
  }
}

const endOf = (state: NightState): NightState[] =>
  ['complete', 'incomplete', 'no_alerts', 'failed'].includes(state) ? [state] : []

let runs = 0

/** A tick of a process of its own; undefined where it was killed. */
async function tickOf({ world, night }: Night, skew = 0, which = 0): Promise<Tick | undefined> {
  const now = (): number => world.now + skew
  const { store } = world
  const owner = `conductor ${++runs}.${which}`
  try {
    return await tick({ survey, night, store, hands: handsIn(world), rules, log, owner, now })
  } catch (error) {
    if (error instanceof Killed) return undefined
    throw error
  }
}

/** The things that may happen between two ticks, for the exploration of all their orders. */
const moves: Record<string, (world: World) => void> = {
  nothing: () => {},
  alerts: (world) => produce(world, 2),
  'Kafka away': (world) => (world.reachable = false),
  'Kafka back': (world) => (world.reachable = true),
  'consumer dies': (world) => (world.consumer = 'stopped'),
  'stage dies': (world) => world.dead.add('exgalac'),
  'killed while looking': (world) => (world.killIn = 0),
  'killed before the second action': (world) => (world.killIn = 3),
  'seven hours pass': (world) => (world.now += 7 * hour),
}

const depth = Number(process.env['NIGHT_DEPTH'] ?? 3)

test(`all ${Object.keys(moves).length}^${depth} orders of faults, from three moments of a night, end right`, async () => {
  const night = '20261121'
  const dark = darkness(survey, night)
  const [dusk, dawn] = [dark.dusk.getTime(), dark.dawn.getTime()]
  const names = Object.keys(moves)
  const begin = async (moment: number): Promise<Night> => {
    const world = createWorld(dusk - quarter)
    const one: Night = { world, night, dusk, dawn, random: createRandom(1) }
    for (const now of [dusk, dusk + hour, dawn + 2 * hour, dawn + 4 * hour].slice(0, moment)) {
      world.now = now
      if (now > dusk && now < dawn) produce(world, 2)
      work(world)
      await tickOf(one)
    }
    return one
  }
  for (const moment of [1, 2, 4]) {
    for (let index = 0; index < names.length ** depth; index++) {
      const order = Array.from(
        { length: depth },
        (_, place) => names[Math.floor(index / names.length ** place) % names.length] ?? '',
      )
      const one = await begin(moment)
      const { world } = one
      for (const name of order) {
        world.now += quarter
        moves[name]?.(world)
        work(world)
        await tickOf(one)
      }
      world.reachable = true
      world.dead.clear()
      world.killIn = null
      world.now = Math.max(world.now, dawn)
      for (const end = world.now + 30 * hour; world.now < end; world.now += hour) {
        work(world)
        await tickOf(one)
      }
      const { record } = await readNightRecord(world.store, survey, night, world.now)
      const what = `${moment}: ${order.join(', ')}`
      const came = (world.highs ?? []).some((high) => high > 0)
      assert.equal(record.state, came ? 'complete' : 'no_alerts', what)
      assert.equal(owed(world), 0, what)
      assert.ok(
        world.closings.every(({ state, owed: left }) => state !== 'complete' || left === 0),
        what,
      )
    }
  }
})
