/**
 * A real Apache Kafka on free ports of this machine and a folder of its own: one broker, or several of
 * which the first is the controller. And a hand that moves topics and records by Kafka's own clients.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

import { peersDir, skipWithout } from '../../data.ts'

const kafkaDir = join(peersDir, 'kafka')

/** The `skip` option of a test that needs Kafka. */
export const skipWithoutKafka = skipWithout(join(kafkaDir, 'broker.jsa'), 'run make peers')

export interface Listener {
  protocol: 'PLAINTEXT' | 'SSL' | 'SASL_PLAINTEXT' | 'SASL_SSL'
  /** What it listens on and tells clients; 127.0.0.1 if absent. */
  host?: string
  /** What clients are told instead of its own port: a proxy's. */
  advertisedPort?: number
}

export interface KafkaOptions {
  brokers?: number
  /** Listeners beside PLAINTEXT, by name. */
  listeners?: Readonly<Record<string, Listener>>
  /** Lines of server.properties, over those that are set here. */
  properties?: Readonly<Record<string, string>>
  /** Arguments for the broker's JVM, as `-Djava.security.krb5.conf=…`. */
  jvm?: readonly string[]
  /** Give the properties a look at the ports and the folder, before the first start. */
  prepare?: (folder: string, portOf: (listener: string, node?: number) => number) => void
}

export interface KafkaRecord {
  partition?: number
  key?: string
  headers?: Record<string, string>
  timestamp?: number
  /** Neither of the two: a tombstone. */
  base64?: string
  file?: string
}

export type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'

/** What the hand can do; `Hand.java` is the other side of it. */
export type Command =
  | {
      do: 'create'
      topic: string
      partitions?: number
      replication?: number
      replicas?: number[][]
      configs?: Record<string, string>
    }
  | { do: 'delete'; topic: string }
  | { do: 'configure'; topic: string; configs: Record<string, string> }
  | { do: 'partitions'; topic: string; count: number }
  | { do: 'truncate'; topic: string; partition: number; before: number }
  | { do: 'lead'; topic: string; partition: number; replicas: number[] }
  | { do: 'scram'; user: string; password: string; mechanism: string }
  | {
      do: 'produce'
      topic: string
      records: readonly KafkaRecord[]
      compression?: Compression
      transaction?: 'commit' | 'abort'
    }
  | {
      do: 'fill'
      topic: string
      files: readonly string[]
      count: number
      partitions?: number
      rate?: number
      compression?: Compression
    }

export interface Answer {
  /** Of `produce`: where each record went. */
  offsets?: number[]
  /** Of `fill`. */
  seconds?: number
}

export interface Kafka {
  /** `host:port` of the plain listeners, joined by commas. */
  bootstrap: string
  folder: string
  portOf(listener: string, node?: number): number
  hand(command: Command): Promise<Answer>
  /** kill -9 a broker; 1 if not said. */
  kill(node?: number): Promise<void>
  /** Start a broker that was killed, on what it left. */
  start(node?: number): Promise<void>
  /** What a broker has said so far. */
  logOf(node?: number): string
  stop(): Promise<void>
}

