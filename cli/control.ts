/** Where a long-running program can be asked to stop, or whether it lives: its control sockets. */
import { chmodSync } from 'node:fs'

import type { Command } from 'commander'

import { createAdmission, type Admit } from '../control/admission.ts'
import { serveDatagrams } from '../control/datagram.ts'
import { createControlledProgram } from '../control/program.ts'
import type { CredentialSource } from '../core/credential.ts'
import { NightjarError, sentenceOf } from '../core/errors.ts'
import { formatEndpoint, parseEndpoint, type Endpoint } from '../gateways/endpoint.ts'
import { listen } from '../gateways/listen.ts'
import { controlPath } from '../local/door.ts'
import { makeHome, runningBroker } from '../local/home.ts'
import { brokerService, takeService } from '../local/service.ts'
import { openCredentialSource } from './credential-sources.ts'
import { createLog } from './log.ts'
import { openLogFile, type LogFile } from './log-file.ts'
import type { World } from './world.ts'

export interface ControlOptions {
  control?: string[]
  controlAuth?: string[]
  logFile?: string
}

/** Where eventdispatcher's tools look for a program. */
export const usualControl = { host: '127.0.0.1', port: 4041 } as const

/** The variable that holds the secret of control sockets, and the one that says whose it is. */
export const secretVariable = 'NIGHTJAR_CONTROL_SECRET'
export const identVariable = 'NIGHTJAR_CONTROL_IDENT'

const collect = (value: string, all: string[] = []): string[] => [...all, value]

/** Add `--control`, `--control-auth` and `--log-file`. */
export function withControl(command: Command): Command {
  return command
    .option(
      '--control <endpoint>',
      'also take control messages there, such as tcp:port=4041 or udp:127.0.0.1:4041; beyond this ' +
        `machine only with ${secretVariable} or --control-auth; repeatable`,
      collect,
    )
    .option(
      '--control-auth <source>',
      'let in who has a key there that names the channel "control": sqlite, a .db or .json file, or ' +
        'env; repeatable',
      collect,
    )
    .option('--log-file <file>', 'append what is said here; LOG_ROTATE opens it anew')
}

export interface ControlledOptions extends ControlOptions {
  home: string
  cloud?: boolean
  /** What the program is called, unless another of the same name works in the home. */
  service?: string
}

/**
 * Run a program that can be controlled: at a socket in its home, and wherever else is asked for. STOP
 * and QUITTING end it as Ctrl-C does, when what is under way is done.
 */
export async function controlled(
  world: World,
  options: ControlledOptions,
  run: (world: World) => Promise<void>,
): Promise<void> {
  const { service: kind = brokerService } = options
  const opened: (() => Promise<void> | void)[] = []
  const listeners: { close(): Promise<void> }[] = []
  const sources: CredentialSource[] = []
  const listening: string[] = []
  const stop = new AbortController()
  const ours = worldOf(world, options.logFile)
  opened.unshift(() => ours.file?.close())
  const log = createLog(ours.world)

  try {
    for (const auth of options.controlAuth ?? []) {
      const source = openCredentialSource('--control-auth', auth, world, log)
      sources.push(source)
      opened.push(() => source.close())
    }
    const secret = world.env[secretVariable] || undefined
    const hasLock = secret !== undefined || sources.length > 0
    const endpoints = (options.control ?? []).map((text) => endpointOf(text, hasLock))
    // In the cloud there is no home. Where another runs in it, the program itself says so better.
    const home = options.cloud === true ? undefined : makeHome(options.home)
    const isSecond =
      kind === brokerService && home !== undefined && runningBroker(home) !== undefined
    const taken =
      home === undefined || kind === brokerService
        ? { name: kind, release() {} }
        : takeService(home, kind)
    opened.unshift(taken.release)
    const service = taken.name
    const admit: Admit | undefined = hasLock
      ? createAdmission({ sources, service, ...(secret !== undefined && { secret }) })
      : undefined
    const program = createControlledProgram({
      acts: {
        stop: () => stop.abort(),
        leak() {
          const { rss, heapUsed, external } = process.memoryUsage()
          const mb = (bytes: number): number => Math.round(bytes / 1e6)
          log('memory_told', { residentMb: mb(rss), heapMb: mb(heapUsed), outsideMb: mb(external) })
        },
        rotateLogs() {
          try {
            ours.file?.reopen()
          } catch (error) {
            log('control_refused', { peer: '', reason: sentenceOf(error) })
          }
        },
      },
      log,
      service,
      listening: () => listening,
    })
    opened.unshift(async () => {
      // Nobody comes any more; then those who are there are seen out.
      const closing = listeners.map((listener) => listener.close())
      await program.close()
      await Promise.all(closing)
    })

    async function open(endpoint: Endpoint, isOurs: boolean): Promise<void> {
      const listener = await listen({
        endpoint,
        accept: (socket) => program.accept(socket, endpoint.kind, isOurs ? undefined : admit),
        log,
        maxConnections: 64,
      })
      listeners.push(listener)
      listening.push(formatEndpoint(listener.endpoint))
    }

    async function openDatagrams({ host, port }: { host: string; port: number }): Promise<void> {
      const server = await serveDatagrams({
        ...{ host, port },
        onMessage: (message) => program.take(message, 'udp'),
        onInvalid: (why) => program.refuse('udp', why),
        ...(admit !== undefined && { admit }),
      })
      listeners.push(server)
      listening.push(`udp:${host}:${server.port}`)
    }

    if (home !== undefined && !isSecond) {
      const path = controlPath(home.path, service)
      // Nobody but this user may ask, from the moment that the socket is there.
      const mask = process.umask(0o177)
      const opening = open({ kind: 'unix', path }, true)
      process.umask(mask)
      await opening
      chmodSync(path, 0o600)
    }
    for (const { isDatagram, endpoint } of endpoints) {
      if (endpoint.kind === 'unix' || !isDatagram) await open(endpoint, endpoint.kind === 'unix')
      else await openDatagrams(endpoint)
    }
    if (endpoints.length > 0 || service !== kind) log('control_opened', { service, listening })
    await run({ ...ours.world, signal: AbortSignal.any([world.signal, stop.signal]) })
  } finally {
    for (const close of opened) await close()
  }
}

/** The world of the program: where it logs to a file, what it says there. */
function worldOf(world: World, path: string | undefined): { world: World; file?: LogFile } {
  if (path === undefined) return { world }
  const file = openLogFile(path)
  return { world: { ...world, err: file.write }, file }
}

const loopback = /^(?:127(?:\.\d+){3}|::1|localhost)$/

function endpointOf(text: string, hasLock: boolean): { isDatagram: boolean; endpoint: Endpoint } {
  const isDatagram = text.startsWith('udp:')
  const endpoint = parseEndpoint(isDatagram ? text.replace(/^udp:/, 'tcp:') : text, usualControl)
  const isFar =
    endpoint.kind !== 'unix' && (!loopback.test(endpoint.host) || endpoint.device !== undefined)
  if (!isFar || hasLock) return { isDatagram, endpoint }
  throw new NightjarError(
    'config_invalid',
    `Cannot open control at "${text}": it can be reached from beyond this machine; ` +
      `set ${secretVariable}, give --control-auth, or take 127.0.0.1`,
  )
}
