import assert from 'node:assert/strict'
import { test } from 'node:test'

import { darkness } from '../../conductor/darkness.ts'
import { defaultRules as rules } from '../../conductor/rules.ts'
import { leaseMs, readNightRecord, tick, type Tick } from '../../conductor/tick.ts'
import { createRandom, type Random } from '../../simulator/random.ts'
import { createWorld, handsIn, Killed, owed, produce, work, type World } from './night-model.ts'

const survey = 'ztf'
const night = '20261121'
const dark = darkness(survey, night)
const dusk = dark.dusk.getTime()
const dawn = dark.dawn.getTime()
const hour = 3_600_000
const quarter = hour / 4
const log = (): void => {}

let runs = 0

/** A tick of a new process, unless the owner is given. */
function tickOf(world: World, owner = `conductor ${++runs}`, skew = 0): Promise<Tick> {
  const now = (): number => world.now + skew
  const { store } = world
  return tick({ survey, night, store, hands: handsIn(world), rules, log, owner, now })
}

async function stateIn(world: World): Promise<string> {
  return (await readNightRecord(world.store, survey, night, world.now)).record.state
}

/** Let time pass in quarters of an hour, with a tick in each. */
async function pass(
  world: World,
  until: number,
  each: (world: World) => void = () => {},
): Promise<void> {
  while (world.now < until) {
    world.now += quarter
    each(world)
    work(world)
    await tickOf(world)
  }
}

test('a night without a topic ends as no_alerts, hours after dawn, without an alarm', async () => {
  const world = createWorld(dusk - 4 * hour)
  await pass(world, dawn)
  assert.equal(await stateIn(world), 'waiting')
  await pass(world, dawn + 5 * hour)
  assert.equal(await stateIn(world), 'no_alerts')
  assert.deepEqual(world.alarms, [])
  assert.equal(world.consumer, 'stopped')
})

test('an empty topic starts no consumer and ends as no_alerts', async () => {
  const world = createWorld(dusk - 4 * hour)
  world.highs = [0, 0]
  await pass(world, dawn + 5 * hour)
  assert.equal(await stateIn(world), 'no_alerts')
  assert.ok(!world.acts.includes('start_consumer'))
})

test('P18 P19 a normal night is closed as complete after dawn, and all is stopped', async () => {
  const world = createWorld(dusk - 4 * hour)
  await pass(world, dawn, (w) => w.now > dusk && produce(w, 10))
  assert.equal(await stateIn(world), 'running')
  await pass(world, dawn + 6 * hour)
  assert.equal(await stateIn(world), 'complete')
  assert.equal(owed(world), 0)
  assert.equal(world.consumer, 'stopped')
  assert.equal(world.attached, false)
  assert.deepEqual(world.alarms, [])
  assert.deepEqual(
    world.closings.map(({ state }) => state),
    ['complete'],
  )
})

test('a producer that pauses for two hours in the night does not end it', async () => {
  const world = createWorld(dusk - hour)
  await pass(world, dusk + 3 * hour, (w) => produce(w, 3))
  await pass(world, dusk + 5 * hour)
  assert.equal(await stateIn(world), 'running')
  await pass(world, dawn, (w) => produce(w, 3))
  await pass(world, dawn + 6 * hour)
  assert.equal(await stateIn(world), 'complete')
})

test('a dump of 90,000 late alerts reopens a closed night, which closes again with all of them', async () => {
  const world = createWorld(dusk - hour)
  await pass(world, dawn, (w) => w.now > dusk && produce(w, 3))
  await pass(world, dawn + 8 * hour)
  assert.equal(await stateIn(world), 'complete')
  produce(world, 90_000)
  await pass(world, dawn + 8.25 * hour)
  assert.equal(await stateIn(world), 'reopened')
  await pass(world, dawn + 14 * hour)
  assert.equal(await stateIn(world), 'complete')
  assert.ok(world.committed.reduce((sum, high) => sum + high, 0) > 90_000)
  assert.deepEqual(
    world.closings.map(({ owed: missing }) => missing),
    [0, 0],
  )
})

