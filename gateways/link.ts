/** A link to a peer that is made again whenever it breaks, until nobody wants it any more. */
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'

import { NightjarError, sentenceOf } from '../core/errors.ts'
import { formatEndpoint, type Endpoint } from './endpoint.ts'

/** How long to wait before each new attempt. */
export interface Schedule {
  firstMs: number
  factor: number
  mostMs: number
  /** A link that held this long was a good one: the next wait is the first again. */
  stableMs: number
  /** The wait after a good link, before the first; the first itself, if not given. */
  afterStableMs?: number
  /** From 0 to 1: the part of a wait that chance may take away, so that many do not come at once. */
  jitter?: number
}

export interface LinkOptions {
  endpoint: Endpoint
  /** Use the connection; the link is over when this resolves or rejects. */
  use(socket: Socket): Promise<void>
  schedule: Schedule
  signal: AbortSignal
  /** Told of each failure, and of the wait that follows it. */
  onLost?(error: unknown, waitMs: number): void
  /** A failure that would come again: the link gives up and rejects with it. */
  isFinal?(error: unknown): boolean
  random?: () => number
  now?: () => number
  wait?: (ms: number, signal: AbortSignal) => Promise<void>
}

const waitUnlessAborted = (ms: number, signal: AbortSignal): Promise<void> =>
  pause(ms, undefined, { signal }).catch(() => {})

/** Keep a link. Resolves when the signal has fired; rejects only with what `isFinal` says is final. */
export async function keepLinked(options: LinkOptions): Promise<void> {
  const { endpoint, use, schedule, signal, onLost, isFinal } = options
  const { random = Math.random, now = Date.now, wait = waitUnlessAborted } = options
  let waitMs = schedule.firstMs
  while (!signal.aborted) {
    let began: number | undefined
    let lost: unknown
    try {
      // The name is looked up anew each time: behind it may be another machine by now.
      const socket = await connectTo(endpoint, signal)
      // Time spent on a peer that does not answer is no life of a link.
      began = now()
      try {
        await use(socket)
      } finally {
        socket.destroy()
      }
    } catch (error) {
      lost = error
    }
    if (signal.aborted) return
    if (lost !== undefined && isFinal?.(lost) === true) throw lost
    const held = began !== undefined && now() - began >= schedule.stableMs
    if (held) waitMs = schedule.firstMs
    const isExtra = held && schedule.afterStableMs !== undefined
    const fullMs = isExtra ? (schedule.afterStableMs ?? 0) : waitMs
    const nextMs = fullMs * (1 - (schedule.jitter ?? 0) * random())
    onLost?.(lost, nextMs)
    if (!isExtra) waitMs = Math.min(waitMs * schedule.factor, schedule.mostMs)
    await wait(nextMs, signal)
  }
}

/** A peer that does not answer in this time is taken for absent. */
const connectMs = 20_000

/** Connect to an endpoint. Rejects with `source_failed` that says where and why. */
export function connectTo(endpoint: Endpoint, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = open(endpoint)
    const fail = (cause: unknown): void => {
      signal.removeEventListener('abort', onAbort)
      clearTimeout(timer)
      socket.destroy()
      reject(
        new NightjarError(
          'source_failed',
          `Cannot connect to "${formatEndpoint(endpoint)}": ${sentenceOf(cause) || 'refused'}`,
          { cause },
        ),
      )
    }
    const onAbort = (): void => fail(new Error('asked to stop'))
    const timer = setTimeout(() => fail(new Error(`no answer in ${connectMs / 1000} s`)), connectMs)
    socket.once('error', fail)
    socket.once(endpoint.kind === 'tls' ? 'secureConnect' : 'connect', () => {
      signal.removeEventListener('abort', onAbort)
      clearTimeout(timer)
      socket.removeListener('error', fail)
      resolve(socket)
    })
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
}

function open(endpoint: Endpoint): Socket {
  if (endpoint.kind === 'unix') return connect({ path: endpoint.path })
  const { host, port } = endpoint
  if (endpoint.kind === 'tcp') return connect({ host, port, noDelay: true })
  const { cert } = endpoint.tls
  return connectTls({
    host,
    port,
    ...(cert !== undefined && { ca: readFileSync(cert) }),
    // A name for the certificate is one of DNS; an address is compared as it is.
    ...(!/^[\d.]+$|:/.test(host) && { servername: host }),
  })
}
