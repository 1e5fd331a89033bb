/** Where a long-running program can be asked to stop, or whether it lives: its control sockets. */
import { chmodSync } from 'node:fs'

import type { Command } from 'commander'

import { serveDatagrams } from '../control/datagram.ts'
import { createControlledProgram } from '../control/program.ts'
import { NightjarError } from '../core/errors.ts'
import { formatEndpoint, parseEndpoint, type Endpoint } from '../gateways/endpoint.ts'
import { listen } from '../gateways/listen.ts'
import { controlPath } from '../local/door.ts'
import { makeHome, runningBroker } from '../local/home.ts'
import { createLog } from './log.ts'
import type { World } from './world.ts'

export interface ControlOptions {
  control?: string[]
}

/** Where eventdispatcher's tools look for a program. */
export const usualControl = { host: '127.0.0.1', port: 4041 } as const

/** The variable that holds the secret of control sockets. */
export const secretVariable = 'NIGHTJAR_CONTROL_SECRET'

const collect = (value: string, all: string[] = []): string[] => [...all, value]

/** Add `--control`. */
export function withControl(command: Command): Command {
  return command.option(
    '--control <endpoint>',
    'also take control messages there, such as tcp:port=4041 or udp:127.0.0.1:4041; beyond this ' +
      `machine only with ${secretVariable}; repeatable`,
    collect,
  )
}

/**
 * Run a program that can be controlled: at a socket in its home, and wherever else is asked for. STOP
 * and QUITTING end it as Ctrl-C does, when what is under way is done.
 */
export async function controlled(
  world: World,
  options: ControlOptions & { home: string; cloud?: boolean },
  run: (world: World) => Promise<void>,
): Promise<void> {
  const secret = world.env[secretVariable]
  const endpoints = (options.control ?? []).map((text) => endpointOf(text, secret))
  const stop = new AbortController()
  const log = createLog(world)
  const program = createControlledProgram({ acts: { stop: () => stop.abort() }, log })
  const opened: (() => Promise<void>)[] = []
  const listening: string[] = []

  async function open(endpoint: Endpoint, isOurs: boolean): Promise<void> {
    const listener = await listen({
      endpoint,
      accept: (socket) => program.accept(socket, endpoint.kind, isOurs ? undefined : secret),
      log,
      maxConnections: 64,
    })
    opened.push(() => listener.close())
    listening.push(formatEndpoint(listener.endpoint))
  }

  async function openDatagrams({ host, port }: { host: string; port: number }): Promise<void> {
    const server = await serveDatagrams({
      ...{ host, port },
      onMessage: (message) => program.take(message, 'udp'),
      onInvalid: (why) => program.refuse('udp', why),
      ...(secret !== undefined && { secret }),
    })
    opened.push(() => server.close())
    listening.push(`udp:${host}:${server.port}`)
  }

  try {
    // In the cloud there is no home. Where another runs in it, the program itself says so better.
    const home = options.cloud === true ? undefined : makeHome(options.home)
    if (home !== undefined && runningBroker(home) === undefined) {
      const path = controlPath(home.path)
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
    if (endpoints.length > 0) log('control_opened', { listening })
    await run({ ...world, signal: AbortSignal.any([world.signal, stop.signal]) })
  } finally {
    const closing = opened.map((close) => close())
    await program.close()
    await Promise.all(closing)
  }
}

const loopback = /^(?:127(?:\.\d+){3}|::1|localhost)$/

function endpointOf(
  text: string,
  secret: string | undefined,
): { isDatagram: boolean; endpoint: Endpoint } {
  const isDatagram = text.startsWith('udp:')
  const endpoint = parseEndpoint(isDatagram ? text.replace(/^udp:/, 'tcp:') : text, usualControl)
  const isFar =
    endpoint.kind !== 'unix' && (!loopback.test(endpoint.host) || endpoint.device !== undefined)
  if (!isFar || (secret !== undefined && secret !== '')) return { isDatagram, endpoint }
  throw new NightjarError(
    'config_invalid',
    `Cannot open control at "${text}": it can be reached from beyond this machine; ` +
      `set ${secretVariable}, or take 127.0.0.1`,
  )
}