test('what a stage swallowed is replayed once, and the night is complete', async () => {
  const world = createWorld(dusk - hour)
  await pass(world, dawn, (w) => w.now > dusk && produce(w, 3))
  produce(world, 6)
  world.now += quarter
  work(world, 4)
  await pass(world, dawn + 8 * hour)
  assert.equal(await stateIn(world), 'complete')
  assert.equal(world.acts.filter((act) => act === 'replay_missing').length, 1)
})

test('stages that are only behind are sent nothing again, however long they take', async () => {
  const world = createWorld(dusk - 4 * hour)
  const replays = (): number => world.acts.filter((act) => act.includes('replay_missing')).length
  await pass(world, dusk + hour)
  produce(world, 12)
  await pass(world, dusk + 2 * hour)
  world.dead.add('exgalac')
  produce(world, 12)
  // It comes back slowly: an alert of either partition in each quarter of an hour.
  let at = 6
  const slowly = (): void => {
    const done = world.processed.get('exgalac') ?? []
    for (const partition of [0, 1]) (done[partition] ??= [])[at] = true
    at++
  }
  while ((await stateIn(world)) !== 'auditing') await pass(world, world.now + quarter)
  await pass(world, world.now + 5 * quarter, slowly)
  assert.equal(await stateIn(world), 'auditing')
  await pass(world, world.now + quarter, slowly)
  assert.equal(await stateIn(world), 'complete')
  assert.equal(replays(), 0)
})

test('a stage that is dead all night ends it as incomplete with an alarm, and completes it when it is back', async () => {
  const world = createWorld(dusk - hour)
  world.dead.add('exgalac')
  await pass(world, dawn, (w) => w.now > dusk && produce(w, 3))
  await pass(world, dawn + 9 * hour)
  assert.equal(await stateIn(world), 'incomplete')
  assert.ok(world.alarms.includes('incomplete'))
  world.dead.clear()
  await pass(world, dawn + 12 * hour)
  assert.equal(await stateIn(world), 'complete')
})

test('Kafka away from dusk to its deadline is not called a night without alerts', async () => {
  const world = createWorld(dusk - hour)
  world.reachable = false
  await pass(world, dawn + 5 * hour, (w) => w.now > dusk && w.now < dawn && produce(w, 1))
  assert.equal(await stateIn(world), 'failed')
  assert.ok(world.alarms.includes('failed'))
  world.reachable = true
  await pass(world, dawn + 12 * hour)
  assert.equal(await stateIn(world), 'complete')
})

test('alerts that retention took before they were received make the night incomplete', async () => {
  const world = createWorld(dusk - hour)
  await pass(world, dusk + hour, (w) => produce(w, 2))
  // From here on the consumer is starved, and then the topic goes.
  world.reachable = false
  produce(world, 10)
  await pass(world, dusk + 2 * hour)
  world.reachable = true
  await tickOf(world)
  world.highs = null
  await pass(world, dawn + 30 * hour)
  assert.equal(await stateIn(world), 'incomplete')
})

test('a clock that is an hour ahead closes nothing early', async () => {
  const world = createWorld(dusk - hour)
  await pass(world, dawn, (w) => {
    produce(w, 2)
  })
  for (let i = 0; i < 20; i++) {
    world.now += quarter
    if (i < 3) produce(world, 2)
    work(world)
    await tickOf(world, `fast ${i}`, hour)
  }
  assert.equal(owed(world), 0)
  assert.ok(
    world.closings.every(({ state, owed: missing }) => state !== 'complete' || missing === 0),
  )
})

test('of two conductors that tick at once one acts and the other does nothing', async () => {
  const world = createWorld(dusk - hour)
  for (; world.now < dawn + 8 * hour; world.now += quarter) {
    if (world.now > dusk && world.now < dawn) produce(world, 2)
    work(world)
    const before = world.acts.length
    const ticks = await Promise.all([
      tickOf(world, `a ${world.now}`),
      tickOf(world, `b ${world.now}`),
    ])
    const acted = ticks.filter(({ done }) => done.length > 0)
    assert.ok(acted.length <= 1)
    assert.equal(world.acts.length - before, acted[0]?.done.length ?? 0)
  }
  assert.equal(await stateIn(world), 'complete')
})

