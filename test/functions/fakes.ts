/** Ports in memory, which remember what was done to them, and packets to do it with. */
import { crc32c } from '../../core/crc32c.ts'
import { NightjarError } from '../../core/errors.ts'
import type { Log } from '../../core/log.ts'
import type { Delivery, Message, Store, StoredObject, Table, Topic } from '../../core/ports.ts'
import type { Row } from '../../core/row.ts'
import { readAlert } from '../../schemas/alert.ts'
import { encodeContainer } from '../../schemas/encode.ts'
import { loadZtfSchema } from '../../schemas/registry.ts'
import { simulateNight } from '../../simulator/night.ts'

export type Fields = Record<string, unknown>

export interface FakeTopic extends Topic {
  published: Message[]
  /** Thrown by the next publishes, one each. */
  failures: unknown[]
}

/** A topic that takes everything, unless it is told to fail. */
export function fakeTopic(): FakeTopic {
  const published: Message[] = []
  const failures: unknown[] = []
  return {
    published,
    failures,
    async publish(message) {
      if (failures.length > 0) throw failures.shift()
      return String(published.push(message))
    },
    async close() {},
  }
}

export interface FakeStore extends Store {
  objects: Map<string, { data: Uint8Array; object: StoredObject }>
}

/** A bucket that creates, replaces and reads. */
export function fakeStore(): FakeStore {
  const objects: FakeStore['objects'] = new Map()
  return {
    objects,
    async create(name, data, metadata = {}) {
      const known = objects.get(name)
      if (known !== undefined) return { created: false, object: known.object }
      const { length: size } = data
      const object = { name, size, crc32c: crc32c(data), generation: '1', metadata }
      objects.set(name, { data, object })
      return { created: true, object }
    },
    async replace(name, data, generation, metadata = {}) {
      const known = objects.get(name)?.object.generation ?? null
      if (known !== generation) return null
      const next = String(Number(known ?? 0) + 1)
      const object = { name, size: data.length, crc32c: crc32c(data), generation: next, metadata }
      objects.set(name, { data, object })
      return object
    },
    read: async (name) => objects.get(name) ?? null,
    async *list() {},
  }
}

/** A table that keeps rows by the key of their shape. */
export function fakeTable(): Table & { rows: Row[] } {
  const rows: Row[] = []
  const keys = new Set<string>()
  return {
    rows,
    async append(row) {
      const key = (row.shape.key ?? []).map((name) => String(row.values[name])).join(' ')
      if (keys.has(key)) return 'duplicate'
      keys.add(key)
      rows.push(row)
      return 'stored'
    },
    query() {
      throw new NightjarError('table_failed', 'not asked for')
    },
    async close() {},
  }
}

export interface FakeLog {
  log: Log
  events: { name: string; facts: Fields }[]
}

export function fakeLog(): FakeLog {
  const events: FakeLog['events'] = []
  const log: Log = (name, facts) => void events.push({ name, facts: { ...facts } })
  return { events, log }
}

const [simulated] = simulateNight({
  night: '20261121',
  alerts: 1,
  seed: 'functions',
  partitions: 1,
  duplicates: 0,
  late: 0,
  corrupt: 0,
  oldSchemas: 0,
  gaps: 0,
})

/** A simulated alert of schema 4.02, read. */
export function exampleRecord(): Fields {
  return structuredClone(readAlert(simulated?.data ?? new Uint8Array()).record)
}

/** A packet of a record, in a schema as the survey's writer put it; legal only from 4.02 on. */
export function packetOf(record: Fields, version = '4.02'): Uint8Array {
  return encodeContainer(loadZtfSchema(version).text, [record], {
    sync: new Uint8Array(16).fill(7),
  })
}

/** What Kafka's coordinates are as attributes. */
export function cameFrom(partition: number, offset: number): Record<string, string> {
  return {
    'kafka.topic': 'ztf_20261121_programid1',
    'kafka.partition': String(partition),
    'kafka.offset': String(offset),
    'kafka.timestamp': '1795226862123',
  }
}

/** A delivery of a packet. */
export function delivery(
  data: Uint8Array,
  attributes: Record<string, string> = cameFrom(0, 1),
  attempt = 1,
): Delivery {
  return { data, attributes, attempt, id: '7', publishedAt: new Date(0) }
}
