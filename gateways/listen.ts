/** Listening on an endpoint: TCP, TLS with certificates that may be replaced while it runs, Unix. */
import { readFileSync, unlinkSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { createSecureContext, TLSSocket, type SecureContext } from 'node:tls'

import { NightjarError, sentenceOf } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import { formatEndpoint, type Endpoint } from './endpoint.ts'
import { onChange } from './reload.ts'

export interface Listening {
  /** With the port that the system chose where port 0 was asked for. */
  endpoint: Endpoint
  /** Take no more connections; those that are there are their owner's. */
  close(): Promise<void>
}

export interface ListenOptions {
  endpoint: Endpoint
  /** Called with each connection, after the TLS handshake where there is one. */
  accept(socket: Socket): void
  log: Log
  /** Connections at once; those beyond are closed at once. */
  maxConnections?: number
}

/** A peer that does not finish its TLS handshake in this time is let go. */
const handshakeMs = 10_000

/** How many connections the system may hold back until they are accepted. */
const backlog = 4096

/** Listen. Rejects with `source_failed` where the address cannot be had. */
export async function listen(options: ListenOptions): Promise<Listening> {
  const { endpoint, log, maxConnections } = options
  const { server, stopWatching } = open(options, log)
  if (maxConnections !== undefined) server.maxConnections = maxConnections
  try {
    await bind(server, endpoint)
  } catch (cause) {
    stopWatching()
    throw new NightjarError(
      'source_failed',
      `Cannot listen on "${formatEndpoint(endpoint)}": ${sentenceOf(cause)}`,
      { cause },
    )
  }
  return {
    endpoint: whereItListens(endpoint, server),
    async close() {
      stopWatching()
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
      })
    },
  }
}

function open(
  { endpoint, accept }: ListenOptions,
  log: Log,
): { server: Server; stopWatching: () => void } {
  // The peer's end of sending is no end of the connection: what it sent is still under way.
  const shared = { allowHalfOpen: true, noDelay: true }
  if (endpoint.kind !== 'tls') {
    return { server: createServer(shared, accept), stopWatching: () => {} }
  }
  const { key, cert } = endpoint.tls
  if (key === undefined || cert === undefined) {
    throw new NightjarError(
      'config_invalid',
      `Cannot listen on "${formatEndpoint(endpoint)}": TLS needs both key= and cert=`,
    )
  }
  const read = (): SecureContext =>
    createSecureContext({ key: readFileSync(key), cert: readFileSync(cert) })
  let secureContext: SecureContext
  try {
    secureContext = read()
  } catch (cause) {
    throw new NightjarError(
      'config_invalid',
      `Cannot use certificate "${cert}" with key "${key}": ${sentenceOf(cause)}`,
      { cause },
    )
  }
  const stopWatching = onChange([key, cert], () => {
    try {
      secureContext = read()
      log('certificate_reloaded', { file: cert })
    } catch (error) {
      // Key and certificate may be replaced one after the other; the second change sets it right.
      log('reload_retried', { file: cert, reason: sentenceOf(error) })
    }
  })
  const server = createServer(shared, (socket) => secure(socket, secureContext, accept))
  return { server, stopWatching }
}

/**
 * Take the handshake. Node's own TLS server does not see a half-open peer go away in the middle of
 * it, and would keep the connection for ever.
 */
function secure(raw: Socket, secureContext: SecureContext, accept: (socket: Socket) => void): void {
  const socket = new TLSSocket(raw, { isServer: true, secureContext })
  const giveUp = (): void => {
    clearTimeout(timer)
    socket.destroy()
  }
  const timer = setTimeout(giveUp, handshakeMs)
  socket.once('end', giveUp)
  socket.on('error', giveUp)
  socket.once('close', giveUp)
  socket.once('secure', () => {
    clearTimeout(timer)
    socket.removeListener('end', giveUp)
    accept(socket)
  })
}

async function bind(server: Server, endpoint: Endpoint): Promise<void> {
  const once = (): Promise<void> =>
    new Promise((resolve, reject) => {
      server.once('error', reject)
      const where = endpoint.kind === 'unix' ? { path: endpoint.path } : addressOf(endpoint)
      server.listen({ ...where, backlog }, () => {
        server.removeListener('error', reject)
        resolve()
      })
    })
  try {
    await once()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (endpoint.kind !== 'unix' || code !== 'EADDRINUSE') throw error
    if (await answers(endpoint.path)) throw error
    // The socket of a process that was killed.
    unlinkSync(endpoint.path)
    await once()
  }
}

/** Where to bind. A device stands for its first address: Node cannot bind to a device itself. */
function addressOf({ host, port, device }: Exclude<Endpoint, { kind: 'unix' }>): {
  host: string
  port: number
} {
  if (device === undefined) return { host, port }
  const addresses = networkInterfaces()[device]
  const [first] = addresses ?? []
  if (first === undefined) {
    const known = Object.keys(networkInterfaces()).join(', ')
    throw new Error(`there is no device "${device}" with an address; there are ${known}`)
  }
  return { host: first.address, port }
}

const answers = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = connect({ path })
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    probe.once('error', () => resolve(false))
  })

function whereItListens(endpoint: Endpoint, server: Server): Endpoint {
  if (endpoint.kind === 'unix') return endpoint
  const { address, port } = server.address() as AddressInfo
  return { ...endpoint, host: address, port }
}