test('a conductor killed at any call of any tick is followed by one that finishes the night', async () => {
  // Each call of a hand over a night is a place to die at.
  let reached = true
  for (let place = 0; reached; place++) {
    const world = createWorld(dusk - hour)
    world.killIn = place
    for (; world.now < dawn + 8 * hour; world.now += quarter) {
      if (world.now > dusk && world.now < dawn) produce(world, 1)
      work(world)
      await tickOf(world).catch(onlyKilled)
    }
    reached = world.killIn === null
    assert.ok(reached || place > 100, `there were only ${place} calls`)
    assert.equal(await stateIn(world), 'complete', `killed at call ${place}`)
    assert.equal(owed(world), 0)
    assert.equal(world.consumer, 'stopped')
  }
})

function onlyKilled(error: unknown): void {
  if (!(error instanceof Killed)) throw error
}

/** One thing that happens in a quarter of an hour. */
const happenings: Record<string, (world: World, random: Random) => void> = {
  nothing: () => {},
  alerts: (world) => produce(world, 3),
  dump: (world) => produce(world, 40),
  'topic made': (world) => produce(world, 0),
  'Kafka away': (world) => (world.reachable = false),
  'Kafka back': (world) => (world.reachable = true),
  'consumer dies': (world) => (world.consumer = 'stopped'),
  'a stage dies': (world) => world.dead.add('exgalac'),
  'the stage is back': (world) => world.dead.delete('exgalac'),
  'a stage swallows': (world) => work(world, 2),
  'the conductor is killed': (world, random) => (world.killIn = random.whole(6)),
  'ten hours pass': (world) => (world.now += 10 * hour),
}

/** Let a list of happenings happen; answers what is wrong with how it went. */
async function faultOf(names: readonly string[], seed: number): Promise<string | undefined> {
  const random = createRandom(seed)
  const world = createWorld(dusk - hour)
  const check = (): string | undefined => {
    const early = world.closings.find(({ state, owed: left }) => state === 'complete' && left > 0)
    return early && `closed as complete with ${early.owed} missing`
  }
  for (const name of names) {
    world.now += quarter
    happenings[name]?.(world, random)
    work(world)
    await tickOf(world).catch(onlyKilled)
    const fault = check()
    if (fault !== undefined) return fault
  }
  // All is well again from here on; every night must come to its right end.
  world.reachable = true
  world.dead.clear()
  world.killIn = null
  world.now = Math.max(world.now, dawn)
  await pass(world, world.now + 40 * hour)
  const state = await stateIn(world)
  if (world.highs === null || Math.max(...world.highs) === 0) {
    return ['no_alerts', 'complete', 'failed'].includes(state)
      ? check()
      : `nothing came, yet it is ${state}`
  }
  const late = world.now - 40 * hour > dawn + rules.retention
  // What is swallowed after the one replay is for a person: told, and not called complete.
  if (state === 'incomplete' && owed(world) > 0 && world.alarms.includes('incomplete'))
    return check()
  if (state !== 'complete' && !late) return `all is processable, yet it ends as ${state}`
  if (state === 'complete' && owed(world) > 0 && !late) return 'complete with something missing'
  return check()
}

const histories = Number(process.env['NIGHT_HISTORIES'] ?? 400)

test(`of ${histories} random histories of faults none closes a night early or keeps it open`, async () => {
  const names = Object.keys(happenings)
  const random = createRandom(histories)
  for (let round = 0; round < histories; round++) {
    let history = Array.from({ length: 1 + random.whole(40) }, () => random.pick(names))
    let fault = await faultOf(history, round)
    if (fault === undefined) continue
    for (let i = 0; i < history.length;) {
      const shorter = history.toSpliced(i, 1)
      const same = await faultOf(shorter, round)
      if (same === undefined) i++
      else [history, fault] = [shorter, same]
    }
    assert.fail(`${fault}, after: ${history.join(', ')} (seed ${round})`)
  }
})

test('the lease of a conductor that died holds others off no longer than it says', async () => {
  const world = createWorld(dusk)
  world.killIn = 0
  await assert.rejects(tickOf(world, 'first'), Killed)
  assert.equal((await tickOf(world, 'second')).outcome, 'lost')
  world.now += leaseMs + 1
  assert.equal((await tickOf(world, 'second')).outcome, 'done')
})
