/**
 * What a long run tells Prometheus. Programs know nothing of it: it looks at what they tell anyhow, the
 * counts of an intake, the offsets of a source, the events of the log, and times the relay.
 */
import type { Intake, IntakeCounts } from '../consumer/intake.ts'
import type { Relay } from '../consumer/relay.ts'
import type { Source } from '../consumer/source.ts'
import { sentenceOf } from '../core/errors.ts'
import { severityOf, type Log } from '../core/log.ts'
import type { Broker } from './broker.ts'
import { openMetricsServer, type Address } from './metrics-server.ts'

/** A Kafka source tells more than another. */
export type ToldSource = Source & {
  lag?(): { partition: number; next: bigint; high: bigint; committed: bigint | undefined }[]
  connections?(): number
}

export interface Metrics {
  /** A log whose events are counted. */
  counted(log: Log): Log
  /** A relay whose records are timed. */
  timed(relay: Relay): Relay
  /** A source whose commits are counted and whose offsets are shown, from now on and instead of the last. */
  shown(topic: string, source: ToldSource): Source
  watch(intake: Intake): void
  attach(broker: Broker): void
  close(): Promise<void>
}

/** Where nobody asked for metrics. */
export const noMetrics: Metrics = {
  counted: (log) => log,
  timed: (relay) => relay,
  shown: (_, source) => source,
  watch() {},
  attach() {},
  async close() {},
}

/** Something is under way, and for so long none of it was done: not healthy. */
const stalledMs = 120_000

/** From a millisecond to a minute. */
const buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

/** Serve metrics. Throws `config_invalid` where the address is not to be had. */
export async function serveMetrics(at: Address, log: Log): Promise<Metrics> {
  const { Registry, Counter, Gauge, Histogram, collectDefaultMetrics } = await import('prom-client')
  const registers = [new Registry()]
  const [register] = registers
  if (register === undefined) throw new Error('No register')
  collectDefaultMetrics({ register })

  let intake: Intake | undefined
  let source: ToldSource | undefined
  let topic = ''
  let broker: Broker | undefined
  let failure: unknown
  /** What earlier intakes of this run had done in the end. */
  const past = { records: 0, bytes: 0, connections: 0 }
  let moved = { done: 0, at: performance.now() }

  const counts = (): IntakeCounts | undefined => intake?.counts()

  const counter = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name: `nightjar_${name}_total`, help, labelNames, registers })
  const told = (name: string, help: string, value: () => number): void => {
    new Counter({
      name: `nightjar_${name}_total`,
      help,
      registers,
      collect() {
        this.reset()
        this.inc(value())
      },
    })
  }
  const gauge = (
    name: string,
    help: string,
    labelNames: string[],
    values: () => Iterable<[Record<string, string>, number]>,
  ): void => {
    new Gauge({
      name: `nightjar_${name}`,
      help,
      labelNames,
      registers,
      collect() {
        this.reset()
        for (const [labels, value] of values()) this.set(labels, value)
      },
    })
  }

  told('intake_records', 'Records taken in', () => past.records + (counts()?.records ?? 0))
  told('intake_bytes', 'Bytes taken in', () => past.bytes + (counts()?.bytes ?? 0))
  told(
    'kafka_connections',
    'Connections and memberships begun; all but the first are reconnects',
    () => past.connections + (source?.connections?.() ?? 0),
  )
  gauge('in_flight_messages', 'Records handed out and not durable yet', [], () => [
    [{}, counts()?.inFlight ?? 0],
  ])
  gauge('in_flight_bytes', 'Their bytes', [], () => [[{}, counts()?.bytesInFlight ?? 0]])
  const offsets = (name: string, help: string, value: (at: Offsets) => bigint | undefined): void =>
    gauge(name, help, ['topic', 'partition'], () =>
      (source?.lag?.() ?? []).flatMap((one) => {
        const found = value(one)
        const labels = { topic, partition: String(one.partition) }
        return found === undefined ? [] : [[labels, Number(found)]]
      }),
    )
  offsets(
    'kafka_lag_offsets',
    'Offsets that are not committed yet',
    ({ high, next, committed }) =>
      // Before the first commit of a partition, what was not handed out is behind.
      high - (committed ?? next),
  )
  offsets('kafka_committed_offset', 'The offset that is committed', ({ committed }) => committed)
  offsets('kafka_high_offset', 'The offset after the last record', ({ high }) => high)
  new Gauge({
    name: 'nightjar_backlog_messages',
    help: 'Messages that a subscription has not acknowledged yet',
    labelNames: ['subscription'],
    registers,
    async collect() {
      this.reset()
      for (const [name, messages] of Object.entries((await broker?.backlog()) ?? {})) {
        this.set({ subscription: name }, messages)
      }
    },
  })
  gauge('healthy', '1, or 0 where /healthz says why not', [], () => [
    [{}, illness() === undefined ? 1 : 0],
  ])

  const outcomes = counter('intake_outcomes', 'What became of records at the intake', ['outcome'])
  const commits = counter('kafka_commits', 'Commits that were done')
  const events = counter('events', 'Events of the log', ['event', 'severity'])
  const deadLetters = counter('dead_letters', 'Dead letters', ['stage', 'code'])
  const publish = new Histogram({
    name: 'nightjar_publish_seconds',
    help: 'From handing a record out until it is durable and told to the ledger',
    buckets,
    registers,
  })
  const append = new Histogram({
    name: 'nightjar_append_to_publish_seconds',
    help: 'From the time that Kafka gave a record until it is durable',
    buckets,
    registers,
  })

  /** What is wrong, if something is. */
  function illness(): string | undefined {
    if (failure !== undefined) return sentenceOf(failure)
    const now = counts()
    if (now === undefined || now.inFlight === 0) return undefined
    const seconds = Math.round((performance.now() - moved.at) / 1000)
    return seconds * 1000 > stalledMs
      ? `${now.inFlight} records are under way, and none was done for ${seconds} s`
      : undefined
  }

  const server = await openMetricsServer({ at, register, illness, log })

  return {
    counted: (inner) => (name, facts) => {
      events.inc({ event: name, severity: severityOf(name) })
      if ('code' in facts) deadLetters.inc({ stage: facts.stage, code: facts.code })
      inner(name, facts)
    },
    timed: (relay) => async (item, gap) => {
      const begun = performance.now()
      const outcome = await relay(item, gap)
      const done = performance.now()
      moved = { done: moved.done + 1, at: done }
      outcomes.inc({ outcome })
      publish.observe((done - begun) / 1000)
      if (item.kind !== 'gap') {
        append.observe(Math.max(0, Date.now() - item.timestamp) / 1000)
      }
      return outcome
    },
    shown(of, shownSource) {
      past.connections += source?.connections?.() ?? 0
      topic = of
      source = shownSource
      return {
        ...shownSource,
        async commit(positions) {
          await shownSource.commit(positions)
          commits.inc()
        },
      }
    },
    watch(next) {
      const last = counts()
      past.records += last?.records ?? 0
      past.bytes += last?.bytes ?? 0
      intake = next
      moved = { done: moved.done, at: performance.now() }
    },
    attach(next) {
      broker = next
      next.failed.catch((error: unknown) => (failure = error))
    },
    close: () => server.close(),
  }
}

type Offsets = ReturnType<NonNullable<ToldSource['lag']>>[number]
