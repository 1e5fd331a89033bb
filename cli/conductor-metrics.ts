/** What a conductor tells Prometheus of its night: what each tick saw, decided and did. */
import { nightStates, type NightRecord } from '../conductor/night-record.ts'
import type { Observations } from '../conductor/step.ts'
import type { Hands, Tick } from '../conductor/tick.ts'
import { severityOf, type Log } from '../core/log.ts'
import { openMetricsServer, type Address } from './metrics-server.ts'
import { countsOf } from './night-view.ts'

export interface ConductorMetrics {
  /** A log whose events are counted. */
  counted(log: Log): Log
  /** Hands whose looks are shown. */
  shown(hands: Hands): Hands
  /** A tick is over; undefined where it failed. */
  ticked(tick: Tick | undefined, untold: number): void
  close(): Promise<void>
}

/** Where nobody asked for metrics. */
export const noConductorMetrics: ConductorMetrics = {
  counted: (log) => log,
  shown: (hands) => hands,
  ticked() {},
  async close() {},
}

/** Ticks that may be late before that is told as an illness. */
const ticksMissed = 5
const leastStallMs = 120_000

/** Serve a conductor's metrics. Throws `config_invalid` where the address is not to be had. */
export async function serveConductorMetrics(options: {
  at: Address
  log: Log
  everyMs: number
  now(): number
}): Promise<ConductorMetrics> {
  const { at, log, everyMs, now } = options
  const { Registry, Counter, Gauge, collectDefaultMetrics } = await import('prom-client')
  const registers = [new Registry()]
  const [register] = registers
  if (register === undefined) throw new Error('No register')
  collectDefaultMetrics({ register })

  let record: NightRecord | undefined
  let seen: Observations | undefined
  let untold = 0
  let lastDone = performance.now()

  const counter = (name: string, help: string, labelNames: string[]) =>
    new Counter({ name: `nightjar_${name}_total`, help, labelNames, registers })
  const gauge = (
    name: string,
    help: string,
    values: () => Iterable<[Record<string, string>, number | undefined]>,
    labelNames: string[] = [],
  ): void => {
    new Gauge({
      ...{ name: `nightjar_${name}`, help, registers },
      labelNames: ['survey', 'night', ...labelNames],
      collect() {
        this.reset()
        if (record === undefined) return
        const { survey, night } = record
        // What could not be seen is absent: zero would be an answer.
        for (const [labels, value] of values()) {
          if (value !== undefined) this.set({ survey, night, ...labels }, value)
        }
      },
    })
  }
  const one = (name: string, help: string, value: (night: NightRecord) => number | undefined) =>
    gauge(name, help, () => (record === undefined ? [] : [[{}, value(record)]]))
  const counts = () => record && seen && countsOf({ at: now(), record, seen, backlog: {} })

  gauge(
    'night_state',
    '1 for the state that the night is in',
    () => nightStates.map((state) => [{ state }, record?.state === state ? 1 : 0]),
    ['state'],
  )
  one('night_state_seconds', 'How long it has been in it', ({ since }) => (now() - since) / 1000)
  one(
    'night_deadline_seconds',
    'How long it may stay at most; below zero: it is late',
    ({ deadline }) => (deadline === null ? undefined : (deadline - now()) / 1000),
  )
  one(
    'night_dawn_seconds',
    'How long until dawn; below zero: it is over',
    ({ dawn }) => (dawn - now()) / 1000,
  )
  one('night_pending_actions', 'Actions decided and not done', ({ pending }) => pending.length)
  one('night_notices_untold', 'Notices that nobody could be told yet', () => untold)
  one('night_topic_offsets', 'Offsets that Kafka holds of the night', () => counts()?.held)
  one('night_lag_offsets', 'Those of them that are not committed', () => counts()?.lag)
  one('night_missing', 'What the last audit missed', () => seen?.audit?.missing)
  gauge('night_consumer_running', '1 while the consumer runs', () => [
    [{}, seen?.consumer === undefined ? undefined : seen.consumer === 'running' ? 1 : 0],
  ])
  const moves = counter('night_transitions', 'Transitions of the night', ['from', 'to'])
  const ticks = counter('conductor_ticks', 'Ticks, by how they ended', ['outcome'])
  const actions = counter('conductor_actions', 'Actions, by how they ended', ['action', 'outcome'])
  const notices = counter('conductor_notices', 'Attempts to tell somebody', ['channel', 'outcome'])
  const events = counter('events', 'Events of the log', ['event', 'severity'])

  const server = await openMetricsServer({
    ...{ at, register, log },
    illness() {
      const ms = performance.now() - lastDone
      const stalled = ms > Math.max(leastStallMs, ticksMissed * everyMs)
      return stalled ? `no tick was done for ${Math.round(ms / 1000)} s` : undefined
    },
  })
  return {
    counted: (inner) => (name, facts) => {
      events.inc({ event: name, severity: severityOf(name) })
      if ('channel' in facts && 'key' in facts) {
        notices.inc({ channel: facts.channel, outcome: name.replace('notice_', '') })
      }
      inner(name, facts)
    },
    shown: (hands) => ({
      ...hands,
      async observe(before, wants) {
        const found = await hands.observe(before, wants)
        // A tick without an audit says nothing of the last one.
        const audit = found.audit ?? seen?.audit
        seen = { ...found, ...(audit && { audit }) }
        return found
      },
    }),
    ticked(tick, left) {
      ticks.inc({ outcome: tick === undefined ? 'failed' : tick.outcome })
      untold = left
      if (tick === undefined) return
      lastDone = performance.now()
      record = tick.record
      for (const action of tick.done) {
        actions.inc({ action: action.do, outcome: 'done' })
        if (action.do === 'announce') moves.inc({ from: action.move.from, to: action.move.to })
      }
      for (const action of tick.left) actions.inc({ action: action.do, outcome: 'failed' })
    },
    close: () => server.close(),
  }
}