/** Start Kafka; it answers when this resolves. */
export async function startKafka(options: KafkaOptions = {}): Promise<Kafka> {
  const { brokers = 1, listeners = {}, jvm = [] } = options
  const folder = mkdtempSync(join(tmpdir(), 'nightjar-kafka-'))
  const nodes = Array.from({ length: brokers }, (_, index) => index + 1)
  const all: Record<string, Listener> = { PLAINTEXT: { protocol: 'PLAINTEXT' }, ...listeners }
  const names = [...Object.keys(all), 'CONTROLLER']
  const free = await freePorts(names.length * brokers)
  const portOf = (listener: string, node = 1): number =>
    free[(node - 1) * names.length + names.indexOf(listener)] as number
  const running = new Map<number, ChildProcess>()
  const bootstrap = nodes.map((node) => `127.0.0.1:${portOf('PLAINTEXT', node)}`).join()

  options.prepare?.(folder, portOf)
  for (const node of nodes) format(node)
  let hand: Hand | undefined
  try {
    await Promise.all(nodes.map((node) => start(node)))
  } catch (error) {
    await stop()
    throw error
  }

  return {
    bootstrap,
    folder,
    portOf,
    start,
    stop,
    async hand(command) {
      hand ??= startHand(bootstrap)
      return hand.obey(command)
    },
    async kill(node = 1) {
      await end(node, 'SIGKILL')
    },
    logOf: (node = 1) => readFileSync(join(folder, `broker-${node}.log`), 'utf8'),
  }

  /** A disk as the format tool leaves it, with the node's own name. */
  function format(node: number): void {
    const disk = join(folder, `disk-${node}`)
    cpSync(join(kafkaDir, 'disk'), disk, { recursive: true })
    const meta = join(disk, 'meta.properties')
    const directory = Buffer.alloc(16, `nightjar-disk-${node}`).toString('base64url')
    const text = readFileSync(meta, 'utf8')
      .replace(/^node\.id=.*$/m, `node.id=${node}`)
      .replace(/^directory\.id=.*$/m, `directory.id=${directory}`)
    writeFileSync(meta, text)
    const bound = Object.entries(all).map(([name, { host = '127.0.0.1' }]) => {
      return `${name}://${host}:${portOf(name, node)}`
    })
    const told = Object.entries(all).map(([name, { host = '127.0.0.1', advertisedPort }]) => {
      return `${name}://${host}:${advertisedPort ?? portOf(name, node)}`
    })
    const controls = node === 1
    if (controls) bound.push(`CONTROLLER://127.0.0.1:${portOf('CONTROLLER')}`)
    const properties: Record<string, string> = {
      'process.roles': controls ? 'broker,controller' : 'broker',
      'node.id': String(node),
      'controller.quorum.voters': `1@127.0.0.1:${portOf('CONTROLLER')}`,
      'controller.listener.names': 'CONTROLLER',
      listeners: bound.join(),
      'advertised.listeners': told.join(),
      'listener.security.protocol.map': [
        'CONTROLLER:PLAINTEXT',
        ...Object.entries(all).map(([name, { protocol }]) => `${name}:${protocol}`),
      ].join(),
      'inter.broker.listener.name': 'PLAINTEXT',
      'log.dirs': disk,
      'auto.create.topics.enable': 'true',
      'num.partitions': '1',
      'offsets.topic.num.partitions': '1',
      'offsets.topic.replication.factor': '1',
      'transaction.state.log.num.partitions': '1',
      'transaction.state.log.replication.factor': '1',
      'transaction.state.log.min.isr': '1',
      'group.initial.rebalance.delay.ms': '0',
      'group.min.session.timeout.ms': '1000',
      'message.max.bytes': '50000000',
      'replica.fetch.max.bytes': '50000000',
      'log.cleaner.dedupe.buffer.size': '8000000',
      'log.cleaner.backoff.ms': '200',
      'log.initial.task.delay.ms': '200',
      'log.retention.check.interval.ms': '500',
      'log.segment.delete.delay.ms': '0',
      'log.message.timestamp.after.max.ms': '9223372036854775807',
      'broker.session.timeout.ms': '2500',
      'broker.heartbeat.interval.ms': '500',
      ...options.properties,
    }
    const lines = Object.entries(properties).map(([name, value]) => `${name}=${value}\n`)
    writeFileSync(join(folder, `server-${node}.properties`), lines.join(''))
  }

  async function start(node = 1): Promise<void> {
    const log = join(folder, `broker-${node}.log`)
    const before = existsSync(log) ? readFileSync(log, 'utf8').length : 0
    const script = 'exec "$@" >>"$LOG" 2>&1'
    const child = spawn(
      'sh',
      [
        ...['-c', script, 'sh', 'java', '-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'],
        ...['-Xshare:auto', `-XX:SharedArchiveFile=${join(realpathSync(kafkaDir), 'broker.jsa')}`],
        ...['-Xlog:disable', '-Xlog:all=error:stderr', ...jvm, '-cp', classpath()],
        ...['kafka.Kafka', join(folder, `server-${node}.properties`)],
      ],
      { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, LOG: log } },
    )
    running.set(node, child)
    watchOver(child)
    for (const begun = performance.now(); ;) {
      await new Promise((resolve) => setTimeout(resolve, 25))
      const said = existsSync(log) ? readFileSync(log, 'utf8').slice(before) : ''
      if (said.includes('Kafka Server started')) return
      if (child.exitCode !== null || performance.now() - begun > 60_000) {
        throw new Error(`Cannot start Kafka broker ${node}: ${said.slice(-3000)}`)
      }
    }
  }

  async function end(node: number, signal: NodeJS.Signals): Promise<void> {
    const child = running.get(node)
    if (child === undefined) return
    running.delete(node)
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }

  async function stop(): Promise<void> {
    await hand?.close()
    await Promise.all([...running.keys()].map((node) => end(node, 'SIGKILL')))
    rmSync(folder, { recursive: true, force: true })
  }
}

export interface Hand {
  obey(command: Command): Promise<Answer>
  close(): Promise<void>
}

/** Start Kafka's own clients against a broker; `properties` is a file of client properties. */
export function startHand(
  bootstrap: string,
  properties?: string,
  jvm: readonly string[] = [],
): Hand {
  const child = spawn(
    'java',
    [
      ...['-Xmx400m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto', ...jvm],
      ...['-Dorg.slf4j.simpleLogger.defaultLogLevel=error', '-cp', classpath()],
      ...['Hand', bootstrap, ...(properties === undefined ? [] : [properties])],
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  )
  watchOver(child)
  const ended = once(child, 'exit')
  const waiting: ((line: string | undefined) => void)[] = []
  createInterface({ input: child.stdout }).on('line', (line) => waiting.shift()?.(line))
  void ended.then(() => waiting.splice(0).forEach((answer) => answer(undefined)))
  child.stdin.on('error', () => {})
  return {
    async obey(command) {
      const line = await new Promise<string | undefined>((resolve) => {
        waiting.push(resolve)
        child.stdin.write(`${JSON.stringify(command)}\n`)
      })
      if (line === undefined) throw new Error(`Kafka's hand has died at "${command.do}"`)
      const { ok, error, ...answer } = JSON.parse(line) as Answer & { ok: boolean; error?: string }
      if (!ok) throw new Error(`Kafka's hand cannot ${command.do}: ${error}`)
      return answer
    },
    async close() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
      await ended
    },
  }
}

/** The class path as the archive was made with. */
function classpath(): string {
  const libs = join(realpathSync(kafkaDir), 'libs')
  const jars = readdirSync(libs).filter((name) => name.endsWith('.jar'))
  return jars
    .sort()
    .map((name) => `${join(libs, name)}:`)
    .join('')
}

/** No JVM outlives the tests that started it, even where they die before their `after`. */
function watchOver(child: ChildProcess): void {
  const kill = (): void => void child.kill('SIGKILL')
  process.on('exit', kill)
  child.once('exit', () => process.off('exit', kill))
}

/** Ports that nobody listens on, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  const ports = servers.map(async (server) => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  })
  const all = await Promise.all(ports)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return all
}
