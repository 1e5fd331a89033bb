/**
 * A night as Kafka would have carried it: exposures from dusk to dawn, each followed minutes later by a
 * burst of alerts, with everything that goes wrong on the way. Alerts are planned first and written
 * when they arrive, so memory holds twenty minutes of plans, whatever the size of the night.
 */
import { kafkaTopicName } from '../core/names.ts'
import type { Night } from '../core/night.ts'
import { encodeContainer } from '../schemas/encode.ts'
import { loadZtfSchema } from '../schemas/registry.ts'
import { createArrivals } from './arrivals.ts'
import { corrupt, damages, type Damage } from './corrupt.ts'
import { exposureSeconds } from './exposure.ts'
import { createPartitions } from './kafka.ts'
import { composePacket, withCutouts, type Alert } from './packet.ts'
import { createPlanner } from './plan.ts'
import { createRandom } from './random.ts'
import { nightTimes, planNight } from './schedule.ts'
import { unixOfJd } from './sky.ts'
import { createStamper } from './stamps.ts'
import { truthOf, type Truth } from './truth.ts'

/** Shares are of the alerts, 0 to 1. */
export interface SimulationOptions {
  night: Night
  /** Different alerts of the night, damaged ones among them. */
  alerts: number
  seed: string | number
  partitions: number
  /** Sent a second time within the hour, the same bytes. */
  duplicates: number
  /** Kept back until after sunrise. */
  late: number
  corrupt: number
  /** Written in schema 3.2 or 3.3 instead of 4.02. */
  oldSchemas: number
  /** Offsets without a record. */
  gaps: number
}

/** A record of the topic, or the truth alone where Kafka has no record. */
export interface SimulatedRecord {
  truth: Truth
  data?: Uint8Array
}

type Fate = { kind: 'alert' | 'duplicate' | 'late' } | { kind: 'corrupt'; damage: Damage }

/** From the end of an exposure to the first and last of its alerts, milliseconds: 5 to 20 minutes. */
const soonest = 5 * 60_000
const latest = 20 * 60_000

/** Simulate a night, record by record in order of arrival. The same options give the same bytes. */
export function* simulateNight(options: SimulationOptions): Generator<SimulatedRecord> {
  const { night, seed } = options
  const topic = kafkaTopicName('ztf', night)
  const random = createRandom(seed, 'arrivals', night)
  const land = createPartitions(options.partitions, options.gaps, createRandom(seed, 'offsets'))
  const write = createWriter(seed)
  const arrivals = createArrivals<{ alert: Alert; fate: Fate }>()
  const exposures = planNight(night, seed)
  const plan = createPlanner({ exposures, alerts: options.alerts, seed })
  const sunrise = unixOfJd(nightTimes(night).sunrise)

  for (const exposure of exposures) {
    const ready = unixOfJd(exposure.jd) + exposureSeconds * 1000
    yield* emit(ready + soonest)
    const begin = ready + random.between(soonest, latest - 60_000)
    for (const alert of plan(exposure, versionOf)) schedule(alert, begin)
  }
  yield* emit(Infinity)

  function schedule(alert: Alert, begin: number): void {
    const at = Math.round(begin + random.between(0, 60_000))
    if (random.chance(options.corrupt)) {
      arrivals.push(at, { alert, fate: { kind: 'corrupt', damage: random.pick(damages) } })
    } else if (random.chance(options.late)) {
      const after = Math.round(sunrise + random.between(10, 180) * 60_000)
      arrivals.push(Math.max(at, after), { alert, fate: { kind: 'late' } })
    } else {
      arrivals.push(at, { alert, fate: { kind: 'alert' } })
      if (!random.chance(options.duplicates)) return
      const again = at + Math.round(random.between(1, 60) * 60_000)
      arrivals.push(again, { alert, fate: { kind: 'duplicate' } })
    }
  }

  function versionOf(): Alert['version'] {
    if (!random.chance(options.oldSchemas)) return '4.02'
    return random.chance(0.6) ? '3.3' : '3.2'
  }

  function* emit(until: number): Generator<SimulatedRecord> {
    for (let next = arrivals.take(until); next; next = arrivals.take(until)) {
      const { at: timestamp, item } = next
      const { partition, offset, gaps } = land()
      for (const gap of gaps) {
        yield { truth: { topic, partition, offset: gap, timestamp, kind: 'gap' } }
      }
      const { alert, fate } = item
      const record = composePacket(alert)
      const packet = write(alert, record)
      const damaged = fate.kind === 'corrupt'
      const kind = damaged ? (`corrupt:${fate.damage}` as const) : fate.kind
      const truth = truthOf({ topic, partition, offset, timestamp, kind }, alert, record)
      const draw = createRandom(seed, 'damage', partition, offset)
      yield { truth, data: damaged ? corrupt(packet, fate.damage, draw) : packet }
    }
  }
}

/** Write packets as ZTF does: one record a container, the schema in each, a marker of its own. */
function createWriter(seed: string | number) {
  const texts = new Map<string, string>()
  const stamp = createStamper(seed)

  return function write(alert: Alert, record: ReturnType<typeof composePacket>): Uint8Array {
    let text = texts.get(alert.version)
    if (text === undefined) texts.set(alert.version, (text = schemaText(alert.version)))
    const random = createRandom('marker', String(record.candid))
    const sync = Uint8Array.from({ length: 16 }, () => random.whole(256))
    const stamps = stamp(alert.object, alert.exposure)
    return encodeContainer(text, [withCutouts(record, stamps)], { sync })
  }
}

/**
 * The survey's schemas carry documentation, which makes them 22 to 27 kB, a third of a packet. Ours
 * have none; indented they come to the same size.
 */
function schemaText(version: string): string {
  return JSON.stringify(loadZtfSchema(version).json, null, 1)
}
