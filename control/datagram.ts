/** Messages over UDP: one a datagram, without an answer and without a promise. */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { isIPv6, type AddressInfo } from 'node:net'

import { NightjarError, sentenceOf } from '../core/errors.ts'
import type { Admit } from './admission.ts'
import { formatMessage, parseMessage, type ControlMessage } from './message.ts'

/** Most bytes of a datagram's text. */
export const maxDatagramBytes = 1024

export interface Place {
  host: string
  port: number
}

export interface DatagramServer extends Place {
  close(): Promise<void>
}

export interface DatagramServerOptions extends Place {
  onMessage(message: ControlMessage): void | Promise<void>
  onInvalid(why: string): void
  admit?: Admit
}

/** Take datagrams. Rejects with `source_failed` where the address cannot be had. */
export async function serveDatagrams(options: DatagramServerOptions): Promise<DatagramServer> {
  const { host, port, onMessage, onInvalid, admit } = options
  const socket = open(host)
  const decoder = new TextDecoder('utf-8', { fatal: true })
  socket.on('message', (bytes) => {
    void take(bytes).catch((error: unknown) => onInvalid(sentenceOf(error)))
  })
  try {
    const listening = once(socket, 'listening')
    socket.bind(port, host)
    await listening
  } catch (cause) {
    throw failed(`Cannot listen on "udp:${host}:${port}"`, cause)
  }
  socket.on('error', (error) => onInvalid(sentenceOf(error)))
  return {
    host,
    port: (socket.address() as AddressInfo).port,
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  }

  async function take(bytes: Buffer): Promise<void> {
    if (bytes.length > maxDatagramBytes) return onInvalid(tooLong(bytes.length))
    const message = parseMessage(decoder.decode(bytes))
    const why = await admit?.(message)
    if (why !== undefined) return onInvalid(why)
    await onMessage(message)
  }
}

/** Send one message. Throws `message_too_large` above 1,024 bytes, `source_failed` where it cannot be sent. */
export async function sendDatagram(message: ControlMessage, { host, port }: Place): Promise<void> {
  const bytes = Buffer.from(formatMessage(message))
  if (bytes.length > maxDatagramBytes) {
    throw new NightjarError('message_too_large', `Cannot send by UDP: ${tooLong(bytes.length)}`)
  }
  const socket = open(host)
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.bind(0, () => {
        if (isBroadcast(host)) socket.setBroadcast(true)
        socket.send(bytes, port, host, (error) => (error ? reject(error) : resolve()))
      })
    })
  } catch (cause) {
    throw failed(`Cannot send to "udp:${host}:${port}"`, cause)
  } finally {
    socket.close()
  }
}

const open = (host: string): Socket => createSocket(isIPv6(host) ? 'udp6' : 'udp4')

/** An address that ends in 255 may be a net's broadcast address; only the net knows. */
const isBroadcast = (host: string): boolean => /^[\d.]+\.255$/.test(host)

const tooLong = (bytes: number): string =>
  `a message has ${bytes} bytes, and a datagram takes ${maxDatagramBytes}`

const failed = (what: string, cause: unknown): NightjarError =>
  new NightjarError('source_failed', `${what}: ${sentenceOf(cause)}`, { cause })
