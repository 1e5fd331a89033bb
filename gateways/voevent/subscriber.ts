/** The subscriber: a link to another broker, whose events we take in and acknowledge. */
import type { Socket } from 'node:net'

import { NightjarError, sentenceOf } from '../../core/errors.ts'
import type { Log } from '../../core/log.ts'
import { formatEndpoint, type Endpoint } from '../endpoint.ts'
import { keepLinked, type Schedule } from '../link.ts'
import type { Admission } from './admission.ts'
import { readDocuments } from './conversation.ts'
import { parseDocument, type Document } from './document.ts'
import { formatFrame } from './frame.ts'
import { formatTransport, type TransportMessage } from './transport.ts'

export interface SubscriberOptions {
  endpoint: Endpoint
  admission: Admission
  /** Absent for a subscriber without an identifier of its own. */
  localIvo?: string
  /** What the broker is asked to send. */
  filters: readonly string[]
  log: Log
  signal: AbortSignal
  /** A broker that says nothing for so long is taken for dead. */
  silenceMs?: number
  schedule?: Schedule
}

/** At once, then 1.5 times as long each time up to a minute; anew after a link that lived. */
const usualSchedule: Schedule = {
  firstMs: 1000,
  factor: 1.5,
  mostMs: 60_000,
  stableMs: 5000,
  jitter: 0.3,
}

/** Subscribe until the signal. */
export function subscribeTo(options: SubscriberOptions): Promise<void> {
  const { endpoint, log, signal, schedule = usualSchedule } = options
  const name = formatEndpoint(endpoint)
  return keepLinked({
    endpoint,
    schedule,
    signal,
    use: (socket) => follow(socket, name, options),
    onLost(error, waitMs) {
      const reason = error === undefined ? 'the broker closed the connection' : sentenceOf(error)
      log('upstream_retried', { peer: name, reason, seconds: Math.round(waitMs / 100) / 10 })
    },
  })
}

async function follow(
  socket: Socket,
  name: string,
  { admission, localIvo, filters, log, signal, silenceMs = 120_000 }: SubscriberOptions,
): Promise<void> {
  const say = (message: Omit<TransportMessage, 'at' | 'response'>): void => {
    if (socket.destroyed) return
    socket.write(formatFrame(formatTransport({ ...message, response: localIvo, at: new Date() })))
  }

  async function hear(bytes: Buffer): Promise<void> {
    let document: Document
    try {
      document = parseDocument(bytes)
    } catch (error) {
      log('voevent_refused', { peer: name, reason: sentenceOf(error) })
      return
    }
    timer.refresh()
    using heard = document
    const { head } = heard
    if (head.kind === 'event') {
      const verdict = await admission.relay(bytes, heard, name)
      if (!verdict.ok && verdict.retry) {
        // Not acknowledged: VTP has no other word for "not now".
        log('voevent_refused', { peer: name, reason: verdict.reason })
        return
      }
      say({ role: 'ack', origin: head.ivorn ?? '' })
    } else if (head.role === 'iamalive') {
      say({ role: 'iamalive', origin: head.origin })
    } else if (head.role === 'authenticate') {
      say({ role: 'authenticate', origin: head.origin, filters })
    }
  }

  let silent = false
  const timer = setTimeout(() => {
    silent = true
    socket.destroy()
  }, silenceMs)
  const stop = (): void => void socket.destroy()
  signal.addEventListener('abort', stop, { once: true })
  log('upstream_linked', { peer: name })
  try {
    await readDocuments(socket, hear)
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
  }
  if (silent) {
    throw new NightjarError(
      'source_failed',
      `No sign of life from "${name}" for ${silenceMs / 1000} s`,
    )
  }
}
