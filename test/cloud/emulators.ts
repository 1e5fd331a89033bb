/** Emulators as parts of a test: each on a port of its own, stopped at the end, killed in between. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import { peersDir, skipWithout } from '../data.ts'

export interface Emulator {
  /** `127.0.0.1:port`; a restart keeps it. */
  host: string
  /** End it as a power failure would. */
  kill(): Promise<void>
  /** Start it again, on the same port and with nothing in it. */
  restart(): Promise<void>
}

const pubsubJar = join(peersDir, 'pubsub/emulator.jar')
const gcsServer = join(peersDir, 'gcs/fake-gcs-server')
const bigqueryPython = join(peersDir, 'bigquery/bin/python')
const bigqueryLauncher = join(import.meta.dirname, '../peers/bigquery_emulator.py')
/** DuckDB looks for its extensions below the home directory. */
const bigqueryHome = join(peersDir, 'bigquery/home')

// Not on Google's machines there is nobody to ask for credentials, and asking takes seconds.
process.env['METADATA_SERVER_DETECTION'] ??= 'none'

const remedy = 'run "make peers"'
export const skipWithoutPubsub = skipWithout(pubsubJar, remedy)
export const skipWithoutGcs = skipWithout(gcsServer, remedy)
export const skipWithoutBigquery = skipWithout(bigqueryPython, remedy)

/** Google's Pub/Sub emulator. */
export function startPubsub(heapMb = 512): Promise<Emulator> {
  return start(
    (port) => ['java', `-Xmx${heapMb}m`, '-jar', pubsubJar, '--host=127.0.0.1', `--port=${port}`],
    (host) => answers(`http://${host}/v1/projects/ready/topics`),
  )
}

/**
 * fake-gcs-server; it announces what happens in a bucket at a Pub/Sub emulator: on one topic, or, where
 * none is named, on those of the notifications that its buckets are given.
 */
export function startGcs(notices?: {
  pubsub: string
  on?: { project: string; topic: string }
}): Promise<Emulator> {
  const flags =
    notices?.on === undefined
      ? []
      : [
          `-event.pubsub-project-id=${notices.on.project}`,
          `-event.pubsub-topic=${notices.on.topic}`,
          '-event.list=finalize',
        ]
  return start(
    (port) => [
      gcsServer,
      ...['-scheme', 'http', '-host', '127.0.0.1', '-port', String(port)],
      ...['-backend', 'memory', '-log-level', 'error', '-public-host', `127.0.0.1:${port}`],
      ...flags,
    ],
    (host) => answers(`http://${host}/storage/v1/b?project=ready`),
    notices === undefined ? {} : { PUBSUB_EMULATOR_HOST: notices.pubsub },
  )
}

/**
 * bqemulator: BigQuery's REST at `host`, its Storage Write API at `grpc`. With a folder it keeps there what it
 * has stored, and finds it again when it is started anew.
 */
export async function startBigquery(folder?: string): Promise<Emulator & { grpc: string }> {
  const grpcPort = await freePort()
  const emulator = await start(
    (port) => [
      bigqueryPython,
      ...[bigqueryLauncher, 'start', '--log-level', 'error'],
      ...(folder === undefined ? ['--ephemeral'] : ['--persistent', '--data-dir', folder]),
      ...['--rest-host', '127.0.0.1', '--rest-port', String(port)],
      ...['--grpc-host', '127.0.0.1', '--grpc-port', String(grpcPort)],
    ],
    (host) => answers(`http://${host}/bigquery/v2/projects/ready/datasets`),
    { HOME: bigqueryHome },
  )
  return { ...emulator, grpc: `127.0.0.1:${grpcPort}` }
}

async function start(
  commandAt: (port: number) => string[],
  ready: (host: string) => Promise<boolean>,
  env: Record<string, string> = {},
): Promise<Emulator> {
  const port = await freePort()
  const host = `127.0.0.1:${port}`
  let child: ChildProcess | undefined

  async function run(): Promise<void> {
    const [command = '', ...args] = commandAt(port)
    let said = ''
    child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    })
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk) => (said = `${said}${chunk}`.slice(-4000)))
    }
    for (let tries = 0; tries < 600; tries++) {
      if (child.exitCode !== null) break
      if (await ready(host)) return
      await pause(50)
    }
    throw new Error(`Cannot start ${command}: it does not answer at ${host}: ${said}`)
  }

  async function kill(): Promise<void> {
    const running = child
    child = undefined
    if (running === undefined || running.exitCode !== null) return
    running.kill('SIGKILL')
    await once(running, 'exit')
  }

  process.once('exit', () => child?.kill('SIGKILL'))
  try {
    await run()
  } catch (error) {
    await kill()
    throw error
  }
  return { host, kill, restart: run }
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(1000) })
    await response.arrayBuffer()
    return response.ok
  } catch {
    return false
  }
}

/** A port that nothing listens on just now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
