/** One run of the embedded broker around whatever takes alerts in: from its start to its report. */
import { knownNights } from '../conductor/nights.ts'
import type { Intake } from '../consumer/intake.ts'
import type { Log } from '../core/log.ts'
import type { Topic } from '../core/ports.ts'
import { openGround, type Ground } from '../local/broker.ts'
import { openTopic } from '../local/topic.ts'
import { auditOf } from './audit.ts'
import { startBroker, type Broker } from './broker.ts'
import { instanceOf, type HomeOptions } from './embedded.ts'
import { createLog } from './log.ts'
import type { Address } from './metrics-server.ts'
import { noMetrics, serveMetrics, type Metrics } from './metrics.ts'
import { createProgress } from './progress.ts'
import { formatSummary } from './summary.ts'
import type { Pipeline } from './wiring.ts'
import type { World } from './world.ts'

export interface SessionOptions extends HomeOptions {
  once?: boolean
  json?: boolean
  /** Where to serve metrics; nowhere if absent. */
  metrics?: Address
}

/** What a taker of alerts is given. */
export interface Session {
  ground: Pipeline
  /** Where the broker is, as its consumer group tells it from others. */
  place: string
  broker: Pick<Broker, 'failed'>
  /** A topic by its own name. */
  topicNamed(name: string): Promise<Topic>
  log: Log
  metrics: Metrics
  /** Let the progress line and the metrics tell of this intake from now on. */
  watch(intake: Intake): void
}

export interface Taken {
  records: number
  bytes: number
}

/**
 * Start a home's broker, let `takeIn` take in, wait until every stage has done its part, or for the
 * signal where it is not `--once`, and report with the audit of every night.
 */
export async function runSession(
  world: World,
  options: SessionOptions,
  takeIn: (session: Session) => Promise<Taken>,
): Promise<void> {
  const plain = createLog(world)
  const metrics = options.metrics ? await serveMetrics(options.metrics, plain) : noMetrics
  const log = metrics.counted(plain)
  try {
    await runBroker(world, options, metrics, log, takeIn)
  } finally {
    await metrics.close()
  }
}

async function runBroker(
  world: World,
  options: SessionOptions,
  metrics: Metrics,
  log: Log,
  takeIn: (session: Session) => Promise<Taken>,
): Promise<void> {
  const ground = await openGround(options.home, instanceOf(options))
  try {
    const broker = await startBroker(ground, log, world.env)
    const progress = createProgress({ world, broker, quiet: options.json === true })
    try {
      const started = performance.now()
      metrics.attach(broker)
      const watch = (intake: Intake): void => {
        progress.watch(intake)
        metrics.watch(intake)
      }
      const place = ground.home.path
      const taken = await takeIn({
        ...{ ground, place, broker, log, metrics, watch },
        topicNamed: (name) => openTopic(ground.messages, name),
      })
      if (options.once === true) await Promise.race([broker.idle(world.signal), broker.failed])
      else await Promise.race([aborted(world.signal), broker.failed])
      progress.stop()
      if (options.once === true && !world.signal.aborted) {
        await report(world, options, ground, broker, taken, (performance.now() - started) / 1000)
      }
    } finally {
      progress.stop()
      await broker.close()
    }
    log('broker_stopped', { reason: world.signal.aborted ? 'asked to' : 'all is done' })
  } finally {
    await ground.close()
  }
}

async function report(
  world: World,
  options: SessionOptions,
  ground: Ground,
  broker: Broker,
  taken: Taken,
  seconds: number,
): Promise<void> {
  const nights = await knownNights(await ground.bucket('broker_files'))
  const audits = []
  for (const night of nights) {
    audits.push(await auditOf(ground, broker.query, night, world.now()))
  }
  if (options.json === true) {
    const records = audits.map(({ record }) => record)
    world.out(`${JSON.stringify({ ...taken, seconds, nights: records }, null, 2)}\n`)
  } else {
    world.out(await formatSummary({ world, ground, broker, taken, seconds, audits }))
  }
  if (audits.some(({ record }) => record.state !== 'complete')) world.exit(1)
}

/** Resolves when the signal fires. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
